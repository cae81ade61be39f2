"""Passages as a template sees them: numbered, and delimited as text that is not to be obeyed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headgate_core.types import Passage

_TAG = re.compile(r"<(?=\s*/?\s*source\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """One passage: ``{{ source.number }}``, ``.title``, ``.heading``, ``.text``, ``.url``."""

    number: int
    title: str
    heading: str
    """The trail of headings, e.g. ``Returns > Opened devices``."""
    text: str
    document: str
    url: str

    def __str__(self) -> str:
        trail = " > ".join(part for part in (self.title or self.document, self.heading) if part)
        return (
            f'<source id="{self.number}">\n[{self.number}] {trail}'.rstrip()
            + f"\n{self.text}\n</source>"
        )


class Sources:
    """What ``{{ passages }}`` is: text when written, a list when looped over."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._sources = tuple(_source(n, passage) for n, passage in enumerate(passages, 1))

    def __iter__(self) -> Iterator[Source]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, index: int) -> Source:
        return self._sources[index]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self._sources)) or "No sources were found."


def _source(number: int, passage: Passage) -> Source:
    return Source(
        number,
        _line(passage.title),
        " > ".join(_line(part) for part in passage.heading),
        _TAG.sub("&lt;", passage.text.strip()),
        _line(passage.document),
        _line(passage.url),
    )


def _line(text: str) -> str:
    """One line, so that a title cannot begin a new block."""
    return _TAG.sub("&lt;", " ".join(text.split()))
