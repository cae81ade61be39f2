"""The runner: it knows no stage by name, times each, and runs the last ones whatever happened."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeAlias

from headgate_core.context import Context
from headgate_core.errors import Again, Ended, HeadgateError, Internal
from headgate_core.reply import Done, Event, Facts, closing

log = logging.getLogger("headgate.pipeline")

MAX_ROUNDS = 2
"""How often one call may pass through the stages from ``reenter`` on."""


class Stage(Protocol):
    """One step. ``last`` stages run at the very end, whatever happened before.

    ``reenter`` marks the stage at which another round (``Again``) begins.
    """

    @property
    def name(self) -> str:
        """How records call it."""
        ...

    @property
    def last(self) -> bool:
        """Whether it runs at the very end."""
        ...

    @property
    def reenter(self) -> bool:
        """Whether another round begins here."""
        ...

    async def run(self, ctx: Context) -> None:
        """Do the step; may wrap ``ctx.reply``, raise ``HeadgateError``, ``Ended`` or ``Again``."""
        ...


Carries: TypeAlias = Callable[[Event, Facts], bool]
"""Whether an event brings content to the caller."""


class Pipeline:
    """The compiled stages of one route, in order.

    ``carries`` tells when the first content goes out; without it, the upstream's first counts.
    """

    def __init__(self, stages: Sequence[Stage], carries: Carries | None = None) -> None:
        self.stages = tuple(stages)
        self._carries = carries or (lambda event, facts: facts.content)
        self._work = tuple(s for s in stages if not s.last)
        self._last = tuple(s for s in stages if s.last)
        self._reenter = next((i for i, s in enumerate(self._work) if s.reenter), len(self._work))

    async def run(self, ctx: Context) -> None:
        """Run the stages until ``ctx.reply`` is there to be drained through ``events``.

        Raises the ``HeadgateError`` that ended the call, after the last stages have run.
        """
        try:
            with border(ctx):
                await self._rounds(ctx, 0)
        except BaseException:
            await self._finish(ctx)
            raise

    async def events(self, ctx: Context) -> AsyncIterator[Event]:
        """Drain the reply. The last stages run before ``Done`` is passed on, or on any other end.

        Raises ``HeadgateError`` when the reply fails half-way.
        """
        try:
            with border(ctx):
                async with closing(self._drained(ctx)) as drained:
                    async for event in drained:
                        if isinstance(event, Done):
                            await self._finish_or_fail(ctx)
                        elif not ctx.first_content_ns:
                            self._stamp(ctx, event)
                        yield event
        finally:
            await self._finish(ctx)

    def _stamp(self, ctx: Context, event: Event) -> None:
        if ctx.reply is not None and self._carries(event, ctx.reply.facts):
            ctx.first_content_ns = time.perf_counter_ns()

    async def _drained(self, ctx: Context) -> AsyncIterator[Event]:
        while True:
            if ctx.reply is None:
                raise Internal("No stage of this route made a reply.")
            try:
                async with closing(ctx.reply.events) as events:
                    async for event in events:
                        yield event
                return
            except Again as again:
                await self._rounds(ctx, self._reenter, again)

    async def _rounds(self, ctx: Context, start: int, again: Again | None = None) -> None:
        while True:
            if again is not None:
                self._note(ctx, again)
                start = self._reenter
            try:
                await self._stages(ctx, start)
                return
            except Again as wish:
                again = wish
            except Ended as ended:
                ctx.reply = ended.reply
                return

    def _note(self, ctx: Context, again: Again) -> None:
        if ctx.first_content_ns:
            raise Internal("A stage asked for another round after content had been sent.")
        if len(ctx.again) + 1 >= MAX_ROUNDS:
            raise Internal(f"The call was sent round {MAX_ROUNDS} times: {again.reason}")
        ctx.again.append(again.reason)
        if again.pool:
            ctx.pool = again.pool

    async def _stages(self, ctx: Context, start: int) -> None:
        for stage in self._work[start:]:
            await self._timed(stage, ctx)

    async def _timed(self, stage: Stage, ctx: Context) -> None:
        begun = time.perf_counter_ns()
        try:
            await stage.run(ctx)
        finally:
            ctx.stages.append(
                {
                    "name": stage.name,
                    "start_ms": (begun - ctx.started_ns) / 1e6,
                    "ms": (time.perf_counter_ns() - begun) / 1e6,
                }
            )

    async def _finish_or_fail(self, ctx: Context) -> None:
        """An answer that could not be recorded is not passed off as complete."""
        failure = await self._finish(ctx)
        if failure is not None:
            raise failure

    async def _finish(self, ctx: Context) -> HeadgateError | None:
        """Run the last stages once and to their end, whoever stops waiting for them.

        Returns why the call could not be recorded, to everybody who asks.
        """
        if ctx.finishing is None:
            ctx.finishing = asyncio.create_task(self._finished(ctx), name="last stages")
        try:
            return await asyncio.shield(ctx.finishing)
        except asyncio.CancelledError:
            await asyncio.wait({ctx.finishing})
            if ctx.cut is None:
                raise
        return ctx.finishing.result()  # nothing is left to cut off: the call has ended as it has

    async def _finished(self, ctx: Context) -> HeadgateError | None:
        for close in reversed(ctx.closers):
            await _safely(ctx, "closing", close())
        ctx.finished = True
        failures = [
            await _safely(ctx, f"last stage {stage.name}", self._timed(stage, ctx))
            for stage in self._last
        ]
        return next((f for f in reversed(failures) if f is not None), None)


async def _safely(ctx: Context, name: str, work: Awaitable[None]) -> HeadgateError | None:
    """Why the work failed; logged here."""
    try:
        await work
    except Exception as error:  # the other last stages must run all the same
        log.exception("call %s: %s failed", ctx.call_id, name)
        if isinstance(error, HeadgateError):
            return error
        return Internal("The call could not be recorded; the log holds the details.")
    return None


@contextmanager
def border(ctx: Context) -> Iterator[None]:
    """Note in ``ctx`` how the call went wrong; out of here come our own errors and hang-ups."""
    try:
        yield
    except HeadgateError as error:
        ctx.error = error
        raise
    except (asyncio.CancelledError, GeneratorExit) as left:
        raise _cancelled(ctx, left) from None
    except Exception as error:  # the one border for faults of our own stages
        log.exception("call %s failed", ctx.call_id)
        ctx.error = Internal("An internal error occurred; the log holds the details.")
        raise ctx.error from error


def _cancelled(ctx: Context, left: BaseException) -> BaseException:
    """What to raise: the reason of the server where it cut the call off, else ``left`` itself."""
    if not ctx.finished:
        ctx.error = ctx.error or ctx.cut
        ctx.cancelled = ctx.error is None
    return ctx.cut if ctx.cut is not None and isinstance(left, asyncio.CancelledError) else left
