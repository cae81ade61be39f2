"""Targets in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from headgate_core.ports import Candidate


@dataclass(slots=True)
class RoundRobin:
    """Each call begins one target further on; the rest follow in the pool's order."""

    _next: int = field(default=0, init=False, repr=False)

    def order(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The list, rotated by one more for every call."""
        start = self._next % len(candidates)
        self._next = start + 1
        return [*candidates[start:], *candidates[:start]]
