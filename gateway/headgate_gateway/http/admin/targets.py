"""``/admin/targets``: how the models do, and taking one out of use for a while."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated, TypeAlias

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from headgate_core.types import Json
from headgate_gateway.operations import deployment
from headgate_gateway.reload.reloader import Again

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway

log = logging.getLogger("headgate.admin")


def _text(value: str) -> str:
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("holds half of a surrogate pair, which is no character")
    return value


Text: TypeAlias = Annotated[str, AfterValidator(_text)]
"""What can be stored and sent again."""


class Enable(BaseModel):
    """``target`` as a pool names it: ``PROVIDER/MODEL``."""

    model_config = ConfigDict(extra="forbid")
    target: Text


class Disable(Enable):
    """``for`` is a duration such as ``2h``, ``why`` is shown to whoever looks next."""

    for_: Text = Field(alias="for")
    why: Text


def router(gateway: Gateway, _again: Again) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/targets", tags=["targets"])

    @routes.get("")
    async def show() -> Json:
        """Every target in every worker, as ``headgate targets --json``."""
        rows = await asyncio.to_thread(deployment.targets, gateway.settings, gateway.store)
        return {"targets": rows}

    @routes.post("/disable")
    async def disable(asked: Disable) -> Json:
        """Take a target out of use; all workers obey within seconds."""
        given = (gateway.settings, gateway.store, asked.target, asked.for_, asked.why)
        row, alone = await asyncio.to_thread(deployment.disable, *given)
        until = deployment.moment(row.until_unix_ns)
        log.warning("%s is disabled until %s over the admin API: %r", row.name, until, row.why)
        return {"target": row.name, "until": until, "why": row.why, "still_used_in": alone}

    @routes.post("/enable")
    async def enable(asked: Enable) -> Json:
        """Put a target back into use before its time."""
        await asyncio.to_thread(deployment.enable, gateway.store, asked.target)
        log.warning("%s is enabled over the admin API", asked.target)
        return {"target": asked.target}

    return routes
