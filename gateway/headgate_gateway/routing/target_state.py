"""What the routing knows of one target: load, speed, faults, and whether a person took it out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from headgate_core.errors import UpstreamError, UpstreamTimeout
from headgate_core.ports import Candidate, Provider, Target
from headgate_core.settings.pools import BreakerSettings
from headgate_gateway.resting import DEAD, Rest
from headgate_gateway.routing.breaker import Breaker, Ticket
from headgate_gateway.routing.failures import is_provider_fault, rest_for
from headgate_gateway.routing.silence import Silence, Wait

log = logging.getLogger("headgate.targets")


@dataclass(slots=True, eq=False)
class Sent:
    """One call that went out to a target, as the target's state knows it."""

    ticket: Ticket
    wait: Wait
    rest_at: float
    """The moment, by the clock of its rest."""


@dataclass
class TargetState:
    """One target of one pool, in this process."""

    target: Target
    provider: Provider
    breaker: Breaker
    price_pico: int | None = None
    """Pico-dollars of a typical call, for ``lowest_cost``; None = no known price."""
    in_flight: int = 0
    disabled_until: datetime | None = None
    last_fault: str = ""
    """The code of the latest fault, with the upstream's status where there was one."""
    last_fault_unix_ns: int = 0
    probe: str = ""
    """What the latest probe beside the calls found: ``ok``, a code, empty = none was made."""
    rest: Rest = field(default_factory=Rest)
    """Whether it is left alone because its keys, or it without any, were throttled or refused."""
    silence: Silence = field(default_factory=Silence)
    """How long its calls wait for it, and whether it hangs."""

    @classmethod
    def make(
        cls,
        target: Target,
        provider: Provider,
        settings: BreakerSettings,
        price_pico: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> TargetState:
        """A target with a closed breaker."""
        return cls(target, provider, Breaker(settings, clock), price_pico, rest=Rest(clock))

    def candidate(self, *, stream: bool = True) -> Candidate:
        """How strategies see it, for a stream or for a call that is none."""
        average_s = self.silence.pace(stream=stream).average_s
        return Candidate(self.target, self.in_flight, average_s, self.price_pico)

    @property
    def first_token_s(self) -> float | None:
        """Moving average of the time to the first token of streams (s); None = there was none."""
        return self.silence.pace(stream=True).average_s

    def disabled(self) -> bool:
        """Whether a person took it out and the time is not over."""
        return self.disabled_until is not None and datetime.now(UTC) < self.disabled_until

    def available(self, *, spare: bool = True) -> bool:
        """Whether a call may go to it. ``spare``: there is a retry to spare for a call that may
        only find out that the target is throttled still."""
        return self.standing(spare=spare) == 0

    def standing(self, *, spare: bool = True) -> int:
        """How little hope there is: 0 = a call may go to it, 1 = throttled, which need not
        concern every call, 2 = the breaker took it out, 3 = refuses our keys, 4 = disabled."""
        if self.disabled():
            return 4
        works = self.breaker.allows()
        rested = self.rest.state == "none" or spare or self.rest.overdue()
        if rested and self.rest.allows():
            return 0 if works else 2
        if not self.rest.throttled:
            return 3
        return 1 if works else 2

    def works(self) -> bool:
        """Whether nothing at all speaks against it, so that it is more than a try."""
        return self.breaker.state == "closed" and self.rest.state == "none"

    def shown(self) -> str:
        """Its state for people: the breaker's, else whether it rests."""
        if self.disabled():
            return "disabled"
        if self.breaker.state != "closed" or self.rest.state == "none":
            return self.breaker.state
        return self.rest.state

    def sent(self, now: float, *, stream: bool) -> Sent:
        """A call goes out at ``now`` (loop's clock); how it goes on is to be told with the result.

        It ends with exactly one of ``completed``, ``faulted`` and ``abandoned``.
        """
        ticket = self.breaker.sent()
        self.in_flight += 1
        wait = self.silence.begin(now, stream=stream, alone=ticket.probe)
        return Sent(ticket, wait, self.rest.sent())

    def welcomed(self, sent: Sent, now: float) -> None:
        """The call's first content, or its end without any, has come."""
        with self._told():
            self.breaker.answering(sent.ticket)
        self.silence.heard(sent.wait, now)
        self.rest.answered(sent.rest_at)

    def completed(self, sent: Sent) -> None:
        """The answer is complete."""
        self.in_flight -= 1
        with self._told():
            self.breaker.succeeded(sent.ticket)

    def abandoned(self, sent: Sent) -> None:
        """The call ended for reasons that are none of the target's."""
        self.in_flight -= 1
        self.breaker.abandoned(sent.ticket)
        self.silence.over(sent.wait)

    def overdue(self, sent: Sent, error: UpstreamTimeout, now: float) -> None:
        """The call has had its part of its time and goes on. That counts like the end of it, until
        its answer comes after all."""
        error.at_fault = self.silence.given_up(sent.wait, now) or error.at_fault
        self.faulted(error, sent.ticket)

    def failed(self, sent: Sent, error: UpstreamError, now: float) -> None:
        """The call failed. A timer of less than the target's own time is its fault where its
        silence says that it hangs."""
        self.in_flight -= 1
        if isinstance(error, UpstreamTimeout) and error.timer:
            hangs = self.silence.given_up(sent.wait, now)
            error.at_fault = error.at_fault or hangs
        else:
            self.silence.over(sent.wait)
        self.faulted(error, sent.ticket)

    def faulted(self, error: UpstreamError, ticket: Ticket | None = None) -> None:
        """It failed, in a call sent just now where there is no ticket; the breaker hears of the
        provider's own faults only."""
        ticket = ticket or self.breaker.sent()
        status = getattr(error, "upstream_status", "")
        self.last_fault = f"{error.error_code} {status}".strip()
        self.last_fault_unix_ns = time.time_ns()
        if is_provider_fault(error):
            with self._told():
                self.breaker.failed(ticket)
        else:
            self.breaker.abandoned(ticket)
        rest = rest_for(error)
        if rest is not None and self.rest.begin(*rest):
            level = logging.WARNING if rest[0] in DEAD else logging.INFO
            log.log(level, "%s rests %.3g s: %d", self.target.name, self.rest.left_s, rest[0])

    def answered(self, seconds: float, *, stream: bool = True) -> None:
        """The first content of a call of this kind came after so many seconds."""
        self.silence.pace(stream=stream).answered(seconds)

    def p95_s(self, *, stream: bool) -> float | None:
        """95 % of the latest calls of this kind had their first content by then (s); None = too
        few calls."""
        return self.silence.pace(stream=stream).p95()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The log is told of a breaker that opens or closes in this block."""
        before = self.breaker.out
        yield
        if self.breaker.out and not before:
            log.warning(
                "%s is left alone, its breaker has opened: %s", self.target.name, self.last_fault
            )
        elif before and not self.breaker.out:
            log.warning("%s is used again, its breaker has closed", self.target.name)
