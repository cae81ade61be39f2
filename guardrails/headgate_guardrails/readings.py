"""A text as it is written, and as one reads it who takes its JSON escapes for what they mean.

Arguments of tools, structured output and results of tools are JSON text: there a line end is
written as two characters, and a value behind it would look like the end of a longer word. Text may
be JSON inside JSON, so what has been decoded is decoded again where it holds escapes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from headgate_core.types import Span
from headgate_guardrails.scan import Text

MOST_READINGS = 4
"""As written, and decoded up to three times."""

_HEX = "[0-9A-Fa-f]"
_HIGH, _LOW = f"[dD][89abAB]{_HEX}{{2}}", f"[dD][c-fC-F]{_HEX}{{2}}"
_ESCAPE = re.compile(rf'\\(?:u({_HIGH})\\u({_LOW})|u({_HEX}{{4}})|(["\\/bfnrt]))')
_OPEN = re.compile(
    rf"\\(?:u(?:{_HEX}{{0,3}}|{_HIGH}(?:\\(?:u(?:[dD](?:[c-fC-F]{_HEX}?)?)?)?)?))?\Z"
)
"""The beginning of an escape, or the first half of a pair of them, at the end of a piece."""
_MEANT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Reading:
    """One decoding of the text before it, its ``parent``; positions count as in ``Text``."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self._open = ""
        """The beginning of an escape, which waits for its end."""
        self._at: list[int] = []
        """Where here the characters stand that are escapes in the parent, in order."""
        self._from: list[int] = []
        self._until: list[int] = []
        """Where in the parent each of these escapes begins and ends."""
        self._shift = 0
        """How much further the parent is than this text before the first of these escapes."""
        self._read = text.end
        """The end of what has been decoded in the parent."""

    def append(self, more: str, final: bool) -> str:
        """Decode the parent's next piece; returns what is to be appended to ``text``."""
        written, self._open = self._open + more, ""
        decoded: list[str] = []
        here, last = self.text.end, 0
        for match in _ESCAPE.finditer(written):
            if not final and match[3] and _OPEN.fullmatch(written, match.start()):
                break
            plain = written[last : match.start()]
            decoded += [plain, _meaning(match)]
            here += len(plain)
            self._at.append(here)
            self._from.append(self._read + match.start())
            self._until.append(self._read + match.end())
            here, last = here + 1, match.end()
        tail = None if final else _OPEN.search(written, last)
        end = tail.start() if tail else len(written)
        decoded.append(written[last:end])
        self._open, self._read = written[end:], self._read + end
        return "".join(decoded)

    def to_parent(self, position: int) -> int:
        """Where in the parent the character at ``position`` begins."""
        n = bisect_right(self._at, position) - 1
        if n < 0:
            return position + self._shift
        if self._at[n] == position:
            return self._from[n]
        return position - self._at[n] - 1 + self._until[n]

    def from_parent(self, position: int, *, up: bool) -> int:
        """Which character begins there, or else the next one (``up``) or the one before."""
        n = bisect_right(self._from, position) - 1
        if n < 0:
            return position - self._shift
        if position < self._until[n]:
            return self._at[n] + (up and position > self._from[n])
        return position - self._until[n] + self._at[n] + 1

    def forget(self, before: int) -> None:
        """Nothing before this position will be asked for again."""
        n = bisect_right(self._at, before - 1)
        if n:
            self._shift = self._until[n - 1] - self._at[n - 1] - 1
            del self._at[:n], self._from[:n], self._until[:n]
        self.text.forget(before)


def _meaning(match: re.Match[str]) -> str:
    high, low, unit, letter = match.groups()
    if letter:
        return _MEANT.get(letter, letter)
    if high:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF))
    code = int(unit, 16)
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


class Readings:
    """All readings of one text; ``texts[0]`` is the text as written.

    A reading begins with the first backslash of the one before it: until then they are the same.
    """

    def __init__(self) -> None:
        self._decoded: list[Reading] = []
        self.texts: list[Text] = [Text()]

    def append(self, more: str, final: bool) -> None:
        """The next piece as written; ``final`` = no more will come."""
        if not self._decoded and "\\" not in more:
            self.texts[0].append(more)
            return
        piece = more
        for level in range(MOST_READINGS):
            text = self.texts[level]
            last = level == len(self._decoded)
            if last and "\\" in piece and level + 1 < MOST_READINGS:
                self._decoded.append(Reading(text.copy()))
                self.texts.append(self._decoded[-1].text)
                last = False
            text.append(piece)
            if last:
                return
            piece = self._decoded[level].append(piece, final)

    def written(self, level: int, position: int) -> int:
        """Where a character of a reading begins in the text as written."""
        for reading in reversed(self._decoded[:level]):
            position = reading.to_parent(position)
        return position

    def span(self, level: int, span: Span) -> Span:
        """A finding of a reading: all that stands for its characters as written."""
        start, end = self.written(level, span.start), self.written(level, span.end)
        return Span(start, end, span.kind, span.score)

    def border(self, position: int, *, up: bool, levels: int = MOST_READINGS) -> int:
        """The nearest position, from one of the text as written, that lies within no escape.

        ``levels`` = how many decodings count.
        """
        decoded = self._decoded[:levels]
        for reading in decoded:
            position = reading.from_parent(position, up=up)
        return self.written(len(decoded), position)

    def forget(self, until: int, needs: Sequence[int]) -> None:
        """Nothing written before ``until``, nor before a reading's ``needs``, is asked for."""
        self.texts[0].forget(min(until, needs[0]))
        if not self._decoded:
            return
        own = until
        for reading, need in zip(self._decoded, needs[1:], strict=True):
            own = reading.from_parent(own, up=False)
            reading.forget(min(own, need))
