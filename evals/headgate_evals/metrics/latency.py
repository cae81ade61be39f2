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
        """``latency.total_s``, ``latency.first_token_s`` and ``latency.output_tokens_per_s``.

        A streamed reply of fewer than two tokens has no rate: ``no_answer``.
        """
        streamed = sample.first_token_s is not None
        rate = sample.output_tokens_per_s
        missing = "no_answer" if streamed else "not_streamed"
        estimated = {"estimated": True} if sample.usage.estimated and rate is not None else {}
        return (
            Score("latency.total_s", sample.total_s, version=self.version),
            Score(
                "latency.first_token_s",
                sample.first_token_s,
                "" if streamed else "not_streamed",
                self.version,
            ),
            Score(
                "latency.output_tokens_per_s",
                rate,
                "" if rate is not None else missing,
                self.version,
                estimated,
            ),
        )
