"""Waiting for a free place, bounded and fair: principals take turns, each in its own order."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque

from headgate_core.errors import Overloaded


class FairQueue:
    """``places`` may be taken at once; at most ``waiting`` callers wait, each ``wait_s`` at most.

    Whoever gives a place back hands it to the first waiter of the principal whose turn it is, so
    one principal with a thousand calls delays another by one call, not by a thousand.
    """

    def __init__(self, places: int, waiting: int, wait_s: float) -> None:
        self._places = places
        self._free = places
        self._most = waiting
        self._wait_s = wait_s
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def length(self) -> int:
        """How many wait now."""
        return sum(map(len, self._lines.values()))

    def resize(self, other: FairQueue) -> None:
        """Take over the bounds of ``other``; places that are too many go as they are given back."""
        self._free += other._places - self._places
        self._places, self._most, self._wait_s = other._places, other._most, other._wait_s
        while self._free > 0 and self._lines:
            self._free -= 1
            self.give_back()

    async def take(self, principal: str, at_most_s: float = math.inf) -> None:
        """Take a place. Raises ``Overloaded`` when too many wait or none came free in time.

        ``at_most_s`` is what is left of the call's own time; the tighter of the two limits wins.
        """
        if self._free > 0:
            self._free -= 1
            return
        if self.length >= self._most:
            raise Overloaded(f"{self._most} calls wait for this pool already.", retry_after_s=1)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(principal, deque()).append(waiter)
        wait_s = min(self._wait_s, at_most_s)
        try:
            async with asyncio.timeout(wait_s):
                await waiter
        except TimeoutError:
            self._leave(principal, waiter)
            limit = f"queue.wait_s = {wait_s:g}"
            if wait_s < self._wait_s:
                limit = f"the {wait_s:g} s that the call had left"
            raise Overloaded(f"No place came free within {limit}.", retry_after_s=1) from None
        except BaseException:
            self._leave(principal, waiter)
            raise

    def give_back(self) -> None:
        """Free a place, or hand it to whoever is next."""
        if self._free < 0:
            self._free += 1
            return
        while self._lines:
            principal, line = next(iter(self._lines.items()))
            waiter = line.popleft()
            if line:
                self._lines.move_to_end(principal)
            else:
                del self._lines[principal]
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1

    def _leave(self, principal: str, waiter: asyncio.Future[None]) -> None:
        if waiter.done() and not waiter.cancelled():
            self.give_back()  # the place was handed over at the very moment of giving up
            return
        line = self._lines.get(principal)
        if line is not None and waiter in line:
            line.remove(waiter)
            if not line:
                del self._lines[principal]
