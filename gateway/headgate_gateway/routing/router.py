"""The ``Caller`` port: every paid call goes through this one function."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from headgate_core.context import Context
from headgate_core.endpoints import kind_of
from headgate_core.errors import ConfigurationError, Overloaded, UpstreamError, UpstreamStatus
from headgate_core.plugins import unknown
from headgate_core.ports import ModelRequest
from headgate_core.reply import Reply
from headgate_core.types import Principal, Purpose
from headgate_gateway.routing.attempts import Asked, Attempts
from headgate_gateway.routing.course import Course
from headgate_gateway.routing.failures import fallback_class, worth_another
from headgate_gateway.routing.fair_queue import Place
from headgate_gateway.routing.hedging import Try, first_of
from headgate_gateway.routing.one_call import Call
from headgate_gateway.routing.one_try import OneTry
from headgate_gateway.routing.parameters import UnsupportedParameter, fitted
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.rests import LONGEST_PAUSE_S, Rests
from headgate_gateway.routing.retry_budget import Cost
from headgate_gateway.routing.target_state import TargetState
from headgate_gateway.routing.turns import Turns

MOST_KEYS = 10
"""Credentials of one target that one call may run through."""
_PURPOSES = {"retry": Purpose.RETRY, "hedge": Purpose.HEDGE}


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
        course = Course(self.pools, pool, parent.degraded if parent else [])
        call = Call(request, asked, asyncio.get_running_loop().time(), course)
        return await self._through(call)

    async def _through(self, call: Call) -> Reply:
        """The pool, then what its failure's class falls back to, each pool once."""
        failure: UpstreamError | Overloaded | None = None
        while (pool := call.course.next()) is not None:
            if failure is not None and call.late(pool):
                continue
            try:
                return await self._retried(call, pool)
            except Overloaded as error:
                failure = error
                call.course.fall_back(pool.settings.fallbacks.error)
            except UnsupportedParameter:
                if failure is None:
                    raise
            except UpstreamError as error:
                failure = error
                wanted = fallback_class(error)
                if wanted is None:
                    break
                call.course.failed(pool, wanted)
        raise failure or UpstreamError(f"The pool {call.asked.pool!r} has no target to try.")

    async def _retried(self, call: Call, pool: Pool) -> Reply:
        failure: UpstreamError | None = None
        unfit: UnsupportedParameter | None = None
        rests, turns = Rests(), Turns(pool, stream=call.request.stream)
        for n, state in enumerate(turns):
            if turns.hung(state) and call.course.elsewhere(pool):
                break
            if failure is not None and not await _may_retry(
                call, pool, rests.left(state), turns.cost(state)
            ):
                turns.tried(state)
                continue
            place = await _place(call, pool, state, turns, rests, failure)
            state = place.state
            turns.tried(state)
            call.count_in(pool)
            cost = turns.cost(state)
            if not pool.retries.pay(cost):
                place.give_back()
                continue
            call.last = turns.last(state) and not call.course.elsewhere(pool)
            try:
                return await self._hedged(call, pool, place, n if failure is not None else 0)
            except UpstreamError as error:
                failure = error
                rests.failed(state, error)
                turns.failed(state, error)
                if not worth_another(error) and not error_of_key(error):
                    break
            except UnsupportedParameter as error:
                pool.retries.refund(cost)
                unfit = unfit or error  # another target of the pool may honour it
        raise failure or unfit or UpstreamError(f"The pool {pool.name!r} has no target to try.")

    async def _hedged(self, call: Call, pool: Pool, place: Place, n: int) -> Reply:
        with place:
            state = place.state
            own_s = state.p95_s(stream=call.request.stream)
            delay = own_s if pool.hedges is not None and n == 0 else None
            if delay is None:
                return await self._at(place, call, pool, "retry" if n else "")

            def another() -> Try | None:
                other, hedges = _for_hedge(pool, state, stream=call.request.stream), pool.hedges
                if other is None or hedges is None or call.late(pool):
                    return None
                if not (hedges.affords("token") and pool.retries.affords("token")):
                    return None
                hedges.spend()
                pool.retries.spend()
                return lambda: self._hedge(other, call, pool)

            return await first_of(lambda: self._at(place, call, pool, ""), delay, another)

    async def _hedge(self, state: TargetState, call: Call, pool: Pool) -> Reply:
        """Nobody waits with a hedge: where the last place has gone meanwhile, it is not sent."""
        place = pool.queue.at_once(state)
        if place is None:
            pool.retries.refund("token")
            if pool.hedges is not None:
                pool.hedges.refund("token")
            raise Overloaded(f"{state.target.name} has no free place.", retry_after_s=1)
        return await self._at(place, call, pool, "hedge")

    async def _at(self, place: Place, call: Call, pool: Pool, why: str) -> Reply:
        """Try the place's target; the place is held until the reply's end."""
        with place:
            return await self._with_keys(call, pool, place, why)

    async def _with_keys(self, call: Call, pool: Pool, place: Place, why: str) -> Reply:
        """Try the target; while it refuses a key and has another one, try that at once."""
        for _ in range(MOST_KEYS - 1):
            try:
                return await self._once(call, pool, place, why)
            except UpstreamStatus as error:
                if not error.another_key or call.late(pool):
                    raise
                pool.retries.owe()
                why = "next_key"
        return await self._once(call, pool, place, why)

    async def _once(self, call: Call, pool: Pool, place: Place, why: str) -> Reply:
        fit = await fitted(place.state, call.request, drop=pool.settings.drop_unsupported)
        if not why:
            unasked = call.tries > 0 or pool.name != call.asked.pool
            why = "fallback" if unasked else "first"
        call.tries += 1
        purpose = call.asked.purpose
        if purpose is Purpose.SERVE:
            purpose = _PURPOSES.get(why, purpose)
        asked = replace(call.asked, pool=pool.name, purpose=purpose)
        limits = call.limits(pool, place.state)
        one = OneTry(self._attempts, place.state, asked)
        reply = await one.run(fit, why, limits)
        one.ended = place.give_back
        if asked.parent is not None and call.asked.purpose is Purpose.SERVE:
            asked.parent.notes["total_at"] = limits.total_at
        return reply


def error_of_key(error: UpstreamError) -> bool:
    """All keys of this target are refused: another target of the pool may still do."""
    return isinstance(error, UpstreamStatus) and error.credentials


async def _place(
    call: Call,
    pool: Pool,
    state: TargetState,
    turns: Turns,
    rests: Rests,
    failure: Exception | None,
) -> Place:
    """A place at ``state``, or at the first target as good that has one.

    A call that has failed already waits at the head of its principal's line. Raises
    ``Overloaded``, or what the call has failed with.
    """

    def wanted() -> list[TargetState]:
        return [one for one in turns.wanted() if one is state or not rests.left(one)]

    place = pool.queue.at_once(state)
    if place is not None:
        return place
    who, again = call.asked.principal.key_id, failure is not None
    try:
        place = await pool.queue.take(who, wanted, call.left(pool), again=again)
    except Overloaded as full:
        raise failure or full from full
    if call.late(pool):
        place.give_back()
        raise failure or Overloaded(
            "A place came free when the call's time was over.", retry_after_s=1
        )
    return place


def _for_hedge(pool: Pool, first: TargetState, *, stream: bool) -> TargetState | None:
    """Where a second attempt beside ``first`` can begin at once."""
    others = (s for s in pool.order(stream=stream) if s is not first)
    others = (s for s in others if s.available() and pool.queue.room(s))
    return next(others, None)


async def _may_retry(call: Call, pool: Pool, pause_s: float, cost: Cost) -> bool:
    """Wait until the target may be asked again; False when time or budget forbid it.

    What it costs is paid after the pause: a caller who hangs up meanwhile has cost nothing.
    """
    if pause_s > LONGEST_PAUSE_S or call.left(pool) <= pause_s:
        return False
    if not pool.retries.affords(cost):
        return False
    if pause_s > 0:
        await asyncio.sleep(pause_s)
    return True
