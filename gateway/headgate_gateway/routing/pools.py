"""Pools as the routing uses them: targets with their state, in the strategy's order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from headgate_core import plugins
from headgate_core.ports import Provider, Strategy, Target
from headgate_core.settings.pools import PoolSettings
from headgate_gateway.routing.fair_queue import FairQueue
from headgate_gateway.routing.retry_budget import RetryBudget
from headgate_gateway.routing.target_state import TargetState

TypicalPrice = Callable[[Target], "int | None"]
"""Pico-dollars of a typical call at a target; None = no known price."""

RESERVE_S = 60.0
"""The reserve of retries is full again after so long, however few calls the pool has."""


@dataclass(slots=True)
class Pool:
    """Targets that may stand in for each other."""

    settings: PoolSettings
    states: list[TargetState]
    strategy: Strategy
    retries: RetryBudget
    hedges: RetryBudget | None = None
    queue: FairQueue = field(default_factory=FairQueue)
    """Counts the calls in flight; without ``queue`` in the settings it holds nobody up."""

    @classmethod
    def build(
        cls,
        settings: PoolSettings,
        providers: Mapping[str, Provider],
        price: TypicalPrice,
        workers: int = 1,
    ) -> Pool:
        """A pool from its settings, for one of so many processes that do not see each other's
        calls: each has its share of a target's places. Raises ``ConfigurationError``.
        """
        states = []
        for entry in settings.targets:
            target = Target(entry.provider, entry.model, entry.weight)
            provider = providers[entry.provider]
            states.append(TargetState.make(target, provider, settings.breaker, price(target)))
        strategy = plugins.build("strategies", settings.strategy.use, settings.strategy.options)
        retries = RetryBudget(settings.retries.extra_share, full_in_s=RESERVE_S)
        pool = cls(settings, states, strategy, retries)
        if settings.hedge is not None:
            pool.hedges = RetryBudget(settings.hedge.max_share, reserve=1.0)
        if settings.queue is not None:
            places = settings.queue.in_flight_per_target // workers
            pool.queue = FairQueue(places, settings.queue.waiting, settings.queue.wait_s)
        return pool

    @property
    def name(self) -> str:
        """As the configuration names it."""
        return self.settings.name

    def available(self) -> bool:
        """Whether any of its targets is."""
        return any(state.available() for state in self.states)

    def order(self, *, stream: bool = True) -> list[TargetState]:
        """The targets of one call, a stream or not, best first. When none is available all of them
        are tried: the last target is never taken away. Those with a free place come before those
        without.
        """
        spare = self.retries.spare()
        usable = [s for s in self.states if s.available(spare=spare)]
        usable = usable or [s for s in self.states if not s.disabled()] or self.states
        full = [s for s in usable if not self.queue.room(s)]
        if len(full) == len(usable):
            full = []
        held = {id(s) for s in full}
        by_target = {s.target: s for s in usable if id(s) not in held}
        ordered = self.strategy.order([s.candidate(stream=stream) for s in by_target.values()])
        return sorted((by_target[c.target] for c in ordered), key=TargetState.standing) + full


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
