"""The cheapest target first."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from headgate_core.ports import Candidate


@dataclass(slots=True)
class LowestCost:
    """Orders by the price of a typical call (1,000 tokens in, 500 out); unpriced ones come last."""

    def order(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The cheapest first, equals at random."""
        return sorted(
            candidates, key=lambda c: (c.price_pico is None, c.price_pico or 0, random.random())
        )
