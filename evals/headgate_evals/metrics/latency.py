"""How long the call took, as the caller saw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.types import Sample, Score


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds to the whole reply and to its first token, and output tokens per second.

    The first token and the rate exist on streamed calls alone: ``not_streamed`` elsewhere.
    """

    version: ClassVar[str] = "1"

    async def score(self, sample: Sample) -> Sequence[Score]:
        """``latency.total_s``, ``latency.first_token_s`` and ``latency.output_tokens_per_s``."""
        return (
            Score("latency.total_s", sample.total_s, version=self.version),
            self._streamed("latency.first_token_s", sample.first_token_s),
            self._streamed("latency.output_tokens_per_s", sample.output_tokens_per_s),
        )

    def _streamed(self, metric: str, value: float | None) -> Score:
        return Score(metric, value, "" if value is not None else "not_streamed", self.version)
