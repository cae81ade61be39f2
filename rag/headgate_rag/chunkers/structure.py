"""Cuts along a document's own structure: sections, then blocks, then sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from headgate_core.errors import ConfigurationError
from headgate_rag.blocks import Block, blocks, item_starts, lines
from headgate_rag.sections import Section, sections
from headgate_rag.sentences import sentences
from headgate_rag.tokens import count_tokens
from headgate_rag.types import Chunk, Document

_Span = tuple[int, int]


@dataclass
class Structure:
    """Cuts along headings, then blocks, then sentences; a chunk never mixes two sections.

    ``max_tokens`` bounds what is embedded, headings included; ``overlap_tokens`` bounds how much
    of the end of one chunk the next one of the same section repeats. Both are estimated word
    pieces (``headgate_rag.tokens``); the default keeps within MiniLM's window of 256.
    """

    max_tokens: int = 240
    overlap_tokens: int = 30

    def __post_init__(self) -> None:
        if self.max_tokens < 32:
            raise ConfigurationError("chunker 'structure': max_tokens must be 32 or more.")
        if not 0 <= self.overlap_tokens <= self.max_tokens // 2:
            raise ConfigurationError(
                "chunker 'structure': overlap_tokens must be 0 or more and at most half of "
                f"max_tokens ({self.max_tokens // 2})."
            )

    def cut(self, document: Document) -> list[Chunk]:
        """The chunks in order. Everything but headings, comments and rules is in at least one."""
        chunks: list[Chunk] = []
        for section in sections(document):
            head = self._head(document, section)
            room = self.max_tokens - count_tokens(head)
            for start, end in self._pack(document.text, self._units(document, section, room), room):
                text = document.text[start:end]
                chunks.append(
                    Chunk(
                        document=document.path,
                        ordinal=len(chunks),
                        text=text,
                        start=start,
                        end=end,
                        title=document.title,
                        heading=section.trail,
                        anchor=section.anchor,
                        embedded=f"{head}\n\n{text}" if head else text,
                        metadata=document.metadata,
                    )
                )
        return chunks

    def _head(self, document: Document, section: Section) -> str:
        """Title and headings, outermost dropped first where they would take a third of the room."""
        parts = [document.title, *section.trail]
        if len(parts) > 1 and parts[0] == parts[1]:
            parts = parts[1:]
        while parts and count_tokens(" > ".join(parts)) > self.max_tokens // 3:
            parts = parts[1:]
        return " > ".join(parts)

    def _units(self, document: Document, section: Section, room: int) -> list[_Span]:
        """What is kept whole: blocks, or their parts where a block does not fit."""
        text = document.text
        found: list[_Span] = []
        for block in blocks(text, section.body, section.end):
            if block.kind != "comment":
                found.extend(self._fitting(text, (block.start, block.end), room, block))
        if not found and section.leaf:
            found = list(self._fitting(text, (section.start, section.body), room))
        return found

    def _fitting(
        self, text: str, span: _Span, room: int, block: Block | None = None
    ) -> Iterator[_Span]:
        if not text[span[0] : span[1]].strip():
            return
        if count_tokens(text[span[0] : span[1]]) <= room:
            yield span
            return
        parts = _parts(text, span, block)
        if len(parts) > 1:
            for part in parts:
                yield from self._fitting(text, part, room)
        else:
            yield from _windows(text, span, room)

    def _pack(self, text: str, units: list[_Span], room: int) -> Iterator[_Span]:
        if not units:
            return
        start, end = units[0]
        for unit in units[1:]:
            if count_tokens(text[start : unit[1]]) > room:
                yield start, end
                start = self._overlapped(text, (start, end), unit, room)
            end = unit[1]
        yield start, end

    def _overlapped(self, text: str, before: _Span, unit: _Span, room: int) -> int:
        """Where the next chunk begins: at ``unit``, or some whole sentences earlier."""
        best = unit[0]
        for start, _ in reversed(sentences(text, *before)):
            fits = count_tokens(text[start : unit[1]]) <= room
            if start <= before[0] or not fits:
                break
            if count_tokens(text[start : before[1]]) > self.overlap_tokens:
                break
            best = start
        return best


def _parts(text: str, span: _Span, block: Block | None) -> list[_Span]:
    kind = block.kind if block else ""
    if block and kind == "list":
        starts = item_starts(text, block)
        parts = list(zip(starts, [*starts[1:], span[1]], strict=True))
        return [_trimmed(text, part) for part in parts]
    if kind in {"table", "code"}:
        return [(x.start, x.end) for x in lines(text, *span) if not x.blank]
    found = sentences(text, *span)
    if len(found) > 1:
        return found
    return [(x.start, x.end) for x in lines(text, *span) if not x.blank]


def _windows(text: str, span: _Span, room: int) -> Iterator[_Span]:
    """Runs of words that fit; a single word that does not fit is cut."""
    start = end = -1
    for word in re.finditer(rf"\S{{1,{room}}}", text[span[0] : span[1]]):
        left, right = span[0] + word.start(), span[0] + word.end()
        if start >= 0 and count_tokens(text[start:right]) > room:
            yield start, end
            start = left
        start = left if start < 0 else start
        end = right
    if start >= 0:
        yield start, end


def _trimmed(text: str, span: _Span) -> _Span:
    return span[0], span[0] + len(text[span[0] : span[1]].rstrip())
