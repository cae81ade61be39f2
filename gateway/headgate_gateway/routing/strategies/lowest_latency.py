"""The target that is likely to answer first comes first."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from headgate_core.ports import Candidate

ANY_S = 1.0
"""Stands for the average where no target has one: then the calls in flight alone decide."""


@dataclass(slots=True)
class LowestLatency:
    """Orders by the moving average of the time to first content, times calls in flight plus one.

    Without the calls in flight a burst would go to one target before its first content shows that
    it has become slow. A target without an average counts as a middling one of the others, so
    that it is measured, and gets no burst before it is. ``explore_share`` of the calls are
    ordered at random, so that a target that was slow once is measured again.
    """

    explore_share: float = 0.05

    def order(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The one that is likely to be fastest first, equals at random."""
        if random.random() < self.explore_share:
            return random.sample(candidates, len(candidates))
        known = [c.first_token_s for c in candidates if c.first_token_s is not None]
        middling_s = statistics.median(known) if known else ANY_S

        def expected_s(candidate: Candidate) -> float:
            known_s = candidate.first_token_s
            return (middling_s if known_s is None else known_s) * (candidate.in_flight + 1)

        return sorted(candidates, key=lambda c: (expected_s(c), random.random()))
