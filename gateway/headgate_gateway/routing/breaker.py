"""A circuit breaker for one target: closed, open, half-open with one probe at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

from headgate_core.settings.pools import BreakerSettings

State = Literal["closed", "open", "half_open"]

MOST_OUTCOMES = 1_000
"""Outcomes kept at most, however many calls fall into the window."""

CONSECUTIVE = 5
"""So many faults in a row are evidence enough, however well the target did before."""


class Breaker:
    """Opens when the share of provider faults in the window reaches ``error_share``, or when
    the latest ``CONSECUTIVE`` outcomes were faults.

    ``clock`` gives seconds. Only a provider's own faults are to be recorded as such: not a
    caller's mistakes, hang-ups or abandoned hedges.
    """

    def __init__(self, settings: BreakerSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=MOST_OUTCOMES)
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """Where it stands now."""
        if self._opened_at is None:
            return "closed"
        due = self._clock() - self._opened_at >= self._settings.open_s
        return "half_open" if due else "open"

    def allows(self) -> bool:
        """Whether a call may be sent: always when closed, one probe at a time when half-open."""
        state = self.state
        return state == "closed" or (state == "half_open" and not self._probing)

    def sent(self) -> None:
        """A call goes out; in the half-open state it is the probe."""
        if self.state == "half_open":
            self._probing = True

    def abandoned(self) -> None:
        """The call ended without telling anything about the target."""
        self._probing = False

    def answering(self) -> None:
        """The call's first content came: it is awaited no longer before another one is sent.

        A probe closes the breaker when its answer is complete; a long one, or one whose reader
        takes nothing, would keep the target out until then.
        """
        self._probing = False

    def succeeded(self) -> None:
        """The target answered; a probe closes the breaker."""
        if self._opened_at is not None:
            self._outcomes.clear()
            self._opened_at = None
        self._probing = False
        self._outcomes.append((self._clock(), True))

    def reachable(self) -> None:
        """A probe beside the calls was answered: an open breaker is half-open at once."""
        if self.state == "open":
            self._opened_at = self._clock() - self._settings.open_s

    def failed(self) -> None:
        """A fault of the provider; a failed probe opens the breaker for another while."""
        now = self._clock()
        self._outcomes.append((now, False))
        if self._opened_at is not None:
            self._opened_at = now
            self._probing = False
            return
        recent = self._recent(now)
        faults = sum(not ok for ok in recent)
        enough = len(recent) >= self._settings.least_calls
        in_a_row = len(recent) >= CONSECUTIVE and not any(recent[-CONSECUTIVE:])
        if in_a_row or (enough and faults >= self._settings.error_share * len(recent)):
            self._opened_at = now

    def _recent(self, now: float) -> list[bool]:
        while self._outcomes and self._outcomes[0][0] < now - self._settings.window_s:
            self._outcomes.popleft()
        return [ok for _, ok in self._outcomes]
