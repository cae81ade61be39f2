"""Whether the store answers: asked in the background, so that no call waits to find out."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from headgate_core.errors import StoreError
from headgate_core.store import Store
from headgate_gateway.ledger.writer import Writer

log = logging.getLogger("headgate.store")

EVERY_S = 1.0
"""How often the store is asked."""


class StorePresence:
    """Asks ``store`` every ``EVERY_S`` seconds; what its writer meets counts as well."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self._store = store
        self._writer = writer
        self._failure = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def away(self) -> str:
        """Why the store cannot be read or takes nothing at present; empty when it does."""
        return self._failure or self._writer.failure

    def start(self) -> None:
        """Begin asking; must be called on the event loop."""
        self._task = asyncio.create_task(self._watch(), name="store presence")

    async def stop(self) -> None:
        """End at once. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def look(self) -> None:
        """Ask once, now."""
        try:
            await asyncio.to_thread(self._store.ping)
        except StoreError as error:
            if not self._failure:
                log.error("the store is away: %s", error)
            self._failure = str(error)
            return
        if self._failure:
            log.warning("the store is back")
            self._writer.retry()
        self._failure = ""

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self.look()
