"""The ``Caller`` port: every paid call goes through this one function."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from headgate_core.context import Context
from headgate_core.endpoints import kind_of
from headgate_core.errors import (
    ConfigurationError,
    Overloaded,
    UpstreamError,
    UpstreamStatus,
    UpstreamUnreachable,
)
from headgate_core.plugins import unknown
from headgate_core.ports import ModelRequest
from headgate_core.reply import Events, Owned, Reply
from headgate_core.types import Principal, Purpose
from headgate_gateway.routing.attempts import Asked, Attempts
from headgate_gateway.routing.failures import fallback_class, worth_another
from headgate_gateway.routing.hedging import Try, first_of
from headgate_gateway.routing.one_try import Limits, OneTry
from headgate_gateway.routing.parameters import UnsupportedParameter, fitted
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.rests import LONGEST_PAUSE_S, Rests
from headgate_gateway.routing.target_state import TargetState

MOST_KEYS = 10
"""Credentials of one target that one call may run through."""
_PURPOSES = {"retry": Purpose.RETRY, "hedge": Purpose.HEDGE}


@dataclass(slots=True)
class _Call:
    """What stays the same while one call is tried here and there."""

    request: ModelRequest
    asked: Asked
    started: float
    tries: int = 0

    def limits(self, pool: Pool) -> Limits:
        """The tighter of the pool's and the route's total; both count from the call's start."""
        timeouts = pool.settings.timeouts
        context = self.request.context
        route_s = context.notes.get("total_s") if context else None
        total_s = min(timeouts.total_s, route_s) if route_s else timeouts.total_s
        return Limits(timeouts, total_s, self.started + total_s)

    def left(self, pool: Pool) -> float:
        """Seconds that are left for tries in this pool; 0 or less = none."""
        return self.limits(pool).total_at - asyncio.get_running_loop().time()

    def late(self, pool: Pool) -> bool:
        """Whether no time is left for another try in this pool."""
        return self.left(pool) <= 0


class Router:
    """Chooses a target, calls it, retries, hedges, falls back; never once content has gone out."""

    def __init__(self, pools: Mapping[str, Pool], attempts: Attempts, config_hash: str) -> None:
        self.pools = pools
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
        if pool not in self.pools:
            raise ConfigurationError(unknown("pool", pool, tuple(self.pools)))
        serves = self.pools[pool].settings.serves
        if serves != kind_of(request.endpoint):
            raise ConfigurationError(
                f"The pool {pool!r} serves {serves}; it cannot be called at {request.endpoint}."
            )
        asked = Asked(pool, purpose, principal, parent, self._config_hash)
        call = _Call(request, asked, asyncio.get_running_loop().time())
        return await self._through(call, pool)

    async def _through(self, call: _Call, name: str) -> Reply:
        """The pool, then what its failure's class falls back to, each pool once."""
        ahead, been = [name], set[str]()
        failure: UpstreamError | Overloaded | None = None
        while ahead:
            pool = self.pools[ahead.pop(0)]
            if pool.name in been:
                continue
            been.add(pool.name)
            try:
                return await self._queued(call, pool)
            except Overloaded as error:
                failure = error
                ahead[:0] = pool.settings.fallbacks.error
            except UnsupportedParameter:
                if failure is None:
                    raise
            except UpstreamError as error:
                failure = error
                wanted = fallback_class(error)
                if wanted is None or call.late(pool):
                    break
                ahead[:0] = getattr(pool.settings.fallbacks, wanted)
        raise failure or UpstreamError(f"The pool {name!r} has no target to try.")

    async def _queued(self, call: _Call, pool: Pool) -> Reply:
        """Hold one of the pool's places from before the first try to the reply's last event."""
        queue = pool.queue
        if queue is None:
            return await self._retried(call, pool)
        await queue.take(call.asked.principal.key_id, call.left(pool))
        give_back = _once(queue.give_back)
        try:
            reply = await self._retried(call, pool)
        except BaseException:
            give_back()
            raise
        return _with_end(reply, give_back, call.asked.parent)

    async def _retried(self, call: _Call, pool: Pool) -> Reply:
        pool.retries.earn()
        if pool.hedges is not None:
            pool.hedges.earn()
        failure: UpstreamError | None = None
        unfit: UnsupportedParameter | None = None
        rests = Rests()
        for n, state in enumerate(_tries(pool)):
            if failure is not None and not await _may_retry(call, pool, rests.left(state), failure):
                continue
            try:
                return await self._hedged(call, pool, state, n if failure is not None else 0)
            except UpstreamError as error:
                failure = error
                rests.failed(state, error)
                if not worth_another(error) and not error_of_key(error):
                    break
            except UnsupportedParameter as error:
                unfit = unfit or error  # another target of the pool may honour it
        raise failure or unfit or UpstreamError(f"The pool {pool.name!r} has no target to try.")

    async def _hedged(self, call: _Call, pool: Pool, state: TargetState, n: int) -> Reply:
        delay = state.first_token_p95() if pool.hedges is not None and n == 0 else None
        if delay is None:
            return await self._with_keys(call, pool, state, "retry" if n else "")

        def another() -> Try | None:
            others = [s for s in pool.order() if s is not state]
            hedges = pool.hedges
            if not others or hedges is None or not (hedges.spend() and pool.retries.spend()):
                return None
            return lambda: self._with_keys(call, pool, others[0], "hedge")

        return await first_of(lambda: self._with_keys(call, pool, state, ""), delay, another)

    async def _with_keys(self, call: _Call, pool: Pool, state: TargetState, why: str) -> Reply:
        """Try the target; while it refuses a key and has another one, try that at once."""
        for _ in range(MOST_KEYS - 1):
            try:
                return await self._once(call, pool, state, why)
            except UpstreamStatus as error:
                if not error.another_key or call.late(pool):
                    raise
                why = "next_key"
        return await self._once(call, pool, state, why)

    async def _once(self, call: _Call, pool: Pool, state: TargetState, why: str) -> Reply:
        fit = await fitted(state, call.request, drop=pool.settings.drop_unsupported)
        if not why:
            why = "first" if call.tries == 0 else "fallback"
        call.tries += 1
        purpose = call.asked.purpose
        if purpose is Purpose.SERVE:
            purpose = _PURPOSES.get(why, purpose)
        asked = replace(call.asked, pool=pool.name, purpose=purpose)
        return await OneTry(self._attempts, state, asked).run(fit, why, call.limits(pool))


def error_of_key(error: UpstreamError) -> bool:
    """All keys of this target are refused: another target of the pool may still do."""
    return isinstance(error, UpstreamStatus) and error.credentials


def _tries(pool: Pool) -> Iterator[TargetState]:
    """The targets of one call's tries: each in its order, then round again."""
    order = pool.order()
    for n in range(pool.settings.retries.attempts):
        yield order[n % len(order)]


def _once(action: Callable[[], None]) -> Callable[[], None]:
    done: list[bool] = []

    def run() -> None:
        if not done:
            done.append(True)
            action()

    return run


def _with_end(reply: Reply, ended: Callable[[], None], parent: Context | None) -> Reply:
    """The reply, with ``ended`` called when its events are over, closed or never wanted."""
    source = reply.events

    async def events() -> Events:
        try:
            async for event in source:
                yield event
        finally:
            ended()
            await _close(source)

    async def unused() -> None:
        ended()
        await _close(source)

    owned = Owned(events(), unused)
    if parent is not None:
        parent.closers.append(owned.aclose)
    return replace(reply, events=owned)


async def _close(events: object) -> None:
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()


async def _may_retry(call: _Call, pool: Pool, pause_s: float, failure: UpstreamError) -> bool:
    """Wait until the target may be asked again; False when time or budget forbid it.

    After an attempt that reached nobody the next one is no extra load: it takes no budget.
    """
    if pause_s > LONGEST_PAUSE_S or call.left(pool) <= pause_s:
        return False
    reached = not isinstance(failure, UpstreamUnreachable) or failure.sent
    if reached and not pool.retries.spend():
        return False
    if pause_s > 0:
        await asyncio.sleep(pause_s)
    return True
