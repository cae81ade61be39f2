"""How much extra load retries and hedges may put on a pool's upstreams."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

Cost = Literal["nothing", "token", "debt"]
"""What an extra attempt costs: ``debt`` = it is made in any case, and paid for later if need be."""

MOST_CALLERS = 1_000
"""Callers whose earnings are kept; of others it is taken that they have earned nothing."""


class RetryBudget:
    """Each first attempt earns ``share`` of a token, each retry or hedge spends a whole one.

    A reserve lets single failures of a quiet pool be retried; over many calls the extra load
    stays at or below ``share`` plus that reserve. Method: the retry budget of Finagle.

    Attempts that are made in any case may be owed: half of what later first attempts earn pays
    for them, and the other half goes on to pay for retries.
    """

    def __init__(self, share: float = 0.1, reserve: float = 10.0) -> None:
        self._share = share
        self._most = reserve
        self._tokens = reserve
        self._owed = 0.0
        self._earned: OrderedDict[str, float] = OrderedDict()
        """Caller to what he has put in and his client's own retries have not taken out."""

    def earn(self, who: str = "") -> None:
        """A first attempt is sent for this caller."""
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
        # Shares such as 0.1 do not add up exactly in binary; a hair below one counts as one.
        return cost != "token" or self._tokens >= 1 - 1e-9

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
            self._owed += 1

    def spare(self) -> bool:
        """Whether nothing is owed and there is a token for an attempt that may prove useless."""
        return self._owed < 1e-9 and self.affords("token")
