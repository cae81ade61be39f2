"""How long one target makes its calls wait, and whether a silence says that it hangs."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field

EWMA_WEIGHT = 0.2
"""Weight of the newest time in the moving average."""
LATEST = 200
"""Times kept for the quantile."""
LEAST_FOR_QUANTILE = 20
"""Fewer samples than this say nothing about a tail."""
MUCH_LONGER = 3.0
"""A silence of so many times what answers take is not explained by a long answer."""
LEAST_S = 0.5
"""A shorter silence says nothing of any model."""
STEADY_CALLS = 20
"""So many of a target's latest calls say whether it keeps up."""
STEADY_S = 30.0
"""Older ones say nothing of that."""
STEADY_SHARE = 0.1
"""A target keeps up while at most this share of its calls ended in silence."""


@dataclass(slots=True)
class Pace:
    """How long a target takes to the first content of one kind of calls (s)."""

    average_s: float | None = None
    _latest: deque[float] = field(default_factory=deque)
    _sorted: list[float] = field(default_factory=list)

    def answered(self, seconds: float) -> None:
        """The first content came after so long."""
        if len(self._latest) == LATEST:
            del self._sorted[bisect_left(self._sorted, self._latest.popleft())]
        self._latest.append(seconds)
        insort(self._sorted, seconds)
        if self.average_s is None:
            self.average_s = seconds
        else:
            self.average_s += EWMA_WEIGHT * (seconds - self.average_s)

    def p95(self) -> float | None:
        """95 % of the latest calls had their first content by then (s); None = too few calls."""
        return self.usual_s() if len(self._latest) >= LEAST_FOR_QUANTILE else None

    def usual_s(self) -> float | None:
        """The same, where even few calls will do: then it is the longest; None = no call."""
        if not self._latest:
            return None
        return self._sorted[int(0.95 * len(self._sorted))]


@dataclass(slots=True, eq=False)
class Wait:
    """An attempt until its first content or its end; times are the loop's (s)."""

    stream: bool
    begun: float
    alone: bool = False
    """It is the one call that tries out a target that was taken out of use."""
    ended: float | None = None
    """When it was given up without a word of the target; None while it waits."""

    @property
    def silent_s(self) -> float:
        """How long it had waited when it was given up; 0 = it still waits."""
        return 0.0 if self.ended is None else self.ended - self.begun


class Silence:
    """The calls of one target that have had no word of it, and how long the others waited.

    Streams wait for a first token and other calls for a whole answer, so there are two paces.
    """

    def __init__(self) -> None:
        self._paces = {True: Pace(), False: Pace()}
        self._waiting: set[Wait] = set()
        self._given_up: deque[Wait] = deque(maxlen=STEADY_CALLS)
        self._latest: deque[tuple[float, bool]] = deque(maxlen=STEADY_CALLS)
        self._heard_at = -1.0

    def pace(self, *, stream: bool) -> Pace:
        """That of streams, or that of answers in one piece."""
        return self._paces[stream]

    def begin(self, now: float, *, stream: bool, alone: bool = False) -> Wait:
        """A call is sent; ``heard``, ``given_up`` or ``over`` is to be told of it."""
        wait = Wait(stream, now, alone)
        self._waiting.add(wait)
        return wait

    def over(self, wait: Wait) -> None:
        """It ended in a way that says nothing of the target's pace."""
        self._waiting.discard(wait)

    def heard(self, wait: Wait, now: float) -> None:
        """The call's first content has come."""
        self.over(wait)
        self._heard_at = now
        self._latest.append((now, True))

    def given_up(self, wait: Wait, now: float) -> bool:
        """A timer ran out; returns whether that says that the target hangs.

        After the first content it does not. Before that it does where the target gave nobody a
        word in that time, and it took much longer than its answers do, or twice in a row as long
        as they do, or it has never given such an answer and other calls hang with this one. A
        caller's own haste is not enough: a slow target gives others their answers, and is known
        to be slow by them.
        """
        if wait not in self._waiting:
            return False
        self.over(wait)
        wait.ended = now
        self._given_up.append(wait)
        self._latest.append((now, False))
        if self._heard_at > wait.begun or wait.silent_s < LEAST_S:
            return False
        usual_s = self._paces[wait.stream].usual_s()
        if usual_s is not None:
            return wait.silent_s >= MUCH_LONGER * usual_s or self._again(wait, usual_s)
        return wait.alone or any(self._hangs_with(wait, other) for other in self._others(wait))

    def steady(self, now: float) -> bool:
        """Whether the target keeps up with its calls: of late next to none ended in silence."""
        recent = [heard for at, heard in self._latest if now - at <= STEADY_S]
        return recent.count(False) <= STEADY_SHARE * len(recent)

    def _again(self, wait: Wait, usual_s: float) -> bool:
        """Whether this silence and the one before it were as long as such answers usually take,
        with no word to anybody since the earlier one began."""
        alike = [one for one in self._given_up if one.stream == wait.stream][-2:]
        return len(alike) == 2 and all(
            one.silent_s >= usual_s and one.begun >= self._heard_at for one in alike
        )

    def _others(self, wait: Wait) -> list[Wait]:
        return [one for one in (*self._waiting, *self._given_up) if one is not wait]

    def _hangs_with(self, wait: Wait, other: Wait) -> bool:
        """Whether they waited at the same time, the other one at least half as long."""
        end = wait.ended or wait.begun
        until = end if other.ended is None else other.ended
        return until > wait.begun and until - other.begun >= (end - wait.begun) / 2
