"""What a question asks for, read from its words alone."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass

from headgate_rag.words import Weights, compounds, names, stem, surface_words

_FOCUS = re.compile(r".*\b(?:which|what|how many|how much|whose)\b(.*)", re.I | re.S)
_FIGURE_ASKED = re.compile(r"(?:when (?:was|were|did|will)|how (?:many|much|long|old))\b", re.I)
_FIGURE = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twice|half|hundred|thousand|"
    r"second|minute|hour|day|week|month|year)s?\b",
    re.IGNORECASE,
)
_RATE = re.compile(r"\b(?:per|an?|each|every) (second|minute|hour|day|week|month|year)\b", re.I)
_HISTORY = re.compile(
    r"(?:when (?:was|were|did|will)|who (?:founded|invented|made|wrote|won|is|was))\b", re.I
)
_TOKEN = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it is compared with passages.

    ``plain``: the text without the names that most passages mention, such as the product's own,
    because they make any passage look near. ``words``: surface word -> its stem. ``focus``: the
    stem that ``which`` or ``what`` asks for, if any. ``unknown``: names that no passage mentions.
    """

    text: str
    plain: str
    words: dict[str, str]
    joined: dict[str, set[str]]
    focus: str
    unknown: frozenset[str]

    def found(self, forms: Set[str]) -> dict[str, float]:
        """The stems asked for that are among ``forms``, alone or as a compound; each counts 1."""
        stems = set(self.words.values())
        return {s: 1.0 for s in stems if s in forms or self.joined.get(s, set()) & forms}

    def overlap(self, weights: Weights, forms: Set[str]) -> float:
        """The weighted share, 0..1, of the question's words among ``forms``."""
        return weights.coverage(self.words.values(), self.found(forms))

    def unknown_share(self, weights: Weights) -> float:
        """How much, 0..1, of what the question asks hangs on names that no passage mentions."""
        return weights.coverage(self.words.values(), dict.fromkeys(self.unknown, 1.0))

    def misses_kind(self, statement: str) -> bool:
        """Whether a figure is asked for and not stated, or a piece of history is asked for."""
        lacks = _FIGURE_ASKED.match(self.text) and not _FIGURE.search(statement)
        return bool(lacks or _HISTORY.match(self.text))

    def other_rate(self, statement: str) -> bool:
        """Whether a rate is asked for, such as so many per second, and none of that unit stated."""
        rate = _RATE.search(self.text) if _FIGURE_ASKED.search(self.text) else None
        stated = {unit.lower() for unit in _RATE.findall(statement)}
        return rate is not None and rate[1].lower() not in stated


def read(question: str, passages: Sequence[Set[str]]) -> Asked:
    """Read a question against the stems of each passage."""
    called = names(question)
    common = {n for n in called if 2 * sum(n in p for p in passages) >= len(passages)}
    unknown = frozenset(n for n in called if not any(n in p for p in passages))
    plain = _TOKEN.sub(lambda m: "" if _is(m.group(), common) else m.group(), question)
    plain = " ".join(plain.split())
    words = {w: stem(w) for w in surface_words(question)}
    after = _FOCUS.match(question)
    focus = next((stem(w) for w in surface_words(after[1])), "") if after else ""
    usable = bool(surface_words(plain))
    return Asked(
        question, plain if usable else question, words, compounds(question), focus, unknown
    )


def _is(word: str, common: Set[str]) -> bool:
    return word[0].isupper() and stem(word) in common
