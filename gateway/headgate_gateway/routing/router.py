"""The ``Caller`` port: every paid call goes through this one function."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from headgate_core.context import Context
from headgate_core.endpoints import kind_of
from headgate_core.errors import ConfigurationError, Overloaded, UpstreamError, UpstreamStatus
from headgate_core.plugins import unknown
from headgate_core.ports import ModelRequest
from headgate_core.reply import Events, Owned, Reply
from headgate_core.types import Principal, Purpose
from headgate_gateway.routing.attempts import Asked, Attempts
from headgate_gateway.routing.failures import fallback_class, worth_another
from headgate_gateway.routing.hedging import Try, first_of
from headgate_gateway.routing.one_try import OneTry
from headgate_gateway.routing.parameters import UnsupportedParameter, fitted
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.rests import LONGEST_PAUSE_S, Rests
from headgate_gateway.routing.target_state import TargetState
from headgate_gateway.routing.timers import Limits
from headgate_gateway.routing.turns import Turns, moved, reached

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
    ahead: list[str] = field(default_factory=list)
    """Pools still to be tried."""
    been: set[str] = field(default_factory=set)
    """Pools that were tried."""

    def limits(self, pool: Pool) -> Limits:
        """The tightest of the pool's and the route's total and the caller's patience; all count
        from the call's start.

        A target that hangs in a call that is no stream leaves half of it to the next one.
        """
        timeouts, alone = pool.settings.timeouts, pool.settings.stands_alone
        notes = self.request.context.notes if self.request.context else {}
        own_s = min(timeouts.total_s, notes.get("total_s", math.inf))
        total_s = min(own_s, notes.get("waits_s", math.inf))
        answer_s = timeouts.answer_s or (math.inf if alone else total_s / 2)
        own_s = min(own_s, timeouts.answer_s or (own_s if alone else own_s / 2))
        return Limits(timeouts, answer_s, total_s, self.started + total_s, own_s)

    def count_in(self, pool: Pool) -> None:
        """Count the call where it comes in; a retry of the client's own SDK is extra load."""
        context = self.request.context
        if context is not None and context.notes.get("sdk_retry"):
            pool.retries.spend()
            return
        pool.retries.earn()
        if pool.hedges is not None:
            pool.hedges.earn()

    def elsewhere(self, pool: Pool) -> bool:
        """Whether the call can leave this pool for a fallback that it has not been to."""
        return not self.been.issuperset([*pool.settings.fallbacks.error, *self.ahead])

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
        call.ahead.append(name)
        failure: UpstreamError | Overloaded | None = None
        while call.ahead:
            pool = self.pools[call.ahead.pop(0)]
            if pool.name in call.been:
                continue
            call.been.add(pool.name)
            try:
                return await self._queued(call, pool)
            except Overloaded as error:
                failure = error
                call.ahead[:0] = pool.settings.fallbacks.error
            except UnsupportedParameter:
                if failure is None:
                    raise
            except UpstreamError as error:
                failure = error
                wanted = fallback_class(error)
                if wanted is None or call.late(pool):
                    break
                call.ahead[:0] = getattr(pool.settings.fallbacks, wanted)
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
        call.count_in(pool)
        failure: UpstreamError | None = None
        unfit: UnsupportedParameter | None = None
        left: TargetState | None = None
        rests, turns = Rests(), Turns(pool)
        for n, state in enumerate(turns):
            if turns.hung(state) and call.elsewhere(pool):
                break
            if failure is not None and left is not None:
                free = not reached(failure)
                pause_s = rests.left(state)
                if not await _may_retry(call, pool, pause_s, free=free, move=moved(left, state)):
                    continue
            try:
                return await self._hedged(call, pool, state, n if failure is not None else 0)
            except UpstreamError as error:
                failure, left = error, state
                rests.failed(state, error)
                turns.failed(state, error)
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
        limits = call.limits(pool)
        reply = await OneTry(self._attempts, state, asked).run(fit, why, limits)
        if asked.parent is not None and call.asked.purpose is Purpose.SERVE:
            asked.parent.notes["total_at"] = limits.total_at
        return reply


def error_of_key(error: UpstreamError) -> bool:
    """All keys of this target are refused: another target of the pool may still do."""
    return isinstance(error, UpstreamStatus) and error.credentials


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


async def _may_retry(call: _Call, pool: Pool, pause_s: float, *, free: bool, move: bool) -> bool:
    """Wait until the target may be asked again; False when time or budget forbid it.

    A ``free`` retry takes nothing of the budget; a ``move`` takes what there is.
    """
    if pause_s > LONGEST_PAUSE_S or call.left(pool) <= pause_s:
        return False
    if not free and not pool.retries.spend() and not move:
        return False
    if pause_s > 0:
        await asyncio.sleep(pause_s)
    return True
