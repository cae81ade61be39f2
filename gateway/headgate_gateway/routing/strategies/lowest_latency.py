"""The target that answered fastest of late first."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from headgate_core.ports import Candidate


@dataclass(slots=True)
class LowestLatency:
    """Orders by the moving average of the time to first token; targets without one come first.

    ``explore_share`` of the calls are ordered at random, so that a target that was slow once is
    measured again.
    """

    explore_share: float = 0.05

    def order(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The fastest first."""
        if random.random() < self.explore_share:
            return random.sample(candidates, len(candidates))
        return sorted(candidates, key=lambda c: (c.first_token_s or 0.0, random.random()))
