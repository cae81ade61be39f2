"""Pools as the routing uses them: targets with their state, in the strategy's order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headgate_core import plugins
from headgate_core.ports import Provider, Strategy, Target
from headgate_core.settings.pools import PoolSettings
from headgate_gateway.routing.fair_queue import FairQueue
from headgate_gateway.routing.retry_budget import RetryBudget
from headgate_gateway.routing.target_state import TargetState

TypicalPrice = Callable[[Target], "int | None"]
"""Pico-dollars of a typical call at a target; None = no known price."""


@dataclass(slots=True)
class Pool:
    """Targets that may stand in for each other."""

    settings: PoolSettings
    states: list[TargetState]
    strategy: Strategy
    retries: RetryBudget
    hedges: RetryBudget | None = None
    queue: FairQueue | None = None

    @classmethod
    def build(
        cls, settings: PoolSettings, providers: Mapping[str, Provider], price: TypicalPrice
    ) -> Pool:
        """A pool from its settings. Raises ``ConfigurationError``."""
        states = []
        for entry in settings.targets:
            target = Target(entry.provider, entry.model, entry.weight)
            provider = providers[entry.provider]
            states.append(TargetState.make(target, provider, settings.breaker, price(target)))
        strategy = plugins.build("strategies", settings.strategy.use, settings.strategy.options)
        pool = cls(settings, states, strategy, RetryBudget(settings.retries.extra_share))
        if settings.hedge is not None:
            pool.hedges = RetryBudget(settings.hedge.max_share, reserve=1.0)
        if settings.queue is not None:
            places = settings.queue.in_flight_per_target * len(states)
            pool.queue = FairQueue(places, settings.queue.waiting, settings.queue.wait_s)
        return pool

    @property
    def name(self) -> str:
        """As the configuration names it."""
        return self.settings.name

    def order(self) -> list[TargetState]:
        """The targets of one call, best first. When none is available all of them are tried:
        the last target is never taken away."""
        usable = [s for s in self.states if s.available() and self._has_room(s)]
        usable = usable or [s for s in self.states if not s.disabled()] or self.states
        by_target = {s.target: s for s in usable}
        ordered = self.strategy.order([s.candidate() for s in usable])
        return [by_target[c.target] for c in ordered]

    def _has_room(self, state: TargetState) -> bool:
        queue = self.settings.queue
        return queue is None or state.in_flight < queue.in_flight_per_target


def chain(pools: Mapping[str, PoolSettings], name: str) -> list[PoolSettings]:
    """The pool and every pool that it can fall back to, depth first, each once."""
    found: dict[str, PoolSettings] = {}

    def visit(pool: str) -> None:
        if pool not in found:
            found[pool] = pools[pool]
            for fallback in pools[pool].fallbacks.every:
                visit(fallback)

    visit(name)
    return list(found.values())
