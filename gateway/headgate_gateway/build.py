"""The public builder: one gateway from one configuration, for serving and for evaluation alike."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from headgate_core import plugins
from headgate_core.context import Context, Peer
from headgate_core.endpoints import CHAT, kind_of
from headgate_core.errors import HeadgateError, InvalidRequest
from headgate_core.ports import Provider, Service, Target, Tools
from headgate_core.records import JournalLine, ScoreRecord
from headgate_core.reply import Chunk, Raw
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.store import Store
from headgate_core.telemetry.hook import TelemetryHook
from headgate_core.types import Json, Principal, Score, Source, Usage
from headgate_gateway.chunks import observed_text
from headgate_gateway.idempotency.claims import Claims
from headgate_gateway.keys import KeyRing
from headgate_gateway.lazy import LazyEmbedder, bound, closed, plugin
from headgate_gateway.ledger.journal import Journal
from headgate_gateway.ledger.prices import Prices
from headgate_gateway.ledger.recover import recover
from headgate_gateway.ledger.writer import Writer
from headgate_gateway.limits.window import SlidingWindow
from headgate_gateway.model_facts import ModelFacts
from headgate_gateway.nowhere import elsewhere
from headgate_gateway.operations.live import LiveFile, target_rows
from headgate_gateway.operations.watch import TargetWatch
from headgate_gateway.plan import Limiter, Parts, RoutePlan
from headgate_gateway.request import validated
from headgate_gateway.routes import EVAL_REPLACES, Compiler
from headgate_gateway.routing.attempts import Attempts
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.router import Router

log = logging.getLogger("headgate.gateway")


class Gateway:
    """An open gateway. Make it with ``await Gateway.open(settings)``; close it when done."""

    def __init__(self, settings: GatewaySettings, store: Store, source: Source) -> None:
        self.settings = settings
        self.store = store
        self.source: Source = source
        self.data_dir: Path = settings.data_dir
        self._journal = Journal(self.data_dir)
        self._writer = Writer(self._journal, lambda: store)
        self._providers = _providers(settings)
        self._embedder = LazyEmbedder()
        self._router = self._routed()
        self._limiter = _limiter(settings, self.data_dir)
        self.parts = Parts(settings, KeyRing(store), self._limiter, self._router, self._append)
        self.claims = self.parts.claims = Claims(store)
        self.tools = Tools(
            settings,
            self.data_dir,
            store,
            self._router,
            self._embedder,
            plugin,
            self._append,
            self._score,
        )
        self._embedder.tools = self.tools
        self.services: dict[str, Service] = {}
        self._telemetry: TelemetryHook | None = None
        self._compiler: Compiler | None = None
        self._nowhere: RoutePlan | None = None

    @classmethod
    async def open(cls, settings: GatewaySettings, source: Source = "serve") -> Gateway:
        """Open store and journal, recover what dead processes left, compile the routes.

        Raises ``ConfigurationError`` or ``StoreError``; nothing is left open then.
        """
        store = await asyncio.to_thread(Store.open, settings.store.url)
        try:
            await asyncio.to_thread(recover, settings.data_dir, store)
            gateway = await asyncio.to_thread(cls, settings, store, source)
            await gateway._start()
        except BaseException:
            store.close()
            raise
        return gateway

    async def _start(self) -> None:
        self._writer.start()
        try:
            for provider in self._providers.values():
                bound(provider, self.tools)
            await asyncio.to_thread(self._compile)
            await self._start_services()
        except BaseException:
            await self.close()
            raise

    def _compile(self) -> None:
        replaced = EVAL_REPLACES if self.source == "eval" else frozenset()
        self._compiler = Compiler(self.parts, self.tools, self.store, replaced)
        self.parts.models = self._compiler.compile()
        self._nowhere = self._compiler.nowhere()

    async def _start_services(self) -> None:
        self.services["targets"] = TargetWatch(self._router.pools, self.store, self.claims)
        if self.settings.telemetry.otlp:
            self._telemetry = TelemetryHook(self.settings.telemetry)
            self.services["telemetry"] = self._telemetry
        for name, made in plugins.services().items():
            self.services[name] = bound(made(), self.tools)
        for service in self.services.values():
            await service.start()
            self.parts.hooks.append(service.on_record)

    def prepare(self, body: Json, endpoint: str = CHAT) -> tuple[Context, RoutePlan]:
        """A context for a body, and the route that it names. Raises ``InvalidRequest``."""
        kind = kind_of(endpoint)
        if kind == "moderation" and body.get("model") is None:
            body = {**body, "model": self._only_moderation()}
        validated(body, kind)
        own = body.get("headgate") or {}
        model: str = body["model"]
        plan = self._plan(model, endpoint)
        ctx = Context(
            endpoint=endpoint,
            route=plan.name,
            request={k: v for k, v in body.items() if k not in ("headgate", "model")},
            source=self.source,
            asked_model=model,
            inputs=dict(own.get("inputs") or {}),
            meta_asked=bool(own.get("meta")),
            stream=bool(body.get("stream")) and kind == "chat",
        )
        if plan.settings.timeouts.total_s is not None:
            ctx.notes["total_s"] = plan.settings.timeouts.total_s
        return ctx, plan

    def _plan(self, model: str, endpoint: str) -> RoutePlan:
        plan = self.parts.models.get(model) or self._nowhere
        assert plan is not None, "the gateway is open"
        misplaced = plan is not self._nowhere and plan.serves != kind_of(endpoint)
        return elsewhere(plan) if misplaced else plan

    def _only_moderation(self) -> str:
        """What a moderation call without a model means, as OpenAI allows it."""
        pools = [pool.name for pool in self.settings.pools if pool.serves == "moderation"]
        if len(pools) == 1:
            return pools[0]
        raise InvalidRequest(
            f"`model` must name one of the pools that serve moderation: "
            f"{', '.join(pools) or 'there is none'}.",
            param="model",
        )

    def context(
        self, model: str, body: Json, principal: Principal | None = None, source: Source = "serve"
    ) -> Context:
        """A call of our own (command line, evaluation): authenticated as ``principal``.

        Raises ``InvalidRequest`` when the body is not sound.
        """
        ctx, _ = self.prepare({**body, "model": model})
        ctx.peer = Peer()
        ctx.source = self.source if self.source == "eval" else source
        ctx.principal = principal or Principal(
            key_id=self.source, name="command line", permissions=("bare_pools",)
        )
        return ctx

    async def complete(self, ctx: Context) -> None:
        """Run the whole pipeline and drain the reply; an error is in ``ctx.error``, not raised."""
        plan = self._plan(ctx.asked_model, ctx.endpoint)
        pieces: list[str] = []
        with contextlib.suppress(HeadgateError):
            await plan.pipeline.run(ctx)
            async for event in plan.pipeline.events(ctx):
                if isinstance(event, Chunk | Raw):
                    pieces.append(observed_text(event))
        if not ctx.answer:
            ctx.answer = "".join(pieces)

    async def warm(self) -> None:
        """Load what the first call would wait for. A fault here shows again in that call."""
        try:
            if self._compiler is not None:
                await self._compiler.warm()
        except HeadgateError as error:
            log.warning("not ready to retrieve yet: %s", error)

    def targets(self) -> list[Json]:
        """Every target of every pool as this process sees it."""
        return target_rows(self._router.pools.values())

    async def publish(self) -> None:
        """From now on tell `headgate targets` and `headgate status` about this process."""
        live = self.services["live"] = LiveFile(self.data_dir, self._snapshot)
        await live.start()

    def _snapshot(self) -> Json:
        return {
            "pid": os.getpid(),
            "version": version("headgate"),
            "config": self.settings.hash,
            "journal_bytes": self._writer.waiting_bytes,
            "journal_failure": self._writer.failure,
            "scores_dropped": getattr(self.services.get("scorer"), "dropped", 0),
            "targets": self.targets(),
        }

    async def flush(self) -> None:
        """Return once everything recorded so far is in the store. Raises ``StoreError``."""
        await self._writer.flush()

    async def finish_services(self) -> None:
        """Let the services finish what is in hand (scores of the calls so far)."""
        for service in reversed(self.services.values()):
            await service.stop()  # scores first: telemetry sends what scoring still makes

    async def close(self) -> None:
        """Stop the services, move the journal to the store, close all connections."""
        await self.finish_services()
        for provider in self._providers.values():
            await closed(provider)
        if self._compiler is not None:
            await self._compiler.close()
        await self._embedder.close()
        await closed(self._limiter)
        await self._writer.close()
        await asyncio.to_thread(self.store.close)

    def _append(self, line: JournalLine) -> None:
        self._journal.append(line)

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
        self._append({"t": "scores", "call_id": call_id, "scores": records})
        if self._telemetry is not None:
            self._telemetry.on_scores(call_id, records)

    def _routed(self) -> Router:
        settings = self.settings
        free = {n for n, p in self._providers.items() if getattr(type(p), "free", False)}
        uses = {p.name: p.use for p in settings.providers}
        models = {(t.provider, t.model) for pool in settings.pools for t in pool.targets}
        prices = Prices(settings.prices, models, uses=uses, free=free)
        self.facts = ModelFacts(settings.pools, prices)

        def typical(target: Target) -> int | None:
            return prices.price(Usage(1000, 500), target.provider, target.model).pico

        pools = {p.name: Pool.build(p, self._providers, typical) for p in settings.pools}
        return Router(pools, Attempts(self._append, prices), settings.hash)


def _providers(settings: GatewaySettings) -> dict[str, Provider]:
    return {p.name: plugins.build("providers", p.use, p.options) for p in settings.providers}


def _limiter(settings: GatewaySettings, data_dir: Path) -> Limiter:
    if settings.server.workers == 1:
        return SlidingWindow()
    from headgate_gateway.limits.state import SharedWindow

    return SharedWindow(data_dir)
