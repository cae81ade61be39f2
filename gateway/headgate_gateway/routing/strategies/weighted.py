"""Targets at random by weight."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.ports import Candidate


@dataclass(slots=True)
class Weighted:
    """Each call draws an order at random; a target comes first in proportion to its weight.

    Method: exponential keys (Efraimidis and Spirakis, 2006), a weighted shuffle in one pass.
    """

    uses_weight: ClassVar[bool] = True

    def order(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """All targets in a weighted random order."""
        return sorted(candidates, key=lambda c: random.expovariate(c.target.weight))
