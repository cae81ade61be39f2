"""The target that is likely to answer first comes first."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from headgate_core.ports import Candidate


@dataclass(slots=True)
class LowestLatency:
    """Orders by the moving average of the time to first token, times the calls in flight plus one.

    Without the calls in flight a burst would go to one target before its first token shows that
    it has become slow. Targets without an average come first. ``explore_share`` of the calls are
    ordered at random, so that a target that was slow once is measured again.
    """

    explore_share: float = 0.05

    def order(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The one that is likely to be fastest first, equals at random."""
        if random.random() < self.explore_share:
            return random.sample(candidates, len(candidates))
        return sorted(candidates, key=lambda c: (_expected_s(c), random.random()))


def _expected_s(candidate: Candidate) -> float:
    return (candidate.first_token_s or 0.0) * (candidate.in_flight + 1)
