"""From settings to compiled routes: every name that a caller may use as ``model``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from headgate_core import plugins
from headgate_core.errors import ConfigurationError
from headgate_core.ports import Cache, Guards, Masker, Retriever, Tools
from headgate_core.settings.routes import RouteSettings
from headgate_core.store import Store
from headgate_gateway.lazy import bound
from headgate_gateway.native import native_plans, takes_marks
from headgate_gateway.nowhere import nowhere
from headgate_gateway.order import compile_route
from headgate_gateway.plan import Parts, RoutePlan
from headgate_gateway.prompts.registry import Prompts

EVAL_REPLACES = frozenset({"authenticate", "admit", "join", "recall", "remember", "keep"})
"""Stages that an evaluation replaces by what the suite says."""


class Compiler:
    """Compiles the routes of one configuration. Blocks: call it in a thread."""

    def __init__(
        self,
        parts: Parts,
        tools: Tools,
        store: Store,
        replaced: frozenset[str],
        kept: Mapping[str, Cache] | None = None,
    ) -> None:
        self._parts = parts
        self._tools = tools
        self._replaced = replaced
        self._prompts = Prompts(parts.settings.folder / "prompts", store)
        self._guards: Any = None
        self._retrieval: Any = None
        self._masker: Masker | None = None
        self._kept = kept or {}
        self.caches: dict[str, Cache] = {}
        """By route and settings: another configuration's ``kept`` ones go on with their entries."""

    def compile(self) -> dict[str, RoutePlan]:
        """All routes, aliases and bare pools by name. Raises ``ConfigurationError``."""
        settings = self._parts.settings
        plans: dict[str, RoutePlan] = {}
        for route in settings.routes:
            plan = self._plan(route, bare=False)
            plans.update(dict.fromkeys((route.name, *route.aliases), plan))
        if settings.defaults.bare_pools != "never":
            for pool in settings.pools:
                if pool.name not in plans:
                    bare = RouteSettings(name=pool.name, pool=pool.name)
                    plans[pool.name] = self._plan(bare, bare=True)
        return plans

    def nowhere(self) -> RoutePlan:
        """The pipeline of calls that name no known model: authenticated, refused, recorded."""
        settings = RouteSettings(name="(none)", pool=self._parts.settings.pools[0].name)
        plan = RoutePlan("(none)", settings, self._parts, "", "none", {})
        plan.pipeline = nowhere(plan)
        return plan

    async def warm(self) -> None:
        """Have the indexes of all routes opened and their embedders loaded, ahead of a call."""
        if self._retrieval is not None:
            await self._retrieval.warm()

    def rebind(self) -> None:
        """Give kept caches the tools of this configuration, once it is the one that serves."""
        for key in self.caches.keys() & self._kept.keys():
            bound(self.caches[key], self._tools)
        self._kept = {}

    async def close(self) -> None:
        """Close what the routes opened."""
        for capability in (self._guards, self._retrieval):
            close = getattr(capability, "close", None)
            if close is not None:
                await close()

    def _plan(self, route: RouteSettings, *, bare: bool) -> RoutePlan:
        settings = self._parts.settings
        plan = RoutePlan(
            name=route.name,
            settings=route,
            parts=self._parts,
            hash=self._hash(route),
            capture=route.capture or settings.defaults.capture,
            parameters=route.parameters,
            bare=bare,
            serves=next(p.serves for p in settings.pools if p.name == route.pool),
            guards=self._guards_of([*settings.defaults.guards, *route.guards]),
            retriever=self._retriever_of(route),
            prompt=self._prompts.resolve(route.prompt) if route.prompt else None,
            cache=self._cache_of(route),
            masker=self._masker_of(route),
            replaced=self._replaced,
        )
        if plan.retriever is not None and plan.prompt is None:
            raise ConfigurationError(
                f"Route {route.name!r} retrieves passages but has no prompt that shows them to "
                "the model. Give it `prompt: NAME@production` with `{{ passages }}` in it."
            )
        compile_route(plan)
        pools = {pool.name: pool for pool in settings.pools}
        plan.marks = takes_marks(plan, pools)
        plan.natives = native_plans(plan, pools, self._parts.speaks, compile_route)
        return plan

    def _cache_of(self, route: RouteSettings) -> Cache | None:
        if route.cache is None:
            return None
        key = f"{route.name} {route.cache.model_dump_json()}"
        cache: Cache | None = self._kept.get(key)
        if cache is None:
            made = plugins.build("caches", route.cache.use, route.cache.options)
            cache = bound(made, self._tools)
        self.caches[key] = cache
        return cache

    def _guards_of(self, names: list[str]) -> Guards | None:
        if not names:
            return None
        if self._guards is None:
            self._guards = bound(plugins.capability("guards")(), self._tools)
        guards: Guards = self._guards.compile(list(dict.fromkeys(names)))
        return guards

    def _masker_of(self, route: RouteSettings) -> Masker | None:
        if (route.capture or self._parts.settings.defaults.capture) != "masked":
            return None
        if self._masker is None:
            self._masker = bound(plugins.capability("masker")(), self._tools)
        return self._masker

    def _retriever_of(self, route: RouteSettings) -> Retriever | None:
        if route.retrieval is None:
            return None
        if self._retrieval is None:
            self._retrieval = bound(plugins.capability("retrieval")(), self._tools)
        retriever: Retriever = self._retrieval.compile(route.retrieval)
        return retriever

    def _hash(self, route: RouteSettings) -> str:
        text = "\n".join(self._hashed(route))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _hashed(self, route: RouteSettings) -> Iterator[str]:
        settings = self._parts.settings
        yield route.model_dump_json()
        yield settings.defaults.model_dump_json()
        for pool in settings.pools:
            yield pool.model_dump_json()
        for provider in settings.providers:
            yield provider.model_dump_json()
        for collection in settings.collections:
            yield collection.model_dump_json()
