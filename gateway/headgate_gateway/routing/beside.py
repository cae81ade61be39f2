"""A second try beside a first one that takes long: the first content wins, the loser is ended."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from headgate_core.errors import HeadgateError
from headgate_core.reply import Reply

Try = Callable[[], Awaitable[Reply]]


class NothingElse(Exception):
    """What was done beside the first try is not worth telling: its own failure is."""


async def first_of(
    one: Try,
    after_s: float,
    another: Callable[[], Try | None],
    final: Callable[[BaseException], bool] = lambda error: False,
) -> Reply:
    """The reply of ``one``, or of the try that ``another`` gives after so many seconds.

    ``another`` is asked once and may say None. Where both fail, raises what the second one has
    raised, or the first one's failure in place of ``NothingElse``; at once where ``final`` says of
    the second one's failure that no other answer could be better.

    The first try runs in the caller's own task, so that between choosing a target and sending to
    it nobody else comes to choose.
    """
    if after_s == math.inf:
        return await one()
    beside = _Beside(another, final)
    alarm = asyncio.get_running_loop().call_later(after_s, beside.begin)
    try:
        return await beside.race(one)
    finally:
        alarm.cancel()
        await beside.abandon()


class _Beside:
    """The second try, and when it ends the first one."""

    def __init__(
        self, another: Callable[[], Try | None], final: Callable[[BaseException], bool]
    ) -> None:
        self._another = another
        self._final = final
        self._cut = asyncio.timeout(None)
        self._racing = False
        self._task: asyncio.Task[Reply] | None = None

    def begin(self) -> None:
        work = self._another()
        if work is not None:
            self._task = asyncio.ensure_future(_started(work))
            self._task.add_done_callback(self._over)

    async def race(self, one: Try) -> Reply:
        failure: HeadgateError | None = None
        try:
            async with self._cut:
                self._racing = True
                try:
                    return await one()
                finally:
                    self._racing = False
        except HeadgateError as error:
            failure = error
        except TimeoutError:
            if not self._cut.expired():
                raise
        return await self._second(failure)

    async def _second(self, failure: HeadgateError | None) -> Reply:
        """What the second try comes to, after the first one has failed or was cut."""
        if self._task is None:
            raise failure or RuntimeError("the first try was cut by nothing")
        try:
            reply = await asyncio.shield(self._task)
        except NothingElse:
            if failure is None:
                raise
            raise failure from None
        self._task = None
        return reply

    async def abandon(self) -> None:
        """Cancel it and wait for its end; a hang-up of the caller meanwhile stays one."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            close = getattr(task.result().events, "aclose", None)
            if close is not None:
                await close()

    def _over(self, task: asyncio.Task[Reply]) -> None:
        if not self._racing or task.cancelled():
            return
        error = task.exception()
        if error is None or self._final(error):
            self._cut.reschedule(asyncio.get_running_loop().time())


async def _started(work: Try) -> Reply:
    return await work()
