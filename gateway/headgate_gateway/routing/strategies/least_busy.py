"""The less busy of two targets drawn at random."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.ports import Candidate


@dataclass(slots=True)
class LeastBusy:
    """Draws two targets by weight and takes the one with fewer calls in flight for its weight.

    Method: power of two choices (Mitzenmacher, 2001). Comparing all targets would balance a
    little better, but it sends every call to a target that fails at once, because such a one is
    never busy, and it lets several processes, which do not see each other's calls, agree on one.
    """

    uses_weight: ClassVar[bool] = True

    def order(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The choice first; after it, each time, the less busy of the one left and a new one."""
        drawn = sorted(candidates, key=lambda c: random.expovariate(c.target.weight))
        ordered: list[Candidate] = []
        left = drawn[0]
        for fresh in drawn[1:]:
            taken, left = (left, fresh) if _load(left) <= _load(fresh) else (fresh, left)
            ordered.append(taken)
        return [*ordered, left]


def _load(candidate: Candidate) -> float:
    return candidate.in_flight / candidate.target.weight
