"""The timers of an attempt: each error names the one that fired and its value."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from headgate_core.errors import UpstreamTimeout
from headgate_core.settings.pools import TimeoutSettings

T = TypeVar("T")

ENOUGH = 0.9
"""Share of its own time that a target must have had before its silence is a fault."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The timers of a try in seconds; ``total_at`` is when the whole call must be over (loop's
    clock). ``overdue_s`` is the target's part of the call's time for an answer in one piece: after
    it the call goes on elsewhere as well. ``own_s`` is the same by the configuration alone: no
    caller makes it shorter."""

    timeouts: TimeoutSettings
    answer_s: float
    total_s: float
    total_at: float
    own_s: float
    overdue_s: float = math.inf
    callers: bool = False
    """Whether ``total_s`` is the caller's own patience, and not the configuration's."""


class Timers:
    """Deadlines of one attempt, on the loop's clock.

    A stream has a timer for its first content and one between events. An answer in one piece is
    begun when it is complete: there ``answer_s`` bounds the whole of it.
    """

    def __init__(self, limits: Limits, *, stream: bool) -> None:
        self._limits = limits
        self._first_name = "first_token_s" if stream else "answer_s"
        self._first_s = limits.timeouts.first_token_s if stream else limits.answer_s
        now = asyncio.get_running_loop().time()
        self._first_at = now + self._first_s
        own_s = min(self._first_s, limits.total_s) if stream else limits.own_s
        until = min(self._first_at, limits.total_at, now + limits.overdue_s)
        self._fair = until - now >= ENOUGH * own_s

    async def first(self, work: Awaitable[T]) -> T:
        """Wait until the first content; raises ``UpstreamTimeout``.

        By itself that is no fault of the target where the caller's patience, or what earlier tries
        left of the call's time, was shorter than the target's own time.
        """
        try:
            return await self._until(work, self._first_name, self._first_s, self._first_at)
        except UpstreamTimeout as error:
            error.at_fault = error.at_fault and (self._fair or not error.timer)
            raise

    @contextmanager
    def watched(self, overdue: Callable[[UpstreamTimeout], None]) -> Iterator[None]:
        """``overdue`` is told when the target has had its part of the call's time in this block."""
        after_s = self._limits.overdue_s
        if after_s == math.inf:
            yield
            return
        error = timed_out("answer_s", after_s)
        error.at_fault = self._fair
        alarm = asyncio.get_running_loop().call_later(after_s, overdue, error)
        try:
            yield
        finally:
            alarm.cancel()

    async def between(self, work: Awaitable[T]) -> T:
        """Wait for the next event of a stream; raises ``UpstreamTimeout``.

        ``total_s`` is no fault here: the target was answering, and its reader may have been slow.
        """
        gap = self._limits.timeouts.between_tokens_s
        at = asyncio.get_running_loop().time() + gap
        try:
            return await self._until(work, "between_tokens_s", gap, at)
        except UpstreamTimeout as error:
            error.at_fault = error.at_fault and error.timer != "total_s"
            raise

    async def _until(self, work: Awaitable[T], name: str, value: float, at: float) -> T:
        if self._limits.total_at < at:
            name, value, at = "total_s", self._limits.total_s, self._limits.total_at
        try:
            async with asyncio.timeout_at(at):
                return await work
        except TimeoutError as error:
            raise timed_out(name, value, callers=self._limits.callers) from error


def timed_out(name: str, seconds: float, *, callers: bool = False) -> UpstreamTimeout:
    """What is told of a timer of this name that has fired; ``callers`` as in ``Limits``."""
    why = ": so long does its caller wait" if callers and name == "total_s" else ""
    late = UpstreamTimeout(f"The timer {name} = {seconds:g} fired{why}.")
    late.timer = name
    return late
