"""The public builder: one gateway from one configuration, for serving and for evaluation alike."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from headgate_core.context import Context, Peer
from headgate_core.endpoints import CHAT, kind_of
from headgate_core.errors import HeadgateError, ShuttingDown
from headgate_core.ports import Tools
from headgate_core.reply import Chunk, Raw
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.store import Store
from headgate_core.types import Json, Principal, Source
from headgate_gateway.idempotency.claims import Claims
from headgate_gateway.in_flight import InFlight
from headgate_gateway.keys import KeyRing
from headgate_gateway.lazy import closed
from headgate_gateway.ledger.journal import Journal
from headgate_gateway.ledger.presence import StorePresence
from headgate_gateway.ledger.recover import recover
from headgate_gateway.ledger.writer import Writer
from headgate_gateway.limits.place import limiter_of
from headgate_gateway.model_facts import ModelFacts
from headgate_gateway.nowhere import elsewhere
from headgate_gateway.operations.live import LiveFile, target_rows, workers
from headgate_gateway.plan import Parts, RoutePlan
from headgate_gateway.reload.fixed import refuse_fixed
from headgate_gateway.reload.generation import Generation, Shared
from headgate_gateway.reload.reloader import Refused
from headgate_gateway.reload.retiring import Retiring
from headgate_gateway.replies.chunks import observed_text
from headgate_gateway.request import only_moderation, validated
from headgate_gateway.routing.router import Router


class Gateway:
    """An open gateway. Make it with ``await Gateway.open(settings)``; close it when done.

    What a process has once is made here; what follows from the configuration is a ``Generation``,
    and there is more than one of them while calls of an earlier configuration are going on.
    """

    def __init__(self, settings: GatewaySettings, store: Store, source: Source) -> None:
        self.store = store
        self.source: Source = source
        self.data_dir: Path = settings.data_dir
        self._limiter = limiter_of(settings, self.data_dir)
        self._journal = Journal(self.data_dir)
        self._writer = Writer(self._journal, lambda: store)
        self.presence = StorePresence(store, self._writer)
        self.claims = Claims(store)
        spool = settings.store.when_away == "spool"
        shared = Shared(
            store,
            source,
            self.data_dir,
            KeyRing(store, spool=spool, away=lambda: self.presence.away),
            self._limiter,
            self.claims,
            self._journal.append,
            lambda: self.presence.away,
        )
        self._shared = shared
        try:
            self._now = Generation(settings, shared)
        except BaseException:
            self._journal.close(stored=True)
            raise
        self._living = [self._now]
        self._retiring = Retiring(self._living)
        self._changing = asyncio.Lock()
        self._live: LiveFile | None = None
        self.refused: Refused | None = None
        """The configuration on disk, when it is not the one that serves."""
        self.draining = False
        """Set when the process is told to end: new calls are refused."""

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
        self.presence.start()
        try:
            await asyncio.to_thread(self._now.compile)
            await self._now.prepare()
            await self._now.begin()
        except BaseException:
            await self.close()
            raise

    async def reload(self, settings: GatewaySettings) -> None:
        """Serve new calls by ``settings``; those that are going on end as they began.

        Raises ``HeadgateError`` when that cannot be; nothing has changed then.
        """
        async with self._changing:
            refuse_fixed(self.settings, settings)
            before = self._now
            fresh = await asyncio.to_thread(Generation, settings, self._shared, before)
            try:
                await asyncio.to_thread(fresh.compile)
                await fresh.prepare()
                await fresh.warm()
            except BaseException:
                await fresh.close(self._living)
                raise
            await before.watch.stop()
            fresh.follow()
            self._now = fresh
            self._living.append(fresh)
            self._retiring.begin(before)
            await fresh.begin()

    @property
    def settings(self) -> GatewaySettings:
        """The configuration that serves now."""
        return self._now.settings

    @property
    def parts(self) -> Parts:
        """What the routes of the present configuration share."""
        return self._now.parts

    @property
    def tools(self) -> Tools:
        """What plugins of the present configuration are given."""
        return self._now.tools

    @property
    def facts(self) -> ModelFacts:
        """What callers are told of the present models."""
        return self._now.facts

    @property
    def loaded_unix_ns(self) -> int:
        """When the present configuration was read."""
        return self._now.loaded_unix_ns

    @property
    def _router(self) -> Router:
        return self._now.router

    def prepare(self, body: Json, endpoint: str = CHAT) -> tuple[Context, RoutePlan]:
        """A context for a body, and the route that it names.

        Raises ``InvalidRequest``, and ``ShuttingDown`` when no new calls are taken.
        """
        if self.draining:
            raise ShuttingDown("This process is shutting down; try again.")
        kind = kind_of(endpoint)
        if kind == "moderation" and body.get("model") is None:
            body = {**body, "model": only_moderation(self.settings)}
        native = self.native(body, endpoint)
        validated(body, kind, native)
        own = body.get("headgate") or {}
        model: str = body["model"]
        plan = native or self._plan(model, endpoint)
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

    def native(self, body: Json, endpoint: str) -> RoutePlan | None:
        """The plan by which this body goes upstream in its own wire; None = it becomes chat."""
        plan = self.parts.models.get(str(body.get("model")))
        return plan.natives.get(endpoint) if plan is not None else None

    def _plan(self, model: str, endpoint: str) -> RoutePlan:
        nowhere = self._now.nowhere
        plan = self.parts.models.get(model) or nowhere
        misplaced = plan is not nowhere and plan.serves != kind_of(endpoint)
        return elsewhere(plan) if misplaced else plan

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
        """Load what the first call would wait for."""
        await self._now.warm()

    def targets(self) -> list[Json]:
        """Every target of every pool as this process sees it."""
        return target_rows(self._router.pools.values())

    async def publish(self) -> None:
        """From now on tell `headgate targets` and `headgate status` about this process; at once
        when called again."""
        if self._live is None:
            self._live = LiveFile(self.data_dir, self._snapshot)
            await self._live.start()
        else:
            await self._live.publish()

    @property
    def server_pid(self) -> int:
        """The process that this server was started as: the one that looks after its workers."""
        return os.getppid() if self.settings.server.workers > 1 else os.getpid()

    def _snapshot(self) -> Json:
        return {
            "pid": os.getpid(),
            "server_pid": self.server_pid,
            "version": version("headgate"),
            "config": self.settings.hash,
            "loaded_unix_ns": self.loaded_unix_ns,
            "refused": None if self.refused is None else asdict(self.refused),
            "journal_bytes": self._writer.waiting_bytes,
            "journal_failure": self._writer.failure,
            "scores_dropped": self._retiring.scores_dropped
            + sum(generation.scores_dropped for generation in self._living),
            "targets": self.targets(),
        }

    def speaks(self) -> bool:
        """Whether this worker logs what concerns all workers of the machine: one of them does."""
        return os.getpid() <= min((w["pid"] for w in workers(self.data_dir)), default=0)

    def in_flight(self) -> list[InFlight]:
        """The calls that are going on, by the configuration that serves them."""
        return [generation.parts.calls for generation in self._living]

    async def flush(self) -> None:
        """Return once everything recorded so far is in the store. Raises ``StoreError``."""
        await self._writer.flush()

    async def finish_services(self) -> None:
        """Let the services finish what is in hand (scores of the calls so far)."""
        for generation in self._living:
            await generation.finish_services()

    async def close(self) -> None:
        """Stop the services, move the journal to the store, close all connections."""
        if self._live is not None:
            await self._live.stop()
        for calls in self.in_flight():
            calls.abandon()
        await self._retiring.end()
        for generation in self._living:
            await generation.close(())
        await closed(self._limiter)
        await self.presence.stop()
        await self._writer.close()
        await asyncio.to_thread(self.store.close)
