"""Server-sent events, cut wherever the network cuts them (WHATWG HTML, 9.2: event stream)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n|\r\n\r(?=[^\n])")
_LINE = re.compile(rb"\r\n|\n|\r")

MAX_EVENT = 16 * 1024 * 1024
"""An event larger than this is no event: bytes."""


class SseEvent(NamedTuple):
    """One event: its bytes as received, boundary included, and its joined ``data`` lines."""

    raw: bytes
    data: bytes


class SseTooLarge(ValueError):
    """An event grew beyond ``MAX_EVENT`` without an end."""


class SseSplitter:
    """Feed it bytes as they come; it returns the events that are complete. No I/O."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[SseEvent]:
        """The events completed by ``data``. Raises ``SseTooLarge``."""
        self._buffer += data
        while found := _BOUNDARY.search(self._buffer):
            end = found.end()
            if end == len(self._buffer) and self._buffer.endswith(b"\r"):
                # A lone CR at the very end may be half of a CRLF: the next bytes decide.
                return
            raw, self._buffer = self._buffer[:end], self._buffer[end:]
            yield SseEvent(raw, _data(raw))
        if len(self._buffer) > MAX_EVENT:
            raise SseTooLarge(f"an event of more than {MAX_EVENT} bytes")

    def rest(self) -> SseEvent | None:
        """What stood after the last boundary when the body ended; None when only blanks did."""
        raw, self._buffer = self._buffer, b""
        data = _data(raw)
        return SseEvent(raw, data) if data else None


def _data(raw: bytes) -> bytes:
    if raw.startswith(b"data: ") and raw.endswith(b"\n\n") and raw.count(b"\n") == 2:
        return raw[6:-2].rstrip(b"\r")
    lines = [line for line in _LINE.split(raw) if line.startswith(b"data:")]
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines)


def encode(data: bytes) -> bytes:
    """One ``data:`` event; ``data`` is a single line (JSON)."""
    return b"data: " + data + b"\n\n"


DONE = b"data: [DONE]\n\n"
"""The regular end of a chat completion stream."""
