"""Server-sent events, cut wherever the network cuts them (WHATWG HTML, 9.2: event stream)."""

from __future__ import annotations

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"

MAX_EVENT = 16 * 1024 * 1024
"""An event larger than this is no event: bytes."""


class SseEvent(NamedTuple):
    """One event: its bytes with their line ends as LF, blank line included, and its ``data``.

    ``data`` joins the event's data lines; it is empty for a comment. ``name`` is empty where the
    event has none.
    """

    raw: bytes
    data: bytes
    name: bytes = b""


class SseTooLarge(ValueError):
    """An event grew beyond ``MAX_EVENT`` without an end."""


class SseSplitter:
    """Feed it bytes as they come; it returns the events that are complete. No I/O.

    Every line end (CRLF, CR, LF) becomes LF first, so that one search finds where an event ends.
    A CR ends its line at once: should the LF of a CRLF come with the next bytes, it is skipped.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._begun = False
        self._after_cr = False

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events completed by ``data``. Raises ``SseTooLarge``."""
        self._buffer += self._with_lf(data)
        if not self._begun and not self._begin():
            return []
        events: list[SseEvent] = []
        start = 0
        while (end := self._buffer.find(b"\n\n", max(start, self._searched - 1))) >= 0:
            _append(events, bytes(self._buffer[start : end + 2]))
            start = self._searched = end + 2
        del self._buffer[:start]
        self._searched = len(self._buffer)
        if self._searched > MAX_EVENT:
            raise SseTooLarge(f"an event of more than {MAX_EVENT} bytes")
        return events

    def rest(self) -> SseEvent | None:
        """What stood after the last boundary when the body ended; None when only blanks did."""
        raw = bytes(self._buffer).strip(b"\n")
        self._buffer.clear()
        return _event(raw + b"\n\n") if raw else None

    def _with_lf(self, data: bytes) -> bytes:
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _begin(self) -> bool:
        """Drop a byte order mark; False while it cannot be told yet whether there is one."""
        if len(self._buffer) < len(_BOM) and _BOM.startswith(self._buffer):
            return False
        self._begun = True
        if self._buffer.startswith(_BOM):
            del self._buffer[: len(_BOM)]
        return True


def _append(events: list[SseEvent], raw: bytes) -> None:
    if raw[:1] == b"\n":
        raw = raw.lstrip(b"\n")  # a further blank line before it belongs to no event
    if raw:
        events.append(_event(raw))


def _event(raw: bytes) -> SseEvent:
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2:
        return SseEvent(raw, raw[6:-2])
    lines = raw.split(b"\n")
    names = _values(lines, b"event:")
    return SseEvent(raw, b"\n".join(_values(lines, b"data:")), names[-1] if names else b"")


def _values(lines: list[bytes], field: bytes) -> list[bytes]:
    return [x[len(field) :].removeprefix(b" ") for x in lines if x.startswith(field)]


def encode(data: bytes) -> bytes:
    """One ``data:`` event; ``data`` is a single line (JSON)."""
    return b"data: " + data + b"\n\n"


def encode_named(name: str, data: bytes) -> bytes:
    """One event with a name; ``data`` is a single line (JSON)."""
    return b"event: " + name.encode() + b"\n" + encode(data)


DONE = b"data: [DONE]\n\n"
"""The regular end of a chat completion stream."""
