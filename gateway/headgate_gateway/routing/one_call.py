"""What the routing knows of one call while it is tried here and there."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

from headgate_core.ports import ModelRequest
from headgate_gateway.routing.attempts import Asked
from headgate_gateway.routing.course import Course
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.silence import Pace
from headgate_gateway.routing.target_state import TargetState
from headgate_gateway.routing.timers import Limits

OF_USUAL = 2.0
"""A target may take so many times as long as its answers usually do, where nobody says how long."""
LEAST_S = 0.05
"""In less than this no request reaches a model and comes back."""


@dataclass(slots=True)
class Call:
    """What stays the same while one call is tried here and there."""

    request: ModelRequest
    asked: Asked
    started: float
    course: Course
    tries: int = 0
    last: bool = False
    """Whether nothing else is left to try after the present try."""
    counted: set[str] = field(default_factory=set)
    """Pools that it was counted in."""
    winner: object = None
    """The try that has answered first."""

    def lost(self, one: object) -> bool:
        """Whether another try than this one has answered."""
        return self.winner is not None and self.winner is not one

    def limits(self, pool: Pool, state: TargetState) -> Limits:
        """The timers of a try at the target; what the whole call may take counts from its start.

        A target that hangs in a call that is no stream is overdue after half of it, so that the
        next one has as much. It has more where its average answer needs it and the call has the
        time: else every one would be overdue, here and there. ``answer_s`` of the pool replaces
        both, and ends the try.
        """
        timeouts = pool.settings.timeouts
        own_s, total_s = self._totals(pool)
        callers = total_s < own_s
        answer_s = overdue_s = math.inf
        if timeouts.answer_s:
            answer_s, own_s = timeouts.answer_s, min(own_s, timeouts.answer_s)
        elif self.last and not pool.settings.stands_alone:
            own_s = own_s / 2
        elif not (self.request.stream or pool.settings.stands_alone):
            pace = state.silence.pace(stream=False)
            overdue_s, own_s = _fair_part(pace, total_s), _fair_part(pace, own_s)
        if overdue_s >= total_s:
            overdue_s = math.inf
        until = self.started + total_s
        return Limits(timeouts, answer_s, total_s, until, own_s, overdue_s, callers)

    def _totals(self, pool: Pool) -> tuple[float, float]:
        """The tighter one of the pool's and the route's total, and of that and the caller's
        patience (s)."""
        notes = self.request.context.notes if self.request.context else {}
        own_s = min(pool.settings.timeouts.total_s, notes.get("total_s", math.inf))
        return own_s, min(own_s, notes.get("waits_s", math.inf))

    def count_in(self, pool: Pool) -> None:
        """Count the call where it comes in, once; a retry of the client's own SDK is extra load."""
        if pool.name in self.counted:
            return
        self.counted.add(pool.name)
        context = self.request.context
        if context is not None and context.notes.get("sdk_retry"):
            pool.retries.repeated(self.asked.principal.key_id)
            return
        pool.retries.earn(self.asked.principal.key_id)
        if pool.hedges is not None:
            pool.hedges.earn()

    def left(self, pool: Pool) -> float:
        """Seconds that are left for tries in this pool; 0 or less = none."""
        return self.started + self._totals(pool)[1] - asyncio.get_running_loop().time()

    def late(self, pool: Pool) -> bool:
        """Whether no time is left in which another try in this pool could come to anything."""
        return self.left(pool) < LEAST_S


def _fair_part(pace: Pace, total_s: float) -> float:
    """How much of so many seconds a target may take that answers at this pace."""
    average_s, usual_s = pace.average_s, pace.usual_s()
    if average_s is None or usual_s is None or not total_s / 2 < average_s < total_s:
        return total_s / 2
    return min(OF_USUAL * usual_s, total_s)
