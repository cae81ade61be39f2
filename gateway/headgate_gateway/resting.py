"""How long a key or a target is left alone that a provider refused or throttled."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Literal

State = Literal["none", "resting", "half_open"]

DEAD = (401, 402)
"""Statuses of a key that is worth nothing for any model."""
FORBIDDEN = 403
"""Status of a key that may not use this model, or of a request that a filter did not like."""
THROTTLED = 429

_LENGTHS_S = {401: (300.0, 300.0), 402: (300.0, 300.0), 403: (10.0, 300.0), 429: (1.0, 30.0)}
"""The first rest and the longest, where the provider does not say; each rest that ends in
another refusal is followed by one that is twice as long."""
LEAST_S = 1.0
"""A provider that asks for a shorter rest gets this one, so that asking again is no load."""
MOST_S = 3600.0
"""A provider that asks for a longer rest is asked again all the same."""
AGAIN_S = 1.0
"""Once a rest is over, one call in so many seconds finds out whether all is well."""
OVERDUE_S = 60.0
"""A target that could have been tried for so long is tried though it may cost a retry."""


def rests(status: int) -> bool:
    """Whether an answer with this status says that a key, or a keyless target, is to rest."""
    return status in _LENGTHS_S


class Rest:
    """None, resting for a while, then half-open: tried now and then until an answer comes.

    All by the clock and nothing by counting: calls that hang or are hung up cannot wedge it.
    ``clock`` gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: float | None = None
        self._begun = -math.inf
        self._tried = -math.inf
        self._in_a_row = 0
        self._status = 0

    @property
    def state(self) -> State:
        """Where it stands now."""
        if self._until is None:
            return "none"
        return "resting" if self._clock() < self._until else "half_open"

    @property
    def throttled(self) -> bool:
        """Whether it was a rate limit, which may concern a single request; else a refusal."""
        return self._status == THROTTLED

    @property
    def dead(self) -> bool:
        """Whether the provider said that the key itself is worth nothing."""
        return self._status in DEAD

    @property
    def left_s(self) -> float:
        """Seconds until the rest is over; 0 = it is, or there is none."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    @property
    def untried_s(self) -> float:
        """Seconds since it was tried last."""
        return self._clock() - self._tried

    def allows(self) -> bool:
        """Whether a call may be sent: always without a rest, once in a while when half-open."""
        state = self.state
        return state == "none" or (state == "half_open" and self.untried_s >= AGAIN_S)

    def overdue(self) -> bool:
        """Whether it has been half-open for long and nobody has tried."""
        return self._until is not None and self._clock() - self._until >= OVERDUE_S

    def sent(self) -> float:
        """A call goes out; returns the moment, which ``answered`` is to be told."""
        now = self._clock()
        if self._until is not None:
            self._tried = now
        return now

    def begin(self, status: int, told_s: float | None = None) -> bool:
        """The provider answered with ``status``; the rest is to last ``told_s`` where one is told.

        Returns whether a new rest begins; answers to calls under way only lengthen one.
        """
        now, state = self._clock(), self.state
        fresh = state != "resting"
        if fresh:
            self._begun, self._status = now, status
            self._in_a_row += 1
        elif self.throttled:
            self._status = status
        until = now + self._length_s(status, told_s)
        self._until = until if fresh or self._until is None else max(self._until, until)
        self._tried = now
        return fresh

    def answered(self, sent_at: float) -> None:
        """A call that was sent at that moment was answered well. One that was under way when
        the rest began tells nothing."""
        if self._until is not None and sent_at > self._begun:
            self._until, self._in_a_row, self._status = None, 0, 0

    def _length_s(self, status: int, told_s: float | None) -> float:
        if told_s is not None:
            return min(max(told_s, LEAST_S), MOST_S)
        first, longest = _LENGTHS_S[status]
        return min(first * 2.0 ** min(self._in_a_row - 1, 20), longest)
