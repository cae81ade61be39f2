"""What a passage states, piece by piece: sentences, list items, table rows, each readable alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from headgate_core.types import Passage
from headgate_rag.blocks import Block, blocks, item_starts, lines
from headgate_rag.plain import clean
from headgate_rag.sentences import sentences

MAX_WORDS = 70
"""A statement longer than this is not built; parts of it are."""

_LEANS = re.compile(
    r"(?:it|its|this|that|these|those|they|them|their|he|she|such|then|there|here|otherwise|also|"
    r"both|neither|instead|so|thus|hence|therefore|however|but|and|or|if so|in that case)\b",
    re.IGNORECASE,
)
_LINKS_ONLY = re.compile(
    r"(?:[\s*_>#|;,.:-]|\d+[.)]|!?\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\]|:\s*\S+)?)+"
)
_SEPARATOR = re.compile(r"[\s|:-]+")
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Statement:
    """A piece of passage ``number`` (1-based), without Markdown marks.

    ``about``: the heading and lead-in that it stands under, for judging what it speaks of.
    ``at``: where in the passage's text it begins.
    """

    number: int
    text: str
    about: str
    at: int


def statements(number: int, passage: Passage) -> list[Statement]:
    """All statements of a passage in order; a passage of code alone gives its first lines."""
    heading = " > ".join(passage.heading[-2:]) or passage.title
    reader = _Reader(number, passage.text, heading)
    found = [s for s in reader.read() if len(s.text.split()) >= 2 and re.search(r"\w\w", s.text)]
    if found or not passage.text.strip():
        return found
    words = clean(passage.text).split()[:MAX_WORDS]
    return [Statement(number, " ".join(words), heading, 0)] if words else []


class _Reader:
    def __init__(self, number: int, text: str, heading: str) -> None:
        self._number = number
        self._text = text
        self._heading = heading
        self._lead = ""

    def read(self) -> Iterator[Statement]:
        for block in blocks(self._text):
            lead = self._lead
            self._lead = ""
            match block.kind:
                case "paragraph":
                    yield from self._paragraph(block.start, block.end)
                case "list":
                    yield from self._list(block, lead)
                case "table":
                    yield from self._table(block)
                case "code" if lead:
                    yield from self._code(block, lead)

    def _made(self, text: str, at: int, lead: str = "") -> Statement:
        about = f"{self._heading}: {lead.rstrip(':')}" if lead else self._heading
        return Statement(self._number, text, about, at)

    def _said(self, start: int, end: int) -> str:
        """The plain words of a span; nothing for what only links elsewhere."""
        text = self._text[start:end]
        return "" if _LINKS_ONLY.fullmatch(text) else clean(text)

    def _paragraph(self, start: int, end: int, lead: str = "") -> Iterator[Statement]:
        before = ""
        for left, right in sentences(self._text, start, end):
            text = self._said(left, right)
            if not text:
                continue
            if text.endswith(":"):
                self._lead = text
                before = ""
                continue
            joined = f"{before} {text}" if before and _LEANS.match(text) else text
            if len(joined.split()) > MAX_WORDS:
                joined = text
            yield self._made(joined, left, lead)
            before = text

    def _list(self, block: Block, lead: str) -> Iterator[Statement]:
        starts = item_starts(self._text, block)
        ends = [*starts[1:], block.end]
        items = [self._said(a, b) for a, b in zip(starts, ends, strict=True)]
        whole = f"{lead} {'; '.join(item.rstrip('.;') for item in items)}.".strip()
        if lead and all(items) and len(items) > 1 and len(whole.split()) <= MAX_WORDS:
            yield self._made(whole, block.start)
        for start, end, item in zip(starts, ends, items, strict=True):
            if len(item.split()) > MAX_WORDS:
                yield from self._paragraph(start, end, lead)
            elif item:
                short = len(item.split()) < 6 and len(lead.split()) < 25
                yield self._made(f"{lead} {item}" if lead and short else item, start, lead)

    def _table(self, block: Block) -> Iterator[Statement]:
        rows = lines(self._text, block.start, block.end)
        header = len(rows) > 1 and _SEPARATOR.fullmatch(rows[1].text)
        names = _cells(rows[0].text) if header else []
        for row in rows[2:] if header else rows:
            if not _SEPARATOR.fullmatch(row.text):
                yield self._made(_row(names, _cells(row.text)), row.start)

    def _code(self, block: Block, lead: str) -> Iterator[Statement]:
        inner = [x.text.strip() for x in lines(self._text, block.start, block.end)[1:-1]]
        code = " ".join(x for x in inner if x)
        text = f"{lead} {code}"
        if code and len(text.split()) <= MAX_WORDS:
            yield self._made(text, block.start)


def _cells(row: str) -> list[str]:
    return [clean(c.replace("\\|", "|")) for c in _CELL.split(row.strip().strip("|"))]


def _row(names: list[str], cells: list[str]) -> str:
    """A row as words; of several values each has its column's name."""
    first, *values = cells
    if len(names) == len(cells) > 2:
        values = [f"{n}: {v}" if n and v else v for n, v in zip(names[1:], values, strict=True)]
    said = "; ".join(filter(None, values))
    return ": ".join(filter(None, (first, said)))
