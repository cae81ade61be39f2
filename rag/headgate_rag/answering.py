"""Which statements of the passages answer a question, and how sure one may be that any does.

Ranking: the passages come first, by how near their best statement, heading and whole text are to
the question in meaning and in words and by how well they were found; within a passage, the
statement that is nearest.

Confidence: how near the best statement and its heading are in meaning, and how much of what the
question asks about occurs in the best few passages together: each content word counts by how rare
it is among the passages, and a word that does not occur counts by its nearest word in meaning.
Names that no passage mentions count against an answer, by their share of the question. So does a
question for a figure that the statement does not hold. The name that most passages mention, such
as the product's own, is left out when meanings are compared: it makes all of them look near.

Source of the weights: conditional logistic regression (ranking, on 239 questions) and logistic
regression (confidence) on 259 questions about technical documentation with an answer in it and 147
without one, in ten sets over five collections of documents. With each set in turn left out of the
fit of the confidence, and the provider's default options, 73 % of the former cited the right
section and 4 % of the latter were answered.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from operator import mul

from headgate_core.types import Passage
from headgate_rag.asked import Asked, read
from headgate_rag.statements import Statement
from headgate_rag.words import Weights, content_words, forms, stem, surface_words

Embed = Callable[[Sequence[str]], Awaitable[list[list[float]]]]

NEAR, FAR = 0.8, 0.4
"""Similarity of two single words: from ``FAR`` on they count as related, from ``NEAR`` as one."""

RANKING = (2.32, 2.44, 2.66, 1.62, 2.09, 1.82)
"""Weights of a passage's dense similarity, best statement, heading, heading's words, all its words,
and of one over its rank."""

CONFIDENCE = (2.77, 1.62, 2.33, 3.23, 0.85, 0.83, 2.22, -1.93, -1.29)
"""Weights of the members of ``_evidence``, in its order."""

TOGETHER = 3
"""So many of the best passages are looked through for the words of the question."""

BEHIND = 6.0
"""What a difference of one between statements of a passage takes off a score."""

OFFSET = -5.88
"""The constant of the same regression."""


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


class Reading:
    """The passages of one call, read once and asked any number of questions.

    ``passages`` and ``statements`` are what is read; ``embed`` gives unit-length vectors.
    """

    def __init__(
        self, passages: Sequence[Passage], statements: Sequence[Statement], embed: Embed
    ) -> None:
        self._passages = passages
        self._statements = statements
        self._embed = embed
        self._forms = [forms(s.text) for s in statements]
        self._about = [forms(s.about) for s in statements]
        self._headings = [p.heading[-1] if p.heading else p.title for p in passages]
        self._heading_forms = [forms(h) for h in self._headings]
        self._texts = [" ".join((p.title, *p.heading, p.text)) for p in passages]
        self._whole = [forms(text) for text in self._texts]
        self._weights = Weights(self._whole)

    async def judge(self, question: str) -> Judgement:
        """Rank the statements for ``question``. Raises what ``embed`` raises."""
        asked = read(question, self._whole)
        near = await self._near(asked)
        ranked = self._rank(asked, near)
        if not ranked:
            return Judgement((), 0.0)
        evidence = await self._evidence(asked, ranked, max(near.passages))
        if asked.other_rate(ranked[0].statement.text):
            return Judgement(tuple(ranked), 0.0)  # a rate of another unit is no answer at all
        value = OFFSET + sum(map(mul, CONFIDENCE, evidence))
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

    def _rank(self, asked: Asked, near: _Near) -> list[Scored]:
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
        passages = {place: self._passage(asked, near, place, n) for place, n in best.items()}
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
        parts = (
            near.passages[place],
            near.statements[best],
            near.headings[place],
            asked.overlap(self._weights, self._heading_forms[place]),
            asked.overlap(self._weights, self._whole[place]),
            1 / (1 + place),
        )
        return float(sum(map(mul, RANKING, parts)))

    async def _evidence(
        self, asked: Asked, ranked: Sequence[Scored], dense: float
    ) -> tuple[float, ...]:
        """What ``CONFIDENCE`` weighs, each 0..1 or, for similarities, -1..1."""
        best = ranked[0]
        places = list(dict.fromkeys(s.statement.number - 1 for s in ranked))[:TOGETHER]
        each = [await self._held(asked, place) for place in places]
        together = {word: max(held[word] for held in each) for word in asked.words.values()}
        plain, text = await self._embed([asked.plain, best.statement.text])
        return (
            best.similarity,
            best.heading_similarity,
            dense,
            self._weights.coverage(asked.words.values(), together),
            min(len(asked.words), 8) / 8,
            each[0].get(asked.focus, 0.0) if asked.focus else 1.0,
            _dot(plain, text),
            asked.unknown_share(self._weights),
            float(asked.misses_kind(best.statement.text)),
        )

    async def _held(self, asked: Asked, place: int) -> dict[str, float]:
        """Stem asked for -> 0..1, how fully the passage holds it, in word or in meaning."""
        here = list(dict.fromkeys(surface_words(self._texts[place])))
        held = asked.found(self._whole[place])
        absent = [w for w, s in asked.words.items() if s not in held]
        if absent and here:
            vectors = await self._embed([*absent, *here])
            known = vectors[len(absent) :]
            for word, vector in zip(absent, vectors, strict=False):
                nearest = max(_dot(vector, other) for other in known)
                held[stem(word)] = min(1.0, max(0.0, (nearest - FAR) / (NEAR - FAR)))
        return held


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
