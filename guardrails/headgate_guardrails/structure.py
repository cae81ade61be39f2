"""Where in a JSON text its strings are, so that a mask leaves it JSON; other text has none."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import pairwise

from headgate_core.types import Span
from headgate_guardrails.masking import placeholder
from headgate_guardrails.scan import Text

_HEAD = re.compile(r"\s*(?:```(?:json)?\s*)?(?=[{\[])")
_HEAD_SO_FAR = re.compile(r"\s*(?:`{0,2}|```(?:j|js|jso|json)?\s*)\Z")
_STRING = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_BARE = "0123456789+-.eEtrufalsn"
"""Characters of numbers, true, false and null."""
_FREE = re.compile(rf"[\s{{\[,:{re.escape(_BARE)}]*")
_SPACE = re.compile(r"\s*")
_VALUE = re.compile(rf"[{re.escape(_BARE)}]+")
MOST_UNREAD = 65_536
"""Characters that wait to be read, because most texts are never asked about."""
LONGEST_NUMBER = 400
"""Characters of a number, or of true, false and null, that stay together."""


class Structure:
    """Follows a text as it comes, from its first character on. Positions count in characters.

    A text is JSON as far as nothing in it says otherwise; it must begin with a bracket, after
    blanks or the mark of a code block.
    """

    def __init__(self) -> None:
        self._head: str | None = ""
        """The text so far while it is open whether it is JSON; None = it is decided."""
        self._begin = 0
        self._end = 0
        self._over: int | None = None
        """Where the text ceased to be JSON."""
        self._depth = 0
        self._inside = False
        self._escaped = False
        self._edges: list[int] = []
        """Where strings begin and end, in turn; the quotation marks lie outside."""
        self._unread: list[str] = []
        self._size = 0
        self._inside_before = False
        """Whether the text before the first of these edges is a string."""
        self._fresh = False
        """Whether nothing but blanks has come of the string that has begun."""
        self._nested: set[int] = set()
        """Where strings begin that look like JSON themselves."""
        self._nested_before = False

    def append(self, more: str) -> None:
        """The next piece of the text as written. It is read when somebody asks about it."""
        if self._over is None:
            self._unread.append(more)
            self._size += len(more)
            if self._size > MOST_UNREAD:
                self._read()

    def _read(self) -> None:
        more = "".join(self._unread)
        self._unread, self._size = [], 0
        if self._over is not None:
            return
        if self._head is not None:
            more = self._begun(self._head + more)
        at = 0
        while at < len(more) and self._over is None:
            at = self._string(more, at) if self._inside else self._between(more, at)
        self._end += len(more)

    def _begun(self, head: str) -> str:
        found = _HEAD.match(head)
        if found:
            self._head = None
            self._end += found.end()
            self._begin = self._end
            return head[found.end() :]
        if head.isspace():
            self._end, head = self._end + len(head), ""
        if _HEAD_SO_FAR.match(head):
            self._head = head
        else:
            self._over = self._begin = self._end
        return ""

    def _string(self, more: str, at: int) -> int:
        if self._escaped:
            self._escaped = False
            at += 1
        if self._fresh:
            begin = _SPACE.match(more, at)
            self._begins_as(more[begin.end() : begin.end() + 1] if begin else "")
        found = _STRING.match(more, at)
        end = found.end() if found else at
        if end == len(more):
            return end
        if more[end] == "\\":
            self._escaped = True
        else:
            self._inside = False
            self._edges.append(self._end + end)
        return end + 1

    def _begins_as(self, char: str) -> None:
        """Note what the string that has begun looks like by its first ``char`` but blanks."""
        self._fresh = not char
        if char in ("{", "["):
            if self._edges:
                self._nested.add(self._edges[-1])
            else:
                self._nested_before = True

    def _between(self, more: str, at: int) -> int:
        found = (_FREE if self._depth else _SPACE).match(more, at)
        end = found.end() if found else at
        self._depth += more.count("{", at, end) + more.count("[", at, end)
        if end == len(more):
            return end
        char = more[end]
        if char in "{[":
            self._depth += 1
        elif char in "}]" and self._depth:
            self._depth -= 1
        elif char == '"' and self._depth:
            self._inside = self._fresh = True
            self._edges.append(self._end + end + 1)
        else:
            self._over = self._end + end
        return end + 1

    def holds(self, start: int, end: int) -> bool:
        """Whether the text is JSON between these positions, as far as it has come."""
        if self._unread:
            self._read()
        begun = self._head is None and start >= self._begin
        return begun and (self._over is None or end <= self._over)

    def in_string(self, position: int) -> bool:
        """Whether the character there belongs to what a string says; ask ``holds`` first."""
        return bool(bisect_right(self._edges, position) % 2) != self._inside_before

    def nested(self, position: int) -> bool:
        """Whether the string around ``position`` looks like JSON itself; ask ``holds`` first."""
        n = bisect_right(self._edges, position)
        return self._edges[n - 1] in self._nested if n else self._nested_before

    def bare_before(self, text: Text, position: int, least: int) -> int:
        """Where the number or name begins that stands right before ``position``, else that."""
        before = text.piece(max(least, position - LONGEST_NUMBER), position)
        if not before or before[-1] not in _BARE or not self.holds(position, position):
            return position
        if self.in_string(position) or self.in_string(position - 1):
            return position
        return position - len(before) + len(before.rstrip(_BARE))

    def widened(self, text: Text, start: int, end: int, least: int) -> tuple[int, int]:
        """A stretch with the whole of the numbers that it touches; a number is masked whole."""
        if not self.in_string(start):
            start = self.bare_before(text, start, least)
        if not self.in_string(end):
            value = _VALUE.match(text.piece(end, end + LONGEST_NUMBER))
            end += value.end() if value else 0
        return start, end

    def stand_in(self, span: Span, text: str) -> str:
        """What is written instead of ``text``, which ``span`` covers: JSON where it was JSON."""
        mark = placeholder(span.kind)
        if not self.holds(span.start, span.end):
            return mark
        first = bisect_right(self._edges, span.start)
        last = bisect_right(self._edges, span.end - 1)
        if first == last and self.in_string(span.start):
            return mark
        borders = [span.start, *self._edges[first:last], span.end]
        return "".join(
            mark
            if self.in_string(a)
            else _VALUE.sub(f'"{mark}"', text[a - span.start : b - span.start])
            for a, b in pairwise(borders)
        )

    def forget(self, before: int) -> None:
        """Nothing before this position will be asked for again."""
        if not self._edges:
            return
        n = bisect_right(self._edges, before)
        self._inside_before ^= bool(n % 2)
        if n:
            self._nested_before = self._edges[n - 1] in self._nested
            self._nested.difference_update(self._edges[:n])
        del self._edges[:n]
