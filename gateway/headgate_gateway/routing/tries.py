"""The tries of one call in one pool: where the next one goes, and what has come of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import TypeAlias

from headgate_core.errors import (
    Overloaded,
    UpstreamCredentialsExhausted,
    UpstreamError,
    UpstreamUntranslated,
)
from headgate_gateway.routing.fair_queue import Place
from headgate_gateway.routing.one_call import Call
from headgate_gateway.routing.parameters import UnsupportedParameter
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.rests import LONGEST_PAUSE_S, Rests
from headgate_gateway.routing.retry_budget import Cost
from headgate_gateway.routing.target_state import TargetState
from headgate_gateway.routing.turns import Turns

Unfit: TypeAlias = UnsupportedParameter | UpstreamUntranslated
"""What is wrong is the request, for this target: nothing was sent to it."""


@dataclass(slots=True)
class Tries:
    """One pool's part of a call."""

    call: Call
    pool: Pool
    handed_on: bool = False
    """Whether somebody else goes on with them, beside the try that is under way."""
    failure: UpstreamError | None = None
    sent: bool = False
    """Whether one of them was more than a look at keys that are all refused."""
    unfit: Unfit | None = None
    _unfit: set[int] = field(default_factory=set)
    _rests: Rests = field(default_factory=Rests)
    _turns: Turns = field(init=False)
    _ahead: Iterator[TargetState] = field(init=False)

    def __post_init__(self) -> None:
        """Order the pool's targets for this call."""
        self._turns = Turns(self.pool, stream=self.call.request.stream)
        self._ahead = iter(self._turns)

    async def next(self) -> tuple[Place, Cost] | None:
        """A place for the next try, paid for at this cost; None = there is none.

        Raises ``Overloaded``, or what the call has failed with, when no place comes free.
        """
        call, pool, turns = self.call, self.pool, self._turns
        for state in self._ahead:
            if self._leaves(state):
                return None
            if id(state) in self._unfit:
                turns.tried(state)
                continue
            if self.failure is not None and not await self._may_retry(state):
                turns.tried(state)
                continue
            place = await self._place(state)
            turns.tried(place.state)
            call.count_in(pool)
            cost = turns.cost(place.state)
            if not pool.retries.pay(cost):
                place.give_back()
                continue
            call.last = turns.last(place.state) and not call.course.elsewhere(pool)
            return place, cost
        return None

    def failed(self, state: TargetState, failure: UpstreamError, cost: Cost = "nothing") -> None:
        """The try at the target failed, or has had its time; it was paid for at this cost."""
        if isinstance(failure, UpstreamCredentialsExhausted):
            self.pool.retries.refund(cost)
        else:
            self.sent = True
        self.failure = failure
        self._rests.failed(state, failure)
        self._turns.failed(state, failure)

    def hedged(self, state: TargetState) -> None:
        """A second attempt went to the target, beside one that is slow."""
        self._turns.tried(state)

    def hand_on(self) -> Tries:
        """The same tries, for who goes on with them from here."""
        onward = copy(self)
        self.handed_on = True
        return onward

    def unsent(self, state: TargetState, unfit: Unfit, cost: Cost) -> None:
        """The target cannot honour the request; another one of the pool may."""
        self.pool.retries.refund(cost)
        self._unfit.add(id(state))
        self.unfit = self.unfit or unfit
        ctx = self.call.request.context
        if ctx is not None and isinstance(unfit, UpstreamUntranslated):
            ctx.degraded.append(f"route: did without {state.target.name}: {unfit.message}")

    def over(self) -> Exception:
        """What the call has failed with."""
        name = self.pool.name
        return (
            self.failure or self.unfit or UpstreamError(f"The pool {name!r} has no target to try.")
        )

    def _leaves(self, state: TargetState) -> bool:
        """Whether another pool comes before this target, which is the best one here: it let a
        timer run out, or asked to be left alone for a while."""
        course, pool = self.call.course, self.pool
        if self._rests.told(state) and course.elsewhere(pool, available=True):
            return True
        return self._turns.hung(state) and course.elsewhere(pool)

    async def _place(self, state: TargetState) -> Place:
        """A place at ``state``, or at the first target as good that has one.

        A call that has failed already waits at the head of its principal's line.
        """
        call, pool, turns, rests = self.call, self.pool, self._turns, self._rests

        def wanted() -> list[TargetState]:
            return [one for one in turns.wanted() if one is state or not rests.left(one)]

        place = pool.queue.at_once(state)
        if place is not None:
            return place
        who, again = call.asked.principal.key_id, self.failure is not None
        try:
            place = await pool.queue.take(who, wanted, call.left(pool), again=again)
        except Overloaded as full:
            raise self.failure or full from full
        if call.late(pool):
            place.give_back()
            raise self.failure or Overloaded(
                "A place came free when the call's time was over.", retry_after_s=1
            )
        return place

    async def _may_retry(self, state: TargetState) -> bool:
        """Wait until the target may be asked again; False when time or budget forbid it.

        What it costs is paid after the pause: a caller who hangs up meanwhile has cost nothing.
        """
        pause_s = self._rests.left(state)
        if pause_s > LONGEST_PAUSE_S or self.call.left(self.pool) <= pause_s:
            return False
        if not self.pool.retries.affords(self._turns.cost(state)):
            return False
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        return True
