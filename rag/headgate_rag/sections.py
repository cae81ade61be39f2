"""The sections of a document: what stands between one heading and the next."""

from __future__ import annotations

from dataclasses import dataclass

from headgate_rag.blocks import blocks
from headgate_rag.types import Document, Heading


@dataclass(frozen=True, slots=True)
class Section:
    """Characters ``[start, end)`` under ``trail``; the heading's own lines end at ``body``.

    ``leaf``: no deeper heading follows, so that an empty body means an empty section.
    """

    trail: tuple[str, ...]
    anchor: str
    start: int
    body: int
    end: int
    leaf: bool


def sections(document: Document) -> list[Section]:
    """All sections in order, first what stands before the first heading."""
    headings = document.headings
    first = headings[0].start if headings else len(document.text)
    found = [Section((), "", 0, 0, first, leaf=False)]
    trail: list[Heading] = []
    for number, heading in enumerate(headings):
        following = headings[number + 1] if number + 1 < len(headings) else None
        end = following.start if following else len(document.text)
        trail = [h for h in trail if h.level < heading.level] + [heading]
        found.append(
            Section(
                trail=tuple(h.text for h in trail),
                anchor=heading.anchor,
                start=heading.start,
                body=_heading_end(document.text, heading.start, end),
                end=end,
                leaf=following is None or following.level <= heading.level,
            )
        )
    return found


def _heading_end(text: str, start: int, end: int) -> int:
    first = next(iter(blocks(text, start, end)), None)
    return first.end if first and first.kind == "heading" and first.start == start else start
