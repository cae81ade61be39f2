"""Amazon's binary event stream: frames of headers and a payload."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

import orjson

from headgate_core.errors import UpstreamError, UpstreamMalformed
from headgate_gateway.upstream.errors import status_error

_PRELUDE = struct.Struct(">II")
_FIXED_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""A header's type to the length of its value: booleans, integers, a time, a UUID."""
_TEXT = 7
_SMALLEST, _LARGEST = 16, 24 * 1024 * 1024

_STATUSES = {
    "throttlingException": 429,
    "validationException": 400,
    "modelTimeoutException": 408,
    "modelStreamErrorException": 424,
    "serviceUnavailableException": 503,
}
"""Bedrock's exceptions to the status with which it sends them where no stream has begun."""


class Frames:
    """Feed it bytes as they come; it gives the frames that are complete. No I/O."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def rest(self) -> int:
        """Bytes of a frame that is not complete."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
        """The headers and the payload of each complete frame. Raises ``UpstreamMalformed``."""
        self._buffer += data
        while len(self._buffer) >= _SMALLEST:
            size, headers = _PRELUDE.unpack_from(self._buffer)
            if not _SMALLEST + headers <= size <= _LARGEST:
                raise UpstreamMalformed("The stream is no event stream of Amazon's.")
            if len(self._buffer) < size:
                return
            frame = bytes(self._buffer[:size])
            del self._buffer[:size]
            yield _headers(frame[12 : 12 + headers]), frame[12 + headers : -4]


def _headers(data: bytes) -> dict[str, str]:
    """The headers whose values are text."""
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(data):
            name, at = data[at + 1 : at + 1 + data[at]], at + 1 + data[at]
            kind, at = data[at], at + 1
            size = _FIXED_SIZES.get(kind)
            if size is None:
                size, at = int.from_bytes(data[at : at + 2], "big"), at + 2
            if kind == _TEXT:
                found[name.decode()] = data[at : at + size].decode()
            at += size
    except (IndexError, UnicodeDecodeError) as error:
        raise UpstreamMalformed("The stream holds a frame with broken headers.") from error
    return found


def exception_of(headers: Mapping[str, str], payload: bytes) -> UpstreamError:
    """The error that a frame carries instead of an event."""
    name = headers.get(":exception-type") or headers.get(":error-code") or ""
    told = headers.get(":error-message")
    body = orjson.dumps({"message": told}) if told else payload
    return status_error(_STATUSES.get(name, 500), {}, body)
