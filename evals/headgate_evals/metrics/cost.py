"""What the call cost: every paid attempt that it took, and its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.money import PICO
from headgate_core.types import Sample, Score


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars, input tokens and output tokens of one call; ``unpriced`` where no price is known.

    Money stays integer pico-dollars everywhere else; here, for statistics alone, the amount
    becomes the float nearest to it.
    """

    version: ClassVar[str] = "1"

    async def score(self, sample: Sample) -> Sequence[Score]:
        """``cost.usd``, ``cost.input_tokens`` and ``cost.output_tokens``."""
        tokens = {"estimated": True} if sample.usage.estimated else {}
        return (
            self._usd(sample.cost_pico),
            Score("cost.input_tokens", float(sample.usage.input_tokens), "", self.version, tokens),
            Score(
                "cost.output_tokens", float(sample.usage.output_tokens), "", self.version, tokens
            ),
        )

    def _usd(self, cost_pico: int | None) -> Score:
        if cost_pico is None:
            return Score("cost.usd", None, "unpriced", self.version)
        return Score("cost.usd", cost_pico / int(PICO), version=self.version)
