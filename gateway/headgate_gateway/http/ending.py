"""Ending a server: no new calls, and those that are going on may end, for a while."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from headgate_core.errors import ShuttingDown

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway

log = logging.getLogger("headgate.server")

LAST_S = 5.0
"""How long calls that were cut off, and requests that are no calls, have for their last words."""


async def drain(gateway: Gateway, hurry: asyncio.Event) -> None:
    """Return once no call is going on; after ``server.drain_s``, or at ``hurry``, cut them off."""
    gateway.draining = True
    over = asyncio.ensure_future(_over(gateway))
    hurried = asyncio.ensure_future(hurry.wait())
    within = gateway.settings.server.drain_s
    await asyncio.wait({over, hurried}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    why = "at once, as asked" if hurried.done() else "server.drain_s is over"
    hurried.cancel()
    if not over.done():
        cut = sum(calls.cut(_cut) for calls in gateway.in_flight())
        log.warning("%d calls are cut off: %s", cut, why)
        await asyncio.wait({over}, timeout=LAST_S)
    over.cancel()


async def _over(gateway: Gateway) -> None:
    for calls in gateway.in_flight():
        await calls.over()


def _cut() -> ShuttingDown:
    return ShuttingDown("The call was cut off: the gateway is shutting down. Try again.")
