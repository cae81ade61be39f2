"""Asking a target how it is, beside the calls: never counted, never charged, never recorded."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol, runtime_checkable

from headgate_core.errors import UpstreamError
from headgate_gateway.routing.pools import Pool

log = logging.getLogger("headgate.probes")

TIMEOUT_S = 5.0
"""A target that takes longer to answer a probe does not answer."""


@runtime_checkable
class Probed(Protocol):
    """A provider that can be asked whether it is there."""

    async def probe(self) -> None:
        """Return when it answers well. Raises ``UpstreamError``."""
        ...


async def probe_for_ever(pool: Pool, every_s: float) -> None:
    """Probe each provider of the pool every ``every_s`` seconds."""
    while True:
        await probe(pool)
        await asyncio.sleep(every_s)


async def probe(pool: Pool) -> None:
    """Probe each provider of the pool once. A good answer half-opens the breakers of its targets;
    a bad one is shown and changes nothing, because only calls open a breaker."""
    providers = {id(state.provider): state.provider for state in pool.states}
    results = dict(
        zip(providers, await asyncio.gather(*map(_asked, providers.values())), strict=True)
    )
    for state in pool.states:
        result = results[id(state.provider)]
        if result != state.probe:
            log.info("probe of %s in pool %s: %s", state.target.name, pool.name, result)
        state.probe = result
        if result == "ok":
            state.breaker.reachable()


async def _asked(provider: object) -> str:
    """``ok``, a code of what failed, or an empty text for a provider that cannot be probed."""
    if not isinstance(provider, Probed):
        return ""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await provider.probe()
    except UpstreamError as error:
        return error.error_code
    except TimeoutError:
        return "upstream_timeout"
    return "ok"
