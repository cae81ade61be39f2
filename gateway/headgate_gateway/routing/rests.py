"""How long the targets of one call are left alone after they failed it."""

from __future__ import annotations

import asyncio
import math
import random

from headgate_core.errors import UpstreamCredentialsExhausted, UpstreamError, UpstreamStatus
from headgate_gateway.routing.target_state import TargetState

LONGEST_PAUSE_S = 8.0
"""A target that asks for a longer rest is not asked again by this call."""


class Rests:
    """Full jitter (Brooker, 2015); a target's own ``retry-after`` is the least it is left alone."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._told: set[str] = set()
        self._failures = 0

    def failed(self, state: TargetState, failure: UpstreamError) -> None:
        """The target failed just now."""
        self._failures += 1
        dead = isinstance(failure, UpstreamCredentialsExhausted)
        if dead or (isinstance(failure, UpstreamStatus) and failure.credentials):
            self._until[state.target.name] = math.inf  # its keys stay refused for this call
            return
        least = getattr(failure, "retry_after_s", None) or 0.0
        if least > 0:
            self._told.add(state.target.name)
        pause = max(least, random.uniform(0, min(LONGEST_PAUSE_S, 0.5 * 2**self._failures)))
        self._until[state.target.name] = asyncio.get_running_loop().time() + pause

    def left(self, state: TargetState) -> float:
        """Seconds until the target may be asked again; 0 = now."""
        until = self._until.get(state.target.name, 0.0)
        return max(0.0, until - asyncio.get_running_loop().time())

    def told(self, state: TargetState) -> bool:
        """Whether the target itself asked to be left alone, and the time is not over."""
        return state.target.name in self._told and self.left(state) > 0
