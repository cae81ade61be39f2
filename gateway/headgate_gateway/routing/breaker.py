"""A circuit breaker for one target: closed, open, half-open with one probe at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Literal

from headgate_core.settings.pools import BreakerSettings

State = Literal["closed", "open", "half_open"]

MOST_OUTCOMES = 1_000
"""Outcomes kept at most, however many calls fall into the window."""

CONSECUTIVE = 5
"""So many faults in a row are evidence enough, however well the target did before, and however
far apart they are: a quiet pool never has as many within the window."""


@dataclass(slots=True, eq=False)
class _Outcome:
    at: float
    ok: bool
    revoked: bool = False


@dataclass(slots=True, eq=False)
class _Period:
    """The time between two changes of a breaker; calls count for the one they were sent in."""


@dataclass(slots=True, eq=False)
class Ticket:
    """One call as the breaker knows it, from its sending to its end. Opaque to its holder."""

    period: _Period
    probe: bool
    booked: _Outcome | None = field(default=None)
    fault: _Outcome | None = field(default=None)


class Breaker:
    """Opens when the share of provider faults in the window reaches ``error_share``, or when
    the latest ``CONSECUTIVE`` outcomes were faults.

    ``clock`` gives seconds. Only a provider's own faults are to be recorded as such: not a
    caller's mistakes, hang-ups or abandoned hedges. What is told of a call counts only while the
    breaker stands as it stood when the call was sent: an answer to an older call does not say
    that the target works now, nor an older fault that it still fails.
    """

    def __init__(self, settings: BreakerSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._outcomes: deque[_Outcome] = deque(maxlen=MOST_OUTCOMES)
        self._opened_at: float | None = None
        self._again = False
        """Whether it opened because a probe failed, and not by its outcomes."""
        self._period = _Period()
        self._probe: Ticket | None = None
        self._probe_at = 0.0

    @property
    def out(self) -> bool:
        """Whether it has opened and not closed since."""
        return self._opened_at is not None

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
        return state == "closed" or (state == "half_open" and not self._probing())

    def sent(self) -> Ticket:
        """A call goes out; in the half-open state it is the probe. Its outcome is to be told
        with the ticket."""
        ticket = Ticket(self._period, self.state == "half_open")
        if ticket.probe and not self._probing():
            self._probe, self._probe_at = ticket, self._clock()
        return ticket

    def abandoned(self, ticket: Ticket) -> None:
        """The call ended without telling anything about the target."""
        self._no_longer(ticket)

    def answering(self, ticket: Ticket) -> None:
        """The call's first content came, which is a success unless its rest fails.

        A success is not to be told at the end only: a target with many long answers under way
        would have its faults counted and nothing else. A probe makes room for the next one, but
        closes the breaker when its answer is complete.
        """
        self._no_longer(ticket)
        self._clear(ticket)
        if self._counts(ticket) and self._opened_at is None:
            self._book(ticket)

    def succeeded(self, ticket: Ticket) -> None:
        """The answer is complete; one that was sent since the breaker opened closes it."""
        self._no_longer(ticket)
        self._clear(ticket)
        if not self._counts(ticket):
            return
        if self._opened_at is not None:
            self._outcomes.clear()
            self._close()
        self._book(ticket)

    def reachable(self) -> None:
        """A probe beside the calls was answered: an open breaker is half-open at once."""
        if self.state == "open":
            self._opened_at = self._clock() - self._settings.open_s

    def failed(self, ticket: Ticket) -> None:
        """A fault of the provider; a failed probe opens the breaker for another while.

        A call counts as one fault, and as none where its answer comes after all.
        """
        self._no_longer(ticket)
        if not self._counts(ticket) or ticket.fault is not None:
            return
        now = self._clock()
        if ticket.booked is not None:
            ticket.booked.revoked = True
        ticket.fault = _Outcome(now, False)
        self._outcomes.append(ticket.fault)
        again = self._opened_at is not None
        if ticket.probe if again else self._has_enough(now):
            self._opened_at, self._again = now, again
            self._period = _Period()
            self._probe = None
            if again:  # its answer may come after all, and closes the breaker then
                ticket.period = self._period

    def _probing(self) -> bool:
        """Whether a probe is out; one that hangs makes room for the next after ``open_s``."""
        return self._probe is not None and self._clock() - self._probe_at < self._settings.open_s

    def _counts(self, ticket: Ticket) -> bool:
        return ticket.period is self._period

    def _no_longer(self, ticket: Ticket) -> None:
        if ticket is self._probe:
            self._probe = None

    def _clear(self, ticket: Ticket) -> None:
        """The call's answer has come after all, so it was no fault; a breaker that opened because
        of such calls alone closes."""
        if ticket.fault is None:
            return
        ticket.fault.revoked, ticket.fault = True, None
        if self._opened_at is None or self._again:
            return
        if not self._has_enough(self._opened_at):
            self._close()

    def _close(self) -> None:
        self._opened_at = None
        self._period = _Period()

    def _book(self, ticket: Ticket) -> None:
        if ticket.booked is None or ticket.booked.revoked:
            ticket.booked = _Outcome(self._clock(), True)
            self._outcomes.append(ticket.booked)

    def _has_enough(self, now: float) -> bool:
        """Whether the faults of late are enough to open."""
        latest = list(islice(self._newest_first(), CONSECUTIVE))
        if len(latest) == CONSECUTIVE and not any(one.ok for one in latest):
            return True
        since = now - self._settings.window_s
        recent = [one.ok for one in takewhile(lambda one: one.at >= since, self._newest_first())]
        enough = len(recent) >= self._settings.least_calls
        return enough and recent.count(False) >= self._settings.error_share * len(recent)

    def _newest_first(self) -> Iterator[_Outcome]:
        return (one for one in reversed(self._outcomes) if not one.revoked)
