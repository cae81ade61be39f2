"""How much extra load retries and hedges may put on a pool's upstreams."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

Cost = Literal["nothing", "token", "debt"]
"""What an extra attempt costs: ``debt`` = it is paid for later where there is no token now."""

OWED_RESERVES = 10
"""So many reserves are owed at most, after which such an attempt takes a token like any other;
time alone has them forgotten as soon as it fills one."""

MOST_CALLERS = 1_000
"""Callers whose earnings are kept; of others it is taken that they have earned nothing."""


class RetryBudget:
    """Each first attempt earns ``share`` of a token, each retry or hedge spends a whole one.

    A reserve lets the failures of a quiet pool be retried; an empty one is full again after
    ``full_in_s``, so the extra load stays at or below ``share`` beside so many reserves as that
    time has passed. Method: the retry budget of Finagle. ``clock`` gives seconds.

    Attempts that move calls to a target that works may be owed: half of what comes in pays for
    them, and the other half goes on to pay for retries. What is owed is bounded and forgotten in
    time, so that no outage of hours weighs on the hours after it.
    """

    def __init__(
        self,
        share: float = 0.1,
        reserve: float = 10.0,
        full_in_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._share = share
        self._most = reserve
        self._by_time = reserve / full_in_s
        self._clock = clock
        self._filled_at = clock()
        self._tokens = reserve
        self._owed = 0.0
        self._earned: OrderedDict[str, float] = OrderedDict()
        """Caller to what he has put in and his client's own retries have not taken out."""

    def earn(self, who: str = "") -> None:
        """A first attempt is sent for this caller."""
        self._fill()
        paid = min(self._owed, self._share / 2)
        self._owed -= paid
        added = min(self._most - self._tokens, self._share - paid)
        self._tokens += added
        self._earned[who] = self._earned.pop(who, 0.0) + added
        if len(self._earned) > MOST_CALLERS:
            self._earned.popitem(last=False)

    def repeated(self, who: str) -> None:
        """The caller's own client says that it repeats a call: that takes a token, but no more
        than the caller has earned, so that nobody uses up the retries of others by saying so."""
        taken = min(1.0, self._earned.get(who, 0.0), self._tokens)
        if taken > 0:
            self._earned[who] -= taken
            self._tokens -= taken

    def affords(self, cost: Cost) -> bool:
        """Whether ``pay`` would succeed now."""
        self._fill()
        # Shares such as 0.1 do not add up exactly in binary; a hair below one counts as one.
        if cost == "nothing" or self._tokens >= 1 - 1e-9:
            return True
        return cost == "debt" and self._owed + 1 <= OWED_RESERVES * self._most + 1e-9

    def pay(self, cost: Cost) -> bool:
        """Take what an extra attempt costs; False = there is no token, so it must not be sent."""
        if not self.affords(cost):
            return False
        if cost == "debt":
            self.owe()
        elif cost == "token":
            self._tokens -= 1
        return True

    def refund(self, cost: Cost) -> None:
        """What was paid for was not sent."""
        if cost == "debt" and self._owed >= 1:
            self._owed -= 1
        elif cost != "nothing":
            self._tokens = min(self._most, self._tokens + 1)

    def spend(self) -> bool:
        """Take the token of an extra attempt; False = there is none, so it must not be sent."""
        return self.pay("token")

    def owe(self) -> None:
        """An extra attempt is sent in any case: it takes a token, or is paid for later."""
        if not self.spend():
            self._owed = min(self._owed + 1, OWED_RESERVES * self._most)

    def spare(self) -> bool:
        """Whether nothing is owed and there is a token for an attempt that may prove useless."""
        return self.affords("token") and self._owed < 1e-9

    def _fill(self) -> None:
        """Take in what time alone has brought."""
        now = self._clock()
        passed_s, self._filled_at = now - self._filled_at, now
        added = passed_s * self._by_time
        self._owed = max(0.0, self._owed - OWED_RESERVES * added)
        self._tokens = min(self._most, self._tokens + added)
