"""The calls that are going on: counted, waited for, and cut off when time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from headgate_core.context import Context
from headgate_core.errors import HeadgateError


class InFlight:
    """The calls of one configuration, from their context to their last byte."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[Context, asyncio.Task[object] | None]] = {}
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return len(self._calls)

    def enter(self, ctx: Context) -> None:
        """The running task works on this call from now on."""
        self._calls[ctx.call_id] = (ctx, asyncio.current_task())
        self._none.clear()

    def leave(self, ctx: Context) -> None:
        """The call is over, once its last stages are. Idempotent."""
        if ctx.finishing is not None and not ctx.finishing.done():
            ctx.finishing.add_done_callback(lambda _: self._left(ctx))
        else:
            self._left(ctx)

    def _left(self, ctx: Context) -> None:
        self._calls.pop(ctx.call_id, None)
        if not self._calls:
            self._none.set()

    async def over(self) -> None:
        """Return once no call is going on. Any number of tasks may wait for that."""
        while self._calls:
            await self._none.wait()

    def abandon(self) -> None:
        """Wait for nothing any more."""
        self._calls.clear()
        self._none.set()

    def cut(self, reason: Callable[[], HeadgateError]) -> int:
        """End every call with an error of its own; returns how many there were."""
        for ctx, task in self._calls.values():
            ctx.cut = reason()
            if task is not None:
                task.cancel()
        return len(self._calls)
