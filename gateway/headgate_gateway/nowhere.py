"""Where calls end that name no known model, or one that does not serve their endpoint.

Who is calling and what they may use comes first: 401 and 403 before 404 or 400.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.endpoints import ENDPOINT_OF
from headgate_core.errors import InvalidRequest, ModelNotFound
from headgate_core.pipeline import Pipeline
from headgate_core.plugins import unknown
from headgate_gateway.plan import RoutePlan
from headgate_gateway.stages.admit import Admit, may_use
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


@dataclass(slots=True)
class Elsewhere:
    """Raises ``InvalidRequest``: the model is there, at another endpoint."""

    name: ClassVar[str] = "elsewhere"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    plan: RoutePlan

    async def run(self, ctx: Context) -> None:
        """Name the model, what it serves, and where."""
        serves = self.plan.serves
        raise InvalidRequest(
            f"The model {ctx.asked_model!r} serves {serves} at /v1/{ENDPOINT_OF[serves]}; "
            f"it cannot be called at /v1/{ctx.endpoint}.",
            param="model",
            code="model_serves_another_endpoint",
        )


def elsewhere(plan: RoutePlan) -> RoutePlan:
    """The plan for a call at the wrong endpoint: authenticate, admit, refuse, record."""
    refusing = replace(plan)
    refusing.pipeline = Pipeline(
        (
            Authenticate.compile(plan),
            Admit.compile(plan),
            Elsewhere(plan),
            Settle.compile(plan),
            Record.compile(refusing),
        )
    )
    return refusing
