"""Which statements of the passages answer a question, and how sure one may be that any does.

Ranking: the passages come first, by how near their best statement, heading and whole text are to
the question in meaning and in words, by how near they come to it word by word, and by how well
they were found; within a passage, the statement that is nearest.

Confidence: for each word of the question, how near the best passage comes to it (late interaction:
the nearest token of the passage, both in their context); a word counts by how rare it is among the
passages. The part of the question that the passage is farthest from counts once more, because one
thing that a passage says nothing about can make it no answer. Names that no passage mentions count
against an answer, by their share of the question. So does a question for a figure that the
statement does not hold. The name that most passages mention, such as the product's own, is left
out: it makes all of them look near.

The weights and where they come from stand in ``calibration.py``.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import mul

from headgate_core.types import Passage
from headgate_rag.asked import Asked, read
from headgate_rag.calibration import CONFIDENCE, OFFSET, RANKING
from headgate_rag.nearness import Nearness
from headgate_rag.statements import Statement
from headgate_rag.words import Weights, content_words, forms, stem, surface_words

Embed = Callable[[Sequence[str]], Awaitable[list[list[float]]]]
Compare = Callable[[str, Sequence[str]], Awaitable[Nearness]]

BEHIND = 6.0
"""What a difference of one between statements of a passage takes off a score."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A statement, how well it answers, and the parts that confidence looks at again, all 0..1.

    ``score`` is that of its passage, less what it lacks to the best statement there.
    ``similarity`` and ``overlap``: of the statement, in meaning and in words;
    ``heading_similarity``: of the heading of its passage.
    """

    statement: Statement
    score: float
    similarity: float
    overlap: float
    heading_similarity: float = 0.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """All statements, best first, and 0..1: how sure one may be that the best is an answer."""

    ranked: tuple[Scored, ...]
    confidence: float


@dataclass(frozen=True, slots=True)
class _Near:
    """Similarities to one question: of each statement, of each passage's heading and whole."""

    statements: Sequence[float]
    headings: Sequence[float]
    passages: Sequence[float]


class _Told:
    """How much of a question each passage tells, word by word; ``nearness`` is over passages."""

    def __init__(self, asked: Asked, nearness: Nearness, weights: Weights) -> None:
        common = set(surface_words(asked.text)) - set(surface_words(asked.plain))
        self._nearness = nearness
        self._words = nearness.words(asked.text, sorted(common))
        self._stems = [stem(word) for word, _ in self._words]
        self._weights = [weights.of(each) for each in self._stems]
        self.length = math.log(1 + len(nearness.spans))

    def share(self, place: int) -> float:
        """The weighted mean, -1..1, over the words of how near the passage comes to each."""
        total = sum(self._weights)
        return sum(map(mul, self._weights, self._near(place))) / total if total else 0.0

    def of(self, word: str, place: int) -> float:
        """How near the passage comes to the word with that stem; 1 for a word not asked for."""
        return max(
            (v for s, v in zip(self._stems, self._near(place), strict=True) if s == word),
            default=1.0,
        )

    def weakest(self, place: int) -> float:
        """How near the passage comes to the part of the question that it is farthest from."""
        return self._nearness.weakest(place)

    def _near(self, place: int) -> list[float]:
        return self._nearness.of_words(place, self._words)


class Reading:
    """The passages of one call, read once and asked any number of questions.

    ``passages`` and ``statements`` are what is read; ``embed`` gives unit-length vectors and
    ``compare`` the nearness of a question's tokens to texts.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        statements: Sequence[Statement],
        embed: Embed,
        compare: Compare,
    ) -> None:
        self._passages = passages
        self._statements = statements
        self._embed = embed
        self._compare = compare
        self._forms = [forms(s.text) for s in statements]
        self._about = [forms(s.about) for s in statements]
        self._headings = [p.heading[-1] if p.heading else p.title for p in passages]
        self._heading_forms = [forms(h) for h in self._headings]
        self._whole = [forms(" ".join((p.title, *p.heading, p.text))) for p in passages]
        self._weights = Weights(self._whole)

    async def judge(self, question: str) -> Judgement:
        """Rank the statements for ``question``. Raises what ``embed`` and ``compare`` raise."""
        if not self._statements:
            return Judgement((), 0.0)
        asked = read(question, self._whole)
        near = await self._near(asked)
        nearness = await self._compare(asked.text, [_whole(p) for p in self._passages])
        told = _Told(asked, nearness, self._weights)
        ranked = self._rank(asked, near, told)
        if not asked.words or asked.other_rate(ranked[0].statement.text):
            # Nothing was asked, or a rate: one of another unit is no answer at all.
            return Judgement(tuple(ranked), 0.0)
        value = OFFSET + _weighed(CONFIDENCE, self._evidence(asked, ranked, told))
        return Judgement(tuple(ranked), round(1 / (1 + math.exp(-value)), 6))

    async def _near(self, asked: Asked) -> _Near:
        """Passages that were found by meaning bring their similarity along."""
        unscored = [n for n, p in enumerate(self._passages) if "dense" not in p.scores]
        texts = [f"{s.about}: {s.text}" for s in self._statements]
        whole = [_whole(self._passages[n]) for n in unscored]
        vectors = await self._embed([asked.plain, asked.text, *texts, *self._headings, *whole])
        plain, full, *rest = vectors
        last = len(texts) + len(self._headings)
        near = [_dot(plain, vector) for vector in rest[:last]]
        passages = [p.scores.get("dense", 0.0) for p in self._passages]
        for n, vector in zip(unscored, rest[last:], strict=True):
            passages[n] = _dot(full, vector)
        return _Near(near[: len(texts)], near[len(texts) :], passages)

    def _rank(self, asked: Asked, near: _Near, told: _Told) -> list[Scored]:
        overlaps = [self._overlap(asked, n) for n in range(len(self._statements))]
        own = [
            near.statements[n] + 0.15 * overlaps[n] + 0.1 * min(len(s.text.split()), 8) / 8
            for n, s in enumerate(self._statements)
        ]
        best: dict[int, int] = {}
        for n, statement in enumerate(self._statements):
            place = statement.number - 1
            if place not in best or own[n] > own[best[place]]:
                best[place] = n
        passages = {
            place: self._passage(asked, near, place, n) + RANKING["told"] * told.share(place)
            for place, n in best.items()
        }
        scored = []
        for n, statement in enumerate(self._statements):
            place = statement.number - 1
            score = passages[place] - BEHIND * (own[best[place]] - own[n])
            parts = near.statements[n], overlaps[n], near.headings[place]
            scored.append(Scored(statement, round(score, 6), *parts))
        return sorted(scored, key=lambda s: -s.score)

    def _overlap(self, asked: Asked, n: int) -> float:
        """Of statement ``n``; a word of its heading or lead-in counts in part."""
        alone = asked.overlap(self._weights, self._forms[n])
        return 0.3 * alone + 0.7 * asked.overlap(self._weights, self._forms[n] | self._about[n])

    def _passage(self, asked: Asked, near: _Near, place: int, best: int) -> float:
        parts = {
            "passage": near.passages[place],
            "statement": near.statements[best],
            "heading": near.headings[place],
            "heading_words": asked.overlap(self._weights, self._heading_forms[place]),
            "words": asked.overlap(self._weights, self._whole[place]),
            "rank": 1 / (1 + place),
        }
        return _weighed(RANKING, parts)

    def _evidence(self, asked: Asked, ranked: Sequence[Scored], told: _Told) -> Mapping[str, float]:
        """What ``CONFIDENCE`` weighs, each 0..1 or, for similarities, -1..1."""
        best = ranked[0]
        place = best.statement.number - 1
        return {
            "told": told.share(place),
            "weakest": told.weakest(place),
            "heading": best.heading_similarity,
            "focus": told.of(asked.focus, place) if asked.focus else 1.0,
            "length": told.length,
            "unknown": asked.unknown_share(self._weights),
            "kind": float(asked.misses_kind(best.statement.text)),
        }


def choose(ranked: Sequence[Scored], most: int, margin: float) -> list[Statement]:
    """The best statement of each passage, best passage first, then others, ``most`` in all.

    Nothing more than ``margin`` below the best score is chosen, nor what repeats a chosen one.
    Ordered by passage, the best one's first, and then as they stand in it.
    """
    near = [s for s in ranked if s.score >= ranked[0].score - margin]
    firsts = list({s.statement.number: s for s in reversed(near)}.values())
    firsts.sort(key=lambda s: -s.score)
    rest = [s for s in near if s not in firsts]
    chosen: list[Statement] = []
    for scored in (*firsts, *rest):
        if len(chosen) < most and not any(_repeats(scored.statement, c) for c in chosen):
            chosen.append(scored.statement)
    order = list(dict.fromkeys(s.number for s in chosen))
    return sorted(chosen, key=lambda s: (order.index(s.number), s.at))


def _repeats(one: Statement, other: Statement) -> bool:
    if one.text in other.text or other.text in one.text:
        return True
    mine, theirs = set(content_words(one.text)), set(content_words(other.text))
    return len(mine & theirs) > 0.6 * min(len(mine), len(theirs))


def _whole(passage: Passage) -> str:
    return "\n\n".join((" > ".join((passage.title, *passage.heading)), passage.text))


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return float(sum(map(mul, one, other)))


def _weighed(weights: Mapping[str, float], parts: Mapping[str, float]) -> float:
    return sum(weights[name] * value for name, value in parts.items())
