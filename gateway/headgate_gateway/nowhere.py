"""Where calls end that name no known model: 401 first, then 404 with what the key may use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.errors import ModelNotFound
from headgate_core.pipeline import Pipeline
from headgate_core.plugins import unknown
from headgate_gateway.plan import RoutePlan
from headgate_gateway.stages.admit import may_use
from headgate_gateway.stages.authenticate import Authenticate
from headgate_gateway.stages.record import Record
from headgate_gateway.stages.settle import Settle


@dataclass(slots=True)
class Nowhere:
    """Raises ``ModelNotFound``."""

    name: ClassVar[str] = "nowhere"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    plan: RoutePlan

    async def run(self, ctx: Context) -> None:
        """Name the nearest model and all that this key may use."""
        models = self.plan.parts.models
        usable = sorted(n for n, plan in models.items() if may_use(ctx.payer, plan))
        text = unknown("model", ctx.asked_model, usable)
        raise ModelNotFound(text[0].upper() + text[1:], param="model")


def nowhere(plan: RoutePlan) -> Pipeline:
    """Authenticate, refuse, record."""
    stages = (Authenticate.compile(plan), Nowhere(plan), Settle.compile(plan), Record.compile(plan))
    return Pipeline(stages)
