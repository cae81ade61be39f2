"""Which pools a call goes through, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headgate_core.errors import Overloaded, UpstreamError
from headgate_gateway.routing.failures import fallback_class
from headgate_gateway.routing.pools import Pool


class Course:
    """The pool that was asked for, then what failures fall back to; each pool once.

    A pool none of whose targets is available comes last where a fallback for errors has one that
    is: there is no use in waiting for what is known to be down. ``told`` gets a line about it.
    """

    def __init__(self, pools: Mapping[str, Pool], first: str, told: list[str]) -> None:
        self._pools = pools
        self._told = told
        self._ahead = [first]
        self._last: list[str] = []
        self._been: set[str] = set()

    def next(self) -> Pool | None:
        """The pool whose turn it is now; None = there is none left."""
        while self._ahead:
            pool = self._pools[self._ahead.pop(0)]
            if pool.name in self._been or pool.name in self._last:
                continue
            if pool.available() or not self._stands_in(pool):
                return self._at(pool)
            self._told.append(f"route: no target of the pool {pool.name} was available")
            self._last.append(pool.name)
            self._next(pool.settings.fallbacks.error)
        return self._at(self._pools[self._last.pop(0)]) if self._last else None

    def goes_on(self, pool: Pool, failure: UpstreamError | Overloaded) -> bool:
        """What the pool falls back to after this failure comes next; False = the caller must act.

        A pool that was put off stands in after errors alone: where a model that works refuses the
        request, the caller is to hear that, and not to wait for one that is down.
        """
        wanted = "error" if isinstance(failure, Overloaded) else fallback_class(failure)
        if wanted is None:
            return False
        if wanted != "error":
            self._last.clear()
        self._next(getattr(pool.settings.fallbacks, wanted))
        return True

    def elsewhere(self, pool: Pool, *, available: bool = False) -> bool:
        """Whether the call can leave this pool for one that it has not been to: any, or one with
        an available target."""
        names = {*pool.settings.fallbacks.error, *self._ahead, *self._last} - self._been
        return any(not available or self._pools[name].available() for name in names)

    def _next(self, names: Sequence[str]) -> None:
        self._ahead[:0] = names

    def _at(self, pool: Pool) -> Pool:
        self._been.add(pool.name)
        return pool

    def _stands_in(self, pool: Pool) -> bool:
        """Whether an available target is among what ``pool`` falls back to after errors."""
        seen, ahead = set(self._been), list(pool.settings.fallbacks.error)
        while ahead:
            name = ahead.pop()
            if name in seen:
                continue
            if self._pools[name].available():
                return True
            seen.add(name)
            ahead += self._pools[name].settings.fallbacks.error
        return False
