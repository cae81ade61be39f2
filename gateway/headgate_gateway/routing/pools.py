"""Pools as the routing uses them: targets with their providers, in the strategy's order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headgate_core import plugins
from headgate_core.ports import Provider, Strategy, Target
from headgate_core.settings.pools import PoolSettings


@dataclass(frozen=True, slots=True)
class Pool:
    """Targets that may stand in for each other."""

    settings: PoolSettings
    targets: tuple[Target, ...]
    strategy: Strategy
    providers: Mapping[str, Provider]

    @classmethod
    def build(cls, settings: PoolSettings, providers: Mapping[str, Provider]) -> Pool:
        """A pool from its settings. Raises ``ConfigurationError``."""
        targets = tuple(Target(t.provider, t.model, t.weight) for t in settings.targets)
        strategy = plugins.build("strategies", settings.strategy.use, settings.strategy.options)
        return cls(settings, targets, strategy, providers)

    def tries(self) -> Iterator[Target]:
        """The targets of one call's tries: each in its order, then round again."""
        order = self.strategy.order(self.targets)
        for n in range(self.settings.retries.attempts):
            yield order[n % len(order)]


def chain(pools: Mapping[str, Pool], name: str) -> list[Pool]:
    """The pool and its fallbacks, depth first, each once."""
    found: dict[str, Pool] = {}

    def visit(pool: str) -> None:
        if pool not in found:
            found[pool] = pools[pool]
            for fallback in pools[pool].settings.fallbacks.error:
                visit(fallback)

    visit(name)
    return list(found.values())
