"""The ``Caller`` port: every paid call goes through this one function."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

from headgate_core.context import Context
from headgate_core.errors import (
    ConfigurationError,
    HeadgateError,
    UpstreamError,
    UpstreamStatus,
    UpstreamTruncated,
)
from headgate_core.plugins import unknown
from headgate_core.ports import ModelRequest, Target
from headgate_core.reply import Done, Event, Events, Facts, Reply, closing
from headgate_core.types import Principal, Purpose
from headgate_gateway.routing.attempts import Asked, Attempt, Attempts
from headgate_gateway.routing.pools import Pool, chain
from headgate_gateway.routing.timers import Timers

LONGEST_PAUSE_S = 8.0


class Router:
    """Chooses a target, calls it, retries, falls back; never once content has been passed on."""

    def __init__(self, pools: Mapping[str, Pool], attempts: Attempts, config_hash: str) -> None:
        self._pools = pools
        self._attempts = attempts
        self._config_hash = config_hash

    async def call(
        self,
        pool: str,
        request: ModelRequest,
        purpose: Purpose,
        principal: Principal,
        parent: Context | None = None,
    ) -> Reply:
        """A reply whose first content has arrived. Raises the last ``UpstreamError``."""
        if pool not in self._pools:
            raise ConfigurationError(unknown("pool", pool, tuple(self._pools)))
        asked = Asked(pool, purpose, principal, parent, self._config_hash)
        started = asyncio.get_running_loop().time()
        failure: UpstreamError | None = None
        previous: Target | None = None
        for n, (stand_in, target) in enumerate(self._tries(pool)):
            why = _why(n, stand_in.settings.name != pool)
            if failure is not None and target == previous:
                await _pause(n, failure)
            previous = target
            try:
                here = replace(asked, pool=stand_in.settings.name)
                return await self._try(here, stand_in, target, why, request, started)
            except UpstreamError as error:
                failure = error
                late = asyncio.get_running_loop().time() >= started + _total_s(stand_in, request)
                if late or not worth_another(error):
                    break
        raise failure or UpstreamError(f"The pool {pool!r} has no target to try.")

    def _tries(self, name: str) -> Iterator[tuple[Pool, Target]]:
        for pool in chain(self._pools, name):
            for target in pool.tries():
                yield pool, target

    async def _try(
        self,
        asked: Asked,
        pool: Pool,
        target: Target,
        why: str,
        request: ModelRequest,
        started: float,
    ) -> Reply:
        settings = pool.settings.timeouts
        total_s = _total_s(pool, request)
        timers = Timers(settings, total_s, started + total_s)
        attempt = self._attempts.begin(asked, target, why, request)
        facts = Facts()
        try:
            own = replace(request, timeouts=settings)
            provider = pool.providers[target.provider]
            reply = await timers.first(provider.chat(own, target.model))
            facts = reply.facts
            held = await _primed(reply, timers)
        except BaseException as error:
            self._failed(attempt, facts, error, asked.parent)
            raise
        if facts.content:
            attempt.content_came()
        onward = self._passed_on(reply, held, attempt, timers, asked.parent)
        return replace(reply, events=onward)

    async def _passed_on(
        self,
        reply: Reply,
        held: list[Event],
        attempt: Attempt,
        timers: Timers,
        parent: Context | None,
    ) -> Events:
        source = reply.events
        try:
            async with closing(source) as events:
                for event in held:
                    if isinstance(event, Done):
                        self._succeeded(attempt, reply.facts, parent)
                    yield event
                while not (held and isinstance(held[-1], Done)):
                    event = await timers.between(_next(events))
                    if isinstance(event, Done):
                        self._succeeded(attempt, reply.facts, parent)
                        yield event
                        return
                    yield event
        except BaseException as error:
            self._failed(attempt, reply.facts, error, parent)
            raise

    def _succeeded(self, attempt: Attempt, facts: Facts, parent: Context | None) -> None:
        attempt.record["status"] = 200
        self._attempts.settle(attempt, "ok", facts)
        self._attempts.close(attempt, parent)

    def _failed(
        self, attempt: Attempt, facts: Facts, error: BaseException, parent: Context | None
    ) -> None:
        if attempt.record["outcome"]:
            return
        if isinstance(error, HeadgateError):
            attempt.record["status"] = getattr(error, "upstream_status", None)
            self._attempts.settle(attempt, "error", facts, f"{error.error_code}: {error.message}")
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):
            self._attempts.settle(attempt, "cancelled", facts)
        else:
            self._attempts.settle(attempt, "error", facts, type(error).__name__)
        self._attempts.close(attempt, parent)


async def _primed(reply: Reply, timers: Timers) -> list[Event]:
    """Read until the first content, so that a target that fails before it can be replaced."""
    held: list[Event] = []
    while not held or not (reply.facts.content or isinstance(held[-1], Done)):
        held.append(await timers.first(_next(reply.events)))
    return held


async def _next(events: Events) -> Event:
    try:
        return await anext(events)
    except StopAsyncIteration:
        raise UpstreamTruncated("The reply ended before it was complete.") from None


def worth_another(error: UpstreamError) -> bool:
    """Whether another try of the same request may succeed."""
    return error.worth_retrying if isinstance(error, UpstreamStatus) else error.retryable


def _why(n: int, fallback: bool) -> str:
    if n == 0:
        return "first"
    return "fallback" if fallback else "retry"


def _total_s(pool: Pool, request: ModelRequest) -> float:
    pool_s = pool.settings.timeouts.total_s
    route_s = request.context.notes.get("total_s") if request.context else None
    return min(pool_s, route_s) if route_s else pool_s


async def _pause(n: int, failure: UpstreamError) -> None:
    """Full jitter (Brooker, 2015); a ``retry-after`` of the target is the least wait."""
    least = getattr(failure, "retry_after_s", None) or 0.0
    pause = max(least, random.uniform(0, min(LONGEST_PAUSE_S, 0.5 * 2**n)))
    await asyncio.sleep(min(pause, LONGEST_PAUSE_S))
