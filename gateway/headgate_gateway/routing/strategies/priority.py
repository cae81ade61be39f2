"""Targets in the order in which the pool lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.ports import Candidate


@dataclass(slots=True)
class Priority:
    """The first target is preferred; the others stand in for it, in order."""

    uses_weight: ClassVar[bool] = False

    def order(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """As listed."""
        return candidates
