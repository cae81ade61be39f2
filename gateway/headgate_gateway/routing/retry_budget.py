"""How much extra load retries and hedges may put on a pool's upstreams."""

from __future__ import annotations


class RetryBudget:
    """Each first attempt earns ``share`` of a token, each retry or hedge spends a whole one.

    A reserve lets single failures of a quiet pool be retried; over many calls the extra load
    stays at or below ``share`` plus that reserve. Method: the retry budget of Finagle.
    """

    def __init__(self, share: float = 0.1, reserve: float = 10.0) -> None:
        self._share = share
        self._most = reserve
        self._tokens = reserve

    def earn(self) -> None:
        """A first attempt is sent."""
        self._tokens = min(self._most, self._tokens + self._share)

    def spend(self) -> bool:
        """Take the token of an extra attempt; False = there is none, so it must not be sent."""
        # Shares such as 0.1 do not add up exactly in binary; a hair below one counts as one.
        if self._tokens < 1 - 1e-9:
            return False
        self._tokens -= 1
        return True
