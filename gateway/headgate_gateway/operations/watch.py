"""The background service that obeys what a person decided, probes targets, and tidies."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from headgate_core.context import Context
from headgate_core.errors import StoreError
from headgate_core.store import Store
from headgate_gateway.idempotency.claims import Claims
from headgate_gateway.operations.disabled import Disabled, disabled
from headgate_gateway.operations.probes import Probed, probe_for_ever
from headgate_gateway.routing.pools import Pool

log = logging.getLogger("headgate.targets")

EVERY_S = 2.0
"""How soon every process obeys ``headgate targets disable``."""
SWEEP_S = 600.0
"""How often answers of idempotency keys that are too old are deleted."""


class TargetWatch:
    """Re-reads the disabled targets, probes the pools that say so, sweeps old answers."""

    def __init__(self, pools: Mapping[str, Pool], store: Store, claims: Claims) -> None:
        self._pools = pools
        self._store = store
        self._claims = claims
        self._tasks: list[asyncio.Task[None]] = []
        self._failing = False
        self.knows = False
        """Whether the store has said which targets are disabled."""
        self._swept = time.monotonic()

    async def start(self) -> None:
        """Apply what is disabled now, then go on in the background."""
        await self.look()
        self._tasks = [asyncio.create_task(self._watch(), name="target watch")]
        for pool in self._pools.values():
            if pool.settings.probe is not None:
                if not any(isinstance(state.provider, Probed) for state in pool.states):
                    log.warning("pool %s: no provider of it can be probed", pool.name)
                probing = probe_for_ever(pool, pool.settings.probe.every_s)
                self._tasks.append(asyncio.create_task(probing, name=f"probes of {pool.name}"))

    async def stop(self) -> None:
        """End at once: there is nothing in hand."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def on_record(self, context: Context) -> None:
        """Calls are none of its business."""

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Apply what is disabled now; without the store all stays as it is."""
        try:
            self._apply(await asyncio.to_thread(disabled, self._store))
            if time.monotonic() - self._swept >= SWEEP_S:
                self._swept = time.monotonic()
                await asyncio.to_thread(self._claims.sweep)
        except StoreError as error:
            if not self._failing:
                log.warning("disabled targets stay as they are until the store answers: %s", error)
            self._failing = True
            return
        self._failing = False
        self.knows = True

    def _apply(self, rows: list[Disabled]) -> None:
        until = {r.name: datetime.fromtimestamp(r.until_unix_ns / 1e9, UTC) for r in rows}
        for pool in self._pools.values():
            for state in pool.states:
                state.disabled_until = until.get(state.target.name)
