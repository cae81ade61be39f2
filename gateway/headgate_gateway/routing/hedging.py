"""A second attempt while the first is slow: the first content wins, the loser is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from headgate_core.reply import Reply

FLOOR_S = 0.1
"""A hedge is never sent earlier than this."""

Try = Callable[[], Awaitable[Reply]]


async def first_of(one: Try, delay_s: float, another: Callable[[], Try | None]) -> Reply:
    """The reply of ``one``, or of the try that ``another`` gives after ``delay_s`` seconds.

    ``another`` is asked once, when the delay is over, and may say None. Raises what the first
    one raised when both fail.
    """
    first = asyncio.ensure_future(_started(one))
    running = {first}
    try:
        await asyncio.wait(running, timeout=max(delay_s, FLOOR_S))
        second = None if first.done() else another()
        if second is not None:
            running.add(asyncio.ensure_future(_started(second)))
        return await _winner(first, running)
    finally:
        await _abandon(running)


async def _started(work: Try) -> Reply:
    return await work()


async def _winner(first: asyncio.Task[Reply], running: set[asyncio.Task[Reply]]) -> Reply:
    pending = set(running)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task.exception() is None:
                running.discard(task)
                return task.result()
    running.discard(first)
    return first.result()


async def _abandon(losers: set[asyncio.Task[Reply]]) -> None:
    """Cancel the losers and wait for their end; a hang-up of the caller meanwhile stays one."""
    for task in losers:
        task.cancel()
    if losers:
        await asyncio.wait(losers)
    for task in losers:
        if not task.cancelled() and task.exception() is None:
            close = getattr(task.result().events, "aclose", None)
            if close is not None:
                await close()
