"""Last: usage and cost of all attempts of the call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.types import Usage
from headgate_gateway.plan import RoutePlan


@dataclass(slots=True)
class Settle:
    """Adds up what the attempts were settled with; each attempt was priced where it ended."""

    name: ClassVar[str] = "settle"
    last: ClassVar[bool] = True
    reenter: ClassVar[bool] = False

    @classmethod
    def compile(cls, plan: RoutePlan) -> Settle:
        """Every route has it."""
        return cls()

    async def run(self, ctx: Context) -> None:
        """Set ``ctx.usage``, ``ctx.cost_pico`` and ``ctx.unpriced``."""
        for attempt in ctx.attempts:
            if attempt["usage"] is not None:
                ctx.usage = ctx.usage + Usage(**attempt["usage"])
            if attempt["cost_pico"] is None:
                ctx.unpriced = True
            else:
                ctx.cost_pico += attempt["cost_pico"]
