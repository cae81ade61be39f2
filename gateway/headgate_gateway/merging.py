"""Whose parameters win: the caller's over the route's over the prompt's, except ``locked``."""

from __future__ import annotations

from dataclasses import dataclass

from headgate_core.errors import InvalidRequest
from headgate_core.types import Json
from headgate_gateway.plan import RoutePlan

LIMITS = ("max_tokens", "max_completion_tokens")
"""Two names of one thing: a caller who sends either keeps it."""


@dataclass(frozen=True, slots=True)
class Merging:
    """The parameters of one route, and those of all routes that set none."""

    parameters: Json
    defaults: Json
    locked: frozenset[str]

    def merged(self, request: Json, from_prompt: Json) -> Json:
        """The parameters that go upstream beside ``request``, whose locked ones are taken out."""
        merged = {**self.defaults, **from_prompt, **self.parameters}
        if self.locked.intersection(LIMITS):
            for limit in LIMITS:  # the other name must not be a way around the lock
                request.pop(limit, None)
        elif any(request.get(limit) is not None for limit in LIMITS):
            merged = {k: v for k, v in merged.items() if k not in LIMITS}
        return {k: v for k, v in merged.items() if k in self.locked or request.get(k) is None}

    def own(self) -> Json:
        """All parameters of the route; of the two names of its bound the route's own counts."""
        if any(name in self.parameters for name in LIMITS):
            others = {k: v for k, v in self.defaults.items() if k not in LIMITS}
            return {**others, **self.parameters}
        return {**self.defaults, **self.parameters}


def merging_of(plan: RoutePlan) -> Merging:
    """Those of this route."""
    defaults = plan.parts.settings.defaults.parameters
    return Merging(plan.parameters, defaults, frozenset(plan.settings.locked))


def no_inputs(inputs: Json) -> None:
    """Raises ``InvalidRequest`` for inputs where there is no prompt that takes them."""
    if inputs:
        name = next(iter(inputs))
        raise InvalidRequest(
            f"The route has no prompt, so it takes no inputs; {name!r} was given.",
            param=f"headgate.inputs.{name}",
        )
