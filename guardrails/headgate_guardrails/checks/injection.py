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

_FETCHED: frozenset[At] = frozenset({"passages", "tool_results"})


class _Hit(NamedTuple):
    start: int
    end: int
    phrase: int


@dataclass
class Injection:
    """Injection: orders to drop instructions, prompt leaks, jailbreaks, planted instructions.

    It has no ``context``: phrases add up over a stretch of text, which is cut at fixed offsets.
    """

    sensitivity: Literal["low", "medium", "high"] = "medium"

    version: ClassVar[str] = "1"
    cost: ClassVar[int] = 0
    window = 1500

    async def find(self, text: str, at: At) -> list[Span]:
        """One finding a stretch: from first to last phrase, of the heaviest one's family."""
        hits = sorted(set(self._hits(text, at)))
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
