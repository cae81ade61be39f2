"""Attempts to take over the assistant, in English and German, by what they say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from headgate_core.types import At, Span
from headgate_guardrails.patterns.normalise import Normal, normalise, unfold
from headgate_guardrails.patterns.phrases import PHRASES

ENOUGH = {"low": 1.0, "medium": 1.0, "high": 0.7}
"""The weight that is a finding. At low, lighter phrases do not add up."""

_QUOTED = re.compile(
    r"\"[^\"\n]{1,400}\"|\u201c[^\u201d\n]{1,400}\u201d|\u201e[^\u201c\u201d\n]{1,400}[\u201c\u201d]"
    r"|`[^`\n]{1,400}`|\u00ab[^\u00bb\n]{1,400}\u00bb"
)
_FETCHED: frozenset[At] = frozenset({"passages", "tool_results"})


class _Hit(NamedTuple):
    start: int
    end: int
    phrase: int


@dataclass
class Injection:
    """Injection: orders to drop instructions, prompt leaks, jailbreaks, planted instructions.

    Phrases add up over a stretch of text, so it is cut at fixed offsets (there is no ``context``).
    ``quoted: skip`` passes over phrases in quotation marks or backticks: for texts that are known
    to write about attacks. Whoever can plant a text can quote it as well, so the default counts.
    """

    sensitivity: Literal["low", "medium", "high"] = "medium"
    quoted: Literal["count", "skip"] = "count"

    version: ClassVar[str] = "1"
    cost: ClassVar[int] = 0
    joined: ClassVar[bool] = True
    """More text adds phrases and takes none away."""
    window = 1500

    async def find(self, text: str, at: At) -> list[Span]:
        """One finding a stretch: from first to last phrase, of the heaviest one's family."""
        hits = sorted(set(self._hits(text, at)))
        if hits and self.quoted == "skip":
            mentions = [match.span() for match in _QUOTED.finditer(text)]
            hits = [h for h in hits if not any(s < h.start and h.end < e for s, e in mentions)]
        by_phrase = {hit.phrase: PHRASES[hit.phrase].weight for hit in hits}
        total = max if self.sensitivity == "low" else sum
        score = total(by_phrase.values()) if by_phrase else 0.0
        if score < ENOUGH[self.sensitivity]:
            return []
        heaviest = max(by_phrase, key=lambda n: (by_phrase[n], -n))
        strong = [hit for hit in hits if PHRASES[hit.phrase].weight >= 1.0] or hits
        start, end = min(hit.start for hit in strong), max(hit.end for hit in strong)
        return [Span(start, end, PHRASES[heaviest].family, min(1.0, score / 2))]

    def _hits(self, text: str, at: At) -> Iterator[_Hit]:
        phrases = [(n, p) for n, p in enumerate(PHRASES) if at in _FETCHED or not p.documents]
        plain = normalise(text)
        for number, phrase in phrases:
            if any(hint in plain.text for hint in phrase.hints):
                yield from _search(plain, phrase.strict, number)
        unfolded = unfold(plain)
        if unfolded is None:
            return
        tight = unfolded.text.replace(" ", "")
        for number, phrase in phrases:
            if any(hint in tight for hint in phrase.tight_hints):
                yield from _search(unfolded, phrase.loose, number)


def _search(normal: Normal, pattern: re.Pattern[str], number: int) -> Iterator[_Hit]:
    for match in pattern.finditer(normal.text):
        yield _Hit(*normal.original(match.start(), match.end()), number)
