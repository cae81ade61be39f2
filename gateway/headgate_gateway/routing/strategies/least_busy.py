"""The target with the fewest calls in flight first."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from headgate_core.ports import Candidate


@dataclass(slots=True)
class LeastBusy:
    """Orders by calls in flight per unit of weight; ties are broken at random."""

    def order(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The least loaded first."""
        return sorted(candidates, key=lambda c: (c.in_flight / c.target.weight, random.random()))
