"""A sliding window log: exact, in this process's memory."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from headgate_gateway.plan import Limits

WINDOW_S = 60.0
MOST_NAMES = 100_000
"""Names kept at most; the least recently used goes first, and with it its count."""


class SlidingWindow:
    """At most ``per_minute`` takes of one name within any 60 seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()

    def take_now(self, limits: Limits) -> tuple[str, float] | None:
        """Take one of each name, or none where one has no room: its name, and its wait (s)."""
        now = self._clock()
        rows = [self._row(name, now) for name, _ in limits]
        for (name, per_minute), row in zip(limits, rows, strict=True):
            if len(row) >= per_minute:
                return name, row[len(row) - per_minute] + WINDOW_S - now
        for row in rows:
            row.append(now)
        return None

    async def take(self, limits: Limits) -> tuple[str, float] | None:
        """``take_now`` behind the port that the admit stage knows."""
        return self.take_now(limits)

    def _row(self, name: str, now: float) -> deque[float]:
        """When the name's requests of the last minute came."""
        row = self._taken.setdefault(name, deque())
        self._taken.move_to_end(name)
        if len(self._taken) > MOST_NAMES:
            self._taken.popitem(last=False)
        while row and row[0] <= now - WINDOW_S:
            row.popleft()
        return row
