"""What one configuration is compiled into; it serves its calls to their end, then it is closed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from headgate_core import plugins
from headgate_core.egress import guard
from headgate_core.errors import HeadgateError
from headgate_core.ports import Provider, Service, Target, Tools
from headgate_core.records import JournalLine, ScoreRecord
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.store import Store
from headgate_core.telemetry.hook import TelemetryHook
from headgate_core.types import Score, Source
from headgate_gateway.idempotency.claims import Claims
from headgate_gateway.lazy import LazyEmbedder, bound, closed, plugin
from headgate_gateway.ledger import priced
from headgate_gateway.ledger.prices import Prices
from headgate_gateway.model_facts import ModelFacts
from headgate_gateway.native import marks, speaks
from headgate_gateway.operations.watch import TargetWatch
from headgate_gateway.plan import Keys, Limiter, Parts, RoutePlan
from headgate_gateway.reload.carried import (
    made_of,
    providers,
    same_providers,
    stay_disabled,
    take_over,
)
from headgate_gateway.routes import EVAL_REPLACES, Compiler
from headgate_gateway.routing.attempts import Attempts
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.router import Router

log = logging.getLogger("headgate.gateway")

WARM_S = 30.0
"""The longest that a new configuration waits for its indexes before it serves all the same."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What a process has once, whatever its configuration."""

    store: Store
    source: Source
    data_dir: Path
    keys: Keys
    limiter: Limiter
    claims: Claims
    journal: Callable[[JournalLine], None]
    store_away: Callable[[], str]


class Generation:
    """Made aside from ``before``, which serves; blocks, so make it in a thread.

    Raises ``ConfigurationError``; nothing is open then.
    """

    def __init__(
        self, settings: GatewaySettings, shared: Shared, before: Generation | None = None
    ) -> None:
        self.settings = settings
        self.loaded_unix_ns = time.time_ns()
        self._made_of = made_of(settings)
        self._same = same_providers(before._made_of, self._made_of) if before else frozenset()
        self._before = before
        self.providers: dict[str, Provider] = providers(
            settings, before.providers if before else {}, self._same
        )
        self._prices = self._priced(before)
        priced.insist(settings, self._prices)
        self.facts = ModelFacts(settings.pools, self._prices)
        self.router = Router(self._pools(), Attempts(shared.journal, self._prices), settings.hash)
        self.parts = Parts(settings, shared.keys, shared.limiter, self.router, shared.journal)
        self.parts.claims = shared.claims
        self.parts.store_away = shared.store_away
        self.parts.speaks = speaks(self.providers)
        self.parts.marks = marks(self.providers)
        self.embedder = LazyEmbedder()
        self.tools = Tools(
            settings,
            shared.data_dir,
            shared.store,
            self.router,
            self.embedder,
            plugin,
            shared.journal,
            self._score,
        )
        self.embedder.tools = self.tools
        self.watch = TargetWatch(self.router.pools, shared.store, shared.claims)
        self.services: dict[str, Service] = {}
        self._telemetry: TelemetryHook | None = None
        replaced = EVAL_REPLACES if shared.source == "eval" else frozenset()
        kept = before.compiler.caches if before else {}
        self.compiler: Compiler = Compiler(self.parts, self.tools, shared.store, replaced, kept)
        self.nowhere: RoutePlan = self.compiler.nowhere()

    def compile(self) -> None:
        """Compile the routes. Blocks. Raises ``ConfigurationError``."""
        egress = self.settings.egress
        guard.enforce(self, egress.listed() if egress else None)
        for provider in self.providers.values():
            bound(provider, self.tools)
        self.parts.models = self.compiler.compile()

    async def prepare(self) -> None:
        """Start what works behind the calls, and load what the first one would wait for."""
        self._telemetry = self._told()
        if self._telemetry is not None:
            self.parts.on_feedback = self._telemetry.on_feedback
        made: dict[str, Service] = {"telemetry": self._telemetry} if self._telemetry else {}
        made |= {name: bound(cls(), self.tools) for name, cls in plugins.services().items()}
        self.parts.hooks.append(self.watch.on_record)
        for name, service in made.items():
            if self._before is None or service is not self._before.services.get(name):
                await service.start()
            self.services[name] = service
            self.parts.hooks.append(service.on_record)
        await self.watch.look()

    async def warm(self) -> None:
        """Load what the first call would wait for. A fault here shows again in that call."""
        await asyncio.gather(self._warm_providers(), self._warm_indexes())

    async def _warm_providers(self) -> None:
        targets = [target for pool in self.settings.pools for target in pool.targets]
        for name, provider in self.providers.items():
            warm = getattr(provider, "warm", None)
            if warm is not None:
                await warm([target.model for target in targets if target.provider == name])

    async def _warm_indexes(self) -> None:
        try:
            async with asyncio.timeout(WARM_S):
                await self.compiler.warm()
        except HeadgateError as error:
            log.warning("not ready to retrieve yet: %s", error)
        except TimeoutError:
            log.warning("not ready to retrieve yet: indexes take longer than %g s", WARM_S)

    def follow(self) -> None:
        """Go on where the generation before stands. At the moment of the change."""
        if self._before is not None:
            if not self.watch.knows:
                stay_disabled(self._before.router.pools, self.router.pools)
            take_over(self._before.router.pools, self.router.pools, self._same)
            self.compiler.rebind()
        guard.settle(self)
        self._before = None

    async def begin(self) -> None:
        """Watch the targets from now on."""
        await self.watch.start()

    @property
    def scores_dropped(self) -> int:
        """Calls that were not scored for want of room or time."""
        dropped: int = getattr(self.services.get("scorer"), "dropped", 0)
        return dropped

    async def finish_services(self) -> None:
        """Let the services finish what is in hand (scores of the calls so far)."""
        await self._stop_services(())

    async def close(self, others: Iterable[Generation]) -> None:
        """Stop the services and close the connections that none of ``others`` uses. Idempotent."""
        held = {id(thing) for other in others for thing in other._held()}
        await self.watch.stop()
        await self._stop_services(held)
        for provider in self.providers.values():
            if id(provider) not in held:
                await closed(provider)
        await self.compiler.close()
        await self.embedder.close()
        guard.release(self)
        self._before = None

    async def _stop_services(self, held: Collection[int]) -> None:
        for service in reversed(self.services.values()):
            if id(service) not in held:
                await service.stop()  # scores first: telemetry sends what scoring still makes

    def _held(self) -> Iterator[object]:
        yield from self.providers.values()
        yield from self.services.values()

    def _told(self) -> TelemetryHook | None:
        """Telemetry as the configuration wants it: the running one where that is the same."""
        wanted, before = self.settings.telemetry, self._before
        if before is not None and before.settings.telemetry == wanted:
            return before._telemetry
        return TelemetryHook(wanted) if wanted.otlp else None

    async def _score(self, call_id: str, scores: Sequence[Score]) -> None:
        records: list[ScoreRecord] = [
            {
                "metric": s.metric,
                "value": s.value,
                "unscored": s.unscored,
                "version": s.version,
                "details": dict(s.details),
            }
            for s in scores
        ]
        now = time.time_ns()
        self.tools.journal(
            {"t": "scores", "call_id": call_id, "scores": records, "scored_unix_ns": now}
        )
        if self._telemetry is not None:
            self._telemetry.on_scores(call_id, records, now)

    def _priced(self, before: Generation | None) -> Prices:
        """The table is large: it is read again only where something about prices has changed."""
        self._asked_prices = priced.question(self.settings, self.providers)
        if before is not None and before._asked_prices == self._asked_prices:
            return before._prices
        return priced.answer(self._asked_prices)

    def _pools(self) -> dict[str, Pool]:
        def typical(target: Target) -> int | None:
            return self._prices.price(priced.TYPICAL, target.provider, target.model).pico

        workers = self.settings.server.workers
        made = (Pool.build(p, self.providers, typical, workers) for p in self.settings.pools)
        return {pool.name: pool for pool in made}
