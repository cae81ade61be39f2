"""The ``Caller`` port: every paid call goes through this one function."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from headgate_core.context import Context
from headgate_core.endpoints import kind_of
from headgate_core.errors import (
    ConfigurationError,
    Overloaded,
    UpstreamCredentialsExhausted,
    UpstreamError,
    UpstreamStatus,
    UpstreamUntranslated,
)
from headgate_core.plugins import unknown
from headgate_core.ports import ModelRequest
from headgate_core.reply import Reply
from headgate_core.types import Principal, Purpose
from headgate_gateway.routing.attempts import Asked, Attempts
from headgate_gateway.routing.beside import NothingElse, Try, first_of
from headgate_gateway.routing.course import Course
from headgate_gateway.routing.failures import fallback_class, worth_another
from headgate_gateway.routing.fair_queue import Place
from headgate_gateway.routing.one_call import Call
from headgate_gateway.routing.one_try import OneTry
from headgate_gateway.routing.parameters import UnsupportedParameter, fitted
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.target_state import TargetState
from headgate_gateway.routing.timers import timed_out
from headgate_gateway.routing.tries import Tries

FLOOR_S = 0.1
"""A hedge is never sent earlier than this."""
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

    async def _through(
        self, call: Call, failure: UpstreamError | Overloaded | None = None
    ) -> Reply:
        """The pool, then what its failure's class falls back to, each pool once."""
        while (pool := call.course.next()) is not None:
            if failure is not None and call.late(pool):
                continue
            tries = Tries(call, pool)
            try:
                return await self._retried(tries)
            except UnsupportedParameter:
                if failure is None:
                    raise
            except (UpstreamError, Overloaded) as error:
                failure = error
                if tries.handed_on or not call.course.goes_on(pool, error):
                    break
        raise failure or UpstreamError(f"The pool {call.asked.pool!r} has no target to try.")

    async def _retried(self, tries: Tries) -> Reply:
        while (found := await tries.next()) is not None:
            place, cost = found
            try:
                return await self._with_rest(tries, place)
            except (UnsupportedParameter, UpstreamUntranslated) as unfit:
                if tries.handed_on:
                    raise
                tries.unsent(place.state, unfit, cost)
            except UpstreamError as error:
                if tries.handed_on:
                    raise
                tries.failed(place.state, error, cost)
                if not (worth_another(error) or error_of_key(error)):
                    break
        raise tries.over()

    async def _with_rest(self, tries: Tries, place: Place) -> Reply:
        """Try at the place; where that takes long, go on with the rest beside it."""
        call, pool, state = tries.call, tries.pool, place.state
        overdue_s = call.limits(pool, state).overdue_s

        def rest() -> Try:
            late = timed_out("answer_s", overdue_s)
            tries.failed(state, late)
            return partial(self._rest, tries.hand_on(), late)

        def final(error: BaseException) -> bool:
            ends = _final(error, state)
            call.winner = call.winner or (error if ends else None)
            return ends

        with place:
            return await first_of(partial(self._hedged, tries, place), overdue_s, rest, final)

    async def _rest(self, tries: Tries, late: UpstreamError) -> Reply:
        """What is left to try while the target that is ``late`` goes on."""
        call, pool = tries.call, tries.pool
        try:
            try:
                return await self._retried(tries)
            except (UpstreamError, Overloaded) as error:
                if tries.handed_on or not call.course.goes_on(pool, error):
                    raise
                return await self._through(call, error)
        except UpstreamError as error:
            if error is late:
                raise NothingElse from None
            raise

    async def _hedged(self, tries: Tries, place: Place) -> Reply:
        call, pool, state = tries.call, tries.pool, place.state
        why, hedges = "retry" if tries.sent else "", pool.hedges
        own_s = state.p95_s(stream=call.request.stream) if hedges and not tries.failure else None
        delay_s = math.inf if own_s is None else max(own_s, FLOOR_S)

        def another() -> Try | None:
            other = _for_hedge(pool, state, stream=call.request.stream)
            if other is None or hedges is None or call.late(pool):
                return None
            if not (hedges.affords("token") and pool.retries.affords("token")):
                return None
            hedges.spend()
            pool.retries.spend()
            return partial(self._hedge, tries, other)

        return await first_of(partial(self._at, place, call, pool, why), delay_s, another)

    async def _hedge(self, tries: Tries, state: TargetState) -> Reply:
        """Nobody waits with a hedge: where the last place has gone meanwhile, it is not sent."""
        pool = tries.pool
        place = pool.queue.at_once(state)
        try:
            if place is None:
                raise UnsupportedParameter("There is no place for a hedge.")
            tries.hedged(state)
            return await self._at(place, tries.call, pool, "hedge")
        except (UnsupportedParameter, UpstreamUntranslated, UpstreamCredentialsExhausted):
            for budget in (pool.retries, pool.hedges):
                if budget is not None:
                    budget.refund("token")
            raise NothingElse from None
        except UpstreamError as error:
            tries.failed(state, error)
            raise NothingElse from error

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
                if not pool.retries.pay("debt"):
                    raise
                why = "next_key"
        return await self._once(call, pool, place, why)

    async def _once(self, call: Call, pool: Pool, place: Place, why: str) -> Reply:
        drop, left_s = pool.settings.drop_unsupported, call.left(pool)
        fit = await fitted(place.state, call.request, drop=drop, left_s=left_s)
        if pool.settings.unpriced == "refuse":
            self._attempts.insist_on_price(place.state.target, fit)
        if not why:
            unasked = call.tries > 0 or pool.name != call.asked.pool
            why = "fallback" if unasked else "first"
        purpose = call.asked.purpose
        if purpose is Purpose.SERVE:
            purpose = _PURPOSES.get(why, purpose)
        asked = replace(call.asked, pool=pool.name, purpose=purpose)
        limits = call.limits(pool, place.state)
        one = OneTry(self._attempts, place.state, asked, call.lost)
        try:
            reply = await one.run(fit, why, limits)
        finally:
            call.tries += one.begun
        call.winner = call.winner or one
        one.ended = place.give_back
        if asked.parent is not None and call.asked.purpose is Purpose.SERVE:
            asked.parent.notes["total_at"] = limits.total_at
        return reply


def error_of_key(error: UpstreamError) -> bool:
    """All keys of this target are refused: another target of the pool may still do."""
    return isinstance(error, UpstreamStatus) and error.credentials


def _final(error: BaseException, state: TargetState) -> bool:
    """Whether the caller must change the request, so that ``state`` could not answer it either:
    the same model has refused it elsewhere."""
    if not isinstance(error, UpstreamError) or error_of_key(error):
        return False
    model = str(error.extra.get("target", "")).partition("/")[2]
    if model != state.target.model:
        return False
    return not worth_another(error) and fallback_class(error) is None


def _for_hedge(pool: Pool, first: TargetState, *, stream: bool) -> TargetState | None:
    """Where a second attempt beside ``first`` can begin at once."""
    others = (s for s in pool.order(stream=stream) if s is not first)
    others = (s for s in others if s.available() and pool.queue.room(s))
    return next(others, None)
