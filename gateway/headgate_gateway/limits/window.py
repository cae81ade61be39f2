"""A sliding window log: exact, in this process's memory."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

WINDOW_S = 60.0
MOST_NAMES = 100_000
"""Names kept at most; the least recently used goes first, and with it its count."""


class SlidingWindow:
    """At most ``per_minute`` takes of one name within any 60 seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()

    def take_now(self, name: str, per_minute: int) -> float | None:
        """Take one; None when there was room, else the seconds until there is."""
        now = self._clock()
        taken = self._taken.setdefault(name, deque())
        self._taken.move_to_end(name)
        if len(self._taken) > MOST_NAMES:
            self._taken.popitem(last=False)
        while taken and taken[0] <= now - WINDOW_S:
            taken.popleft()
        if len(taken) >= per_minute:
            return taken[len(taken) - per_minute] + WINDOW_S - now
        taken.append(now)
        return None

    async def take(self, name: str, per_minute: int) -> float | None:
        """``take_now`` behind the port that the admit stage knows."""
        return self.take_now(name, per_minute)
