"""A check."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar

from headgate_core.types import At, Span


@dataclass
class Swearing:
    """Finds words that ACME does not print. Option: ``words``."""

    version: ClassVar[str] = "1"
    words: list[str] = field(default_factory=lambda: ["darn"])

    @property
    def window(self) -> int:
        """The longest word."""
        return max(map(len, self.words))

    async def find(self, text: str, at: At) -> list[Span]:
        """Every occurrence, whatever its case."""
        pattern = "|".join(map(re.escape, self.words))
        found = re.finditer(pattern, text, re.IGNORECASE)
        return [Span(m.start(), m.end(), "swearing") for m in found]
