"""What the routing knows of one target: load, speed, faults, and whether a person took it out."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from headgate_core.errors import UpstreamError
from headgate_core.ports import Candidate, Provider, Target
from headgate_core.settings.pools import BreakerSettings
from headgate_gateway.routing.breaker import Breaker
from headgate_gateway.routing.failures import is_provider_fault

EWMA_WEIGHT = 0.2
"""Weight of the newest time to first token in the moving average."""
LATEST = 200
"""Times to first token kept for the quantile."""
LEAST_FOR_QUANTILE = 20
"""Fewer samples than this say nothing about a tail."""


@dataclass
class TargetState:
    """One target of one pool, in this process."""

    target: Target
    provider: Provider
    breaker: Breaker
    price_pico: int | None = None
    """Pico-dollars of a typical call, for ``lowest_cost``; None = no known price."""
    in_flight: int = 0
    first_token_s: float | None = None
    disabled_until: datetime | None = None
    last_fault: str = ""
    """The code of the latest fault, with the upstream's status where there was one."""
    last_fault_unix_ns: int = 0
    probe: str = ""
    """What the latest probe beside the calls found: ``ok``, a code, empty = none was made."""
    _latest: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))

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
        return cls(target, provider, Breaker(settings, clock), price_pico)

    def candidate(self) -> Candidate:
        """How strategies see it."""
        return Candidate(self.target, self.in_flight, self.first_token_s, self.price_pico)

    def disabled(self) -> bool:
        """Whether a person took it out and the time is not over."""
        return self.disabled_until is not None and datetime.now(UTC) < self.disabled_until

    def available(self) -> bool:
        """Whether a call may go to it."""
        return not self.disabled() and self.breaker.allows()

    def faulted(self, error: UpstreamError) -> None:
        """A call to it failed; the breaker hears of the provider's own faults only."""
        if is_provider_fault(error):
            self.breaker.failed()
        else:
            self.breaker.abandoned()
        status = getattr(error, "upstream_status", "")
        self.last_fault = f"{error.error_code} {status}".strip()
        self.last_fault_unix_ns = time.time_ns()

    def answered(self, first_token_s: float) -> None:
        """The first content came after so many seconds."""
        self._latest.append(first_token_s)
        if self.first_token_s is None:
            self.first_token_s = first_token_s
        else:
            self.first_token_s += EWMA_WEIGHT * (first_token_s - self.first_token_s)

    def first_token_p95(self) -> float | None:
        """95 % of the latest calls had their first content by then (s); None = too few calls."""
        if len(self._latest) < LEAST_FOR_QUANTILE:
            return None
        return sorted(self._latest)[int(0.95 * len(self._latest))]
