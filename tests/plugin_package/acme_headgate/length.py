"""A metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.types import Sample, Score


@dataclass
class Length:
    """Characters of the answer."""

    version: ClassVar[str] = "1"

    async def score(self, sample: Sample) -> Sequence[Score]:
        """One number, or the reason why there is none."""
        if sample.answer is None:
            return [Score("acme_length", None, "not_captured", self.version)]
        return [Score("acme_length", float(len(sample.answer)), version=self.version)]
