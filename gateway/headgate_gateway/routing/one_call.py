"""What the routing knows of one call while it is tried here and there."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

from headgate_core.ports import ModelRequest
from headgate_gateway.routing.attempts import Asked
from headgate_gateway.routing.course import Course
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.timers import Limits

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
    counted: set[str] = field(default_factory=set)
    """Pools that it was counted in."""

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
        return self.limits(pool).total_at - asyncio.get_running_loop().time()

    def late(self, pool: Pool) -> bool:
        """Whether no time is left in which another try in this pool could come to anything."""
        return self.left(pool) < LEAST_S
