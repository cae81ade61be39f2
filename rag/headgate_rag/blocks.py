"""The blocks of a Markdown text: headings, paragraphs, lists, tables, code, each with its span.

A line scanner for what documentation is written in, not a full CommonMark parser: block quotes
count as paragraphs, indented code as part of the block that it stands under.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["heading", "paragraph", "list", "table", "code", "comment"]

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r"[ \t]*(?:>[ \t]*)*(?:[-*+][ \t]+|\d+[.)][ \t]+)?(`{3,}|~{3,})([^`]*)$")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_TABLE = re.compile(r"[ \t]*\|.*\|[ \t]*$")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its characters ``[start, end)`` without the line end."""

    start: int
    end: int
    text: str

    @property
    def blank(self) -> bool:
        """Nothing but white space."""
        return not self.text.strip()


@dataclass(frozen=True, slots=True)
class Block:
    """Characters ``[start, end)`` of a text; ``level`` and ``title`` are set for headings."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    title: str = ""


def lines(text: str, start: int = 0, end: int | None = None) -> list[Line]:
    """The lines of ``text[start:end]``; offsets are into the whole ``text``."""
    found = []
    stop = len(text) if end is None else end
    while start < stop:
        cut = text.find("\n", start, stop)
        cut = stop if cut < 0 else cut
        found.append(Line(start, cut, text[start:cut]))
        start = cut + 1
    return found


def blocks(text: str, start: int = 0, end: int | None = None) -> list[Block]:
    """All blocks of ``text[start:end]`` in order; only blank lines and rules lie between them."""
    return list(_Scanner(lines(text, start, end)).scan())


def item_starts(text: str, block: Block) -> list[int]:
    """Where the outermost items of a list begin (offsets into ``text``)."""
    starts = [(_indent(x.text), x.start) for x in lines(text, block.start, block.end) if is_item(x)]
    least = min((indent for indent, _ in starts), default=0)
    return [at for indent, at in starts if indent <= least + 1]


def is_item(line: Line) -> bool:
    """Whether a list item begins on this line."""
    return bool(_ITEM.match(line.text)) and not _RULE.match(line.text)


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


class _Scanner:
    def __init__(self, found: list[Line]) -> None:
        self._lines = found
        self._at = 0

    def scan(self) -> Iterator[Block]:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.blank or _RULE.match(line.text):
                self._at += 1
            else:
                yield self._block(line)

    def _block(self, line: Line) -> Block:
        if heading := _ATX.match(line.text):
            self._at += 1
            return Block(
                "heading", line.start, line.end, len(heading.group(1)), heading.group(2) or ""
            )
        if line.text.lstrip().startswith("<!--"):
            return self._comment()
        if _FENCE.match(line.text) and not is_item(line):
            return self._run("code", self._fence_end(self._at))
        if is_item(line):
            return self._list()
        if _TABLE.match(line.text):
            return self._while("table", lambda x: bool(_TABLE.match(x.text)))
        return self._paragraph()

    def _run(self, kind: BlockKind, stop: int) -> Block:
        first, last = self._lines[self._at], self._lines[stop - 1]
        self._at = stop
        return Block(kind, first.start, last.end)

    def _while(self, kind: BlockKind, belongs: Callable[[Line], bool]) -> Block:
        stop = self._at + 1
        while stop < len(self._lines) and belongs(self._lines[stop]):
            stop += 1
        return self._run(kind, stop)

    def _comment(self) -> Block:
        stop = self._at
        while stop < len(self._lines) - 1 and "-->" not in self._lines[stop].text:
            stop += 1
        return self._run("comment", stop + 1)

    def _fence_end(self, at: int) -> int:
        """The index after the closing fence; an open fence runs to the end."""
        opened = _FENCE.match(self._lines[at].text)
        if opened is None:
            return at + 1
        mark = opened.group(1)
        for stop in range(at + 1, len(self._lines)):
            bare = self._lines[stop].text.strip().lstrip("> \t")
            if bare.startswith(mark) and not bare.strip(mark[0]):
                return stop + 1
        return len(self._lines)

    def _list(self) -> Block:
        stop = self._fence_or_next(self._at)
        while stop < len(self._lines):
            line = self._lines[stop]
            if line.blank:
                if not self._goes_on(stop):
                    break
                stop += 1
            elif self._ends_list(line):
                break
            else:
                stop = self._fence_or_next(stop)
        while self._lines[stop - 1].blank:
            stop -= 1
        return self._run("list", stop)

    def _fence_or_next(self, at: int) -> int:
        return self._fence_end(at) if _FENCE.match(self._lines[at].text) else at + 1

    def _goes_on(self, at: int) -> bool:
        """After a blank line a list goes on with an item or an indented line."""
        for line in self._lines[at:]:
            if not line.blank:
                return is_item(line) or _indent(line.text) >= 2
        return False

    def _ends_list(self, line: Line) -> bool:
        if _indent(line.text) >= 2 or is_item(line):
            return False
        text = line.text
        return bool(_ATX.match(text) or _RULE.match(text) or _FENCE.match(text))

    def _paragraph(self) -> Block:
        first = self._lines[self._at]
        stop = self._at + 1
        while stop < len(self._lines):
            line = self._lines[stop]
            if under := _UNDERLINE.match(line.text):
                title = " ".join(x.text.strip() for x in self._lines[self._at : stop])
                self._at = stop + 1
                level = 1 if under.group(1)[0] == "=" else 2
                return Block("heading", first.start, line.end, level, title)
            if line.blank or self._interrupts(line):
                break
            stop += 1
        return self._run("paragraph", stop)

    def _interrupts(self, line: Line) -> bool:
        text = line.text
        return bool(
            _ATX.match(text)
            or _RULE.match(text)
            or _FENCE.match(text)
            or _TABLE.match(text)
            or is_item(line)
        )
