"""A cache that also knows a question by its meaning, in this process's memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from headgate_core.errors import ConfigurationError
from headgate_core.near import Nearest
from headgate_core.ports import Embedder, Tools
from headgate_core.types import Json, Principal, Purpose
from headgate_gateway.essentials import essentials

Alike: TypeAlias = tuple[str, tuple[str, ...]]
"""Scope and essentials: only questions that are equal in both are compared at all."""

MOST_ALIKE = 32
"""Wordings of one question that are kept."""


@dataclass(slots=True)
class _Entry:
    text: str
    value: Json
    call_id: str
    expires: float
    vector: list[float] | None = None


@dataclass(slots=True)
class Semantic:
    """Serves a delivered answer again when the same thing is asked in other words.

    Off by default; a hit needs a similarity of at least ``min_similarity`` (cosine) and the very
    same numbers, names, negations, directions, units, dates and rest of the conversation.
    Options: ``ttl_s`` seconds an entry lives, ``min_similarity``, ``max_entries`` per worker.
    """

    ttl_s: float = 3600
    min_similarity: float = 0.95
    max_entries: int = 10_000
    _alike: OrderedDict[Alike, list[_Entry]] = field(
        default_factory=OrderedDict, init=False, repr=False
    )
    _exact: OrderedDict[str, tuple[float, Json]] = field(
        default_factory=OrderedDict, init=False, repr=False
    )
    _count: int = field(default=0, init=False, repr=False)
    _embedder: Embedder | None = field(default=None, init=False, repr=False)
    _clock: Callable[[], float] = field(default=time.monotonic, init=False, repr=False)

    def bind(self, tools: Tools) -> None:
        """Take the embedder. Raises ``ConfigurationError`` for a bound that cannot be meant."""
        if not 0 < self.min_similarity <= 1:
            raise ConfigurationError(
                f"A semantic cache's min_similarity is above 0 and at most 1, "
                f"not {self.min_similarity:g}; 0.95 is a good one."
            )
        self._embedder = tools.embedder

    def get(self, key: str) -> Json | None:
        """The value under exactly this key: for calls whose last message is no plain text."""
        entry = self._exact.get(key)
        if entry is None or entry[0] <= self._clock():
            return None
        self._exact.move_to_end(key)
        return entry[1]

    def put(self, key: str, value: Json) -> None:
        """Store ``value`` under exactly this key."""
        self._exact[key] = (self._clock() + self.ttl_s, value)
        self._exact.move_to_end(key)
        while len(self._exact) > self.max_entries:
            self._exact.popitem(last=False)

    async def find(self, scope: str, text: str, principal: Principal) -> Nearest | None:
        """The nearest question that may share an answer, with the answer if it is near enough.

        None when there is no such question. Raises ``HeadgateError`` when embedding fails.
        """
        alike = (scope, essentials(text))
        entries = self._living(alike)
        if not entries:
            return None
        self._alike.move_to_end(alike)
        for entry in entries:
            if entry.text == text:
                return Nearest(1.0, entry.call_id, entry.value)
        vector = await self._embedded(text, entries, principal)
        near = [(_cosine(vector, e.vector), e) for e in entries if e.vector is not None]
        similarity, entry = max(near, key=lambda one: one[0])
        hit = similarity >= self.min_similarity
        return Nearest(similarity, entry.call_id, entry.value if hit else None)

    async def keep(self, scope: str, text: str, value: Json, call_id: str) -> None:
        """Store the answer to ``text``; it is embedded when it is first compared."""
        alike = (scope, essentials(text))
        entries = [e for e in self._living(alike) if e.text != text][-(MOST_ALIKE - 1) :]
        entries.append(_Entry(text, value, call_id, self._clock() + self.ttl_s))
        self._count += len(entries) - len(self._alike.get(alike, ()))
        self._alike[alike] = entries
        self._alike.move_to_end(alike)
        while self._count > self.max_entries:
            self._count -= len(self._alike.popitem(last=False)[1])

    def _living(self, alike: Alike) -> list[_Entry]:
        entries = self._alike.get(alike, [])
        living = [e for e in entries if e.expires > self._clock()]
        if len(living) < len(entries):
            self._count -= len(entries) - len(living)
            if living:
                self._alike[alike] = living
            else:
                del self._alike[alike]
        return living

    async def _embedded(
        self, text: str, entries: list[_Entry], principal: Principal
    ) -> list[float]:
        """The vector of ``text``; entries that have none yet get theirs in the same request."""
        if self._embedder is None:
            raise RuntimeError("bind() comes before find()")
        fresh = [e for e in entries if e.vector is None]
        texts = [text, *(e.text for e in fresh)]
        vectors = await self._embedder.embed(texts, Purpose.EMBED, principal)
        for entry, vector in zip(fresh, vectors[1:], strict=True):
            entry.vector = vector
        return vectors[0]


def _cosine(one: list[float], other: list[float]) -> float:
    """Of two vectors of length 1."""
    return sum(x * y for x, y in zip(one, other, strict=True))
