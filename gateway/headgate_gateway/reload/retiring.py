"""Earlier configurations: each is closed once its last call is over."""

from __future__ import annotations

import asyncio
import logging

from headgate_gateway.reload.generation import Generation

log = logging.getLogger("headgate.gateway")

CLOSING_S = 10.0
"""The longest that the end of the process waits for earlier configurations to be closed."""


class Retiring:
    """Takes generations out of ``living``, which holds every one that still has calls."""

    def __init__(self, living: list[Generation]) -> None:
        self._living = living
        self._tasks: set[asyncio.Task[None]] = set()
        self.scores_dropped = 0
        """By those that are gone."""

    def begin(self, old: Generation) -> None:
        """New calls are not made by this one any more."""
        task = asyncio.create_task(self._retire(old), name="retiring configuration")
        self._tasks.add(task)
        task.add_done_callback(self._retired)

    async def end(self) -> None:
        """Return once all are closed that had begun to retire, or after ``CLOSING_S``."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=CLOSING_S)
        for task in late:
            log.error("an earlier configuration takes longer than %g s to close", CLOSING_S)
            task.cancel()

    async def _retire(self, old: Generation) -> None:
        """Close what only this configuration used, once its last call is over."""
        await old.parts.calls.over()
        self._living.remove(old)
        await old.close(self._living)
        self.scores_dropped += old.scores_dropped

    def _retired(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("an earlier configuration was not closed well", exc_info=task.exception())
