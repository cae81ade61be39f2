"""What ``headgate check`` shows: routes compiled without a server, a journal or a connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from headgate_core import plugins
from headgate_core.egress.names import Peer
from headgate_core.errors import ModelNotFound
from headgate_core.ports import Tools
from headgate_core.settings.destinations import destinations, of_plugin
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.load import explain
from headgate_core.settings.plugin_checks import Use
from headgate_core.store import Store
from headgate_gateway.idempotency.claims import Claims
from headgate_gateway.keys import KeyRing
from headgate_gateway.lazy import LazyEmbedder, plugin
from headgate_gateway.ledger import priced
from headgate_gateway.limits.window import SlidingWindow
from headgate_gateway.native import marks, speaks
from headgate_gateway.plan import Parts, RoutePlan
from headgate_gateway.routes import Compiler
from headgate_gateway.routing.pools import chain
from headgate_gateway.routing.router import Router


def compiled(settings: GatewaySettings) -> dict[str, RoutePlan]:
    """All routes. A store that does not exist yet is not created. Raises ``ConfigurationError``."""
    url = settings.store.url
    missing = url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists()
    with TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{folder}/check.db" if missing else url)
        try:
            return _compiled(settings, store)
        finally:
            store.close()


def _compiled(settings: GatewaySettings, store: Store) -> dict[str, RoutePlan]:
    caller = Router({}, None, settings.hash)  # type: ignore[arg-type]  # never called here
    embedder = LazyEmbedder()
    parts = Parts(settings, KeyRing(store), SlidingWindow(), caller, _nowhere)
    parts.claims = Claims(store)
    made = {p.name: plugins.build("providers", p.use, p.options) for p in settings.providers}
    parts.speaks, parts.marks = speaks(made), marks(made)
    if any(pool.unpriced == "refuse" for pool in settings.pools):
        priced.insist(settings, priced.answer(priced.question(settings, made)))
    tools = Tools(
        settings,
        settings.data_dir,
        store,
        caller,
        embedder,
        plugin,
        _nowhere,
        _no_scores,
    )
    return Compiler(parts, tools, store, frozenset()).compile()


def _nowhere(_line: object) -> None:
    """Nothing is journalled by a check."""


async def _no_scores(_call_id: str, _scores: object) -> None:
    """Nothing is scored by a check."""


def show_lines(
    settings: GatewaySettings, plans: Mapping[str, RoutePlan], name: str
) -> Iterator[str]:
    """A route: its stages, what a stream is held back by, effective values with their sources."""
    if name not in plans:
        raise ModelNotFound(plugins.unknown("route", name, sorted(plans)))
    plan = plans[name]
    yield f"route {plan.name}" + (f" (asked for as {name})" if name != plan.name else "")
    yield "stages"
    for stage in plan.pipeline.stages:
        yield f"  {stage.name:<16}{_first_line(type(stage))}"
    manner = "parsed: a stage needs its text" if plan.text else "bytes forwarded untouched"
    yield f"reply   {manner}"
    if plan.natives:
        yield f"native  {', '.join(plan.natives)} untranslated at targets that speak them"
    held = plan.guards.holds_back("output") if plan.guards and plan.guards.guards("output") else 0
    yield f"held    a stream is held back by at most {held} characters"
    if plan.prompt is not None:
        yield f"prompt  {plan.prompt.name}@{plan.prompt.version}"
    if plan.guards is not None:
        yield f"guards  version {plan.guards.version}"
    yield "values"
    for line in explain(settings):
        yield f"  {line.path} = {line.value}  ({line.source})"


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


def egress_lines(settings: GatewaySettings) -> Iterator[str]:
    """Every host that a route can reach, a line each: route, host, why."""
    pools = {p.name: p for p in settings.pools}
    routes = [(r.name, r.pool) for r in settings.routes] or [(p, p) for p in pools]
    routes += [(p, p) for p in pools if pools[p].serves != "chat" and (p, p) not in routes]
    for route, pool in routes:
        for reached in chain(pools, pool):
            for target in reached.targets:
                for host in _hosts(settings, target.provider, target.model):
                    name = f"{target.provider}/{target.model}"
                    yield f"{route:<20}{host:<40}{name} in pool {reached.name}"
    for found in destinations(settings):
        if found.trail[0] != "providers":
            section = _SECTIONS.get(str(found.trail[0]), str(found.trail[0]))
            yield f"({section})".ljust(20) + f"{_shown(found.peer):<40}{found.why}"


_SECTIONS = {"collections": "index process", "routes": "route"}


def _hosts(settings: GatewaySettings, provider: str, model: str) -> Iterator[str]:
    found = next(p for p in settings.providers if p.name == provider)
    if getattr(plugins.load_class("providers", found.use), "free", False):
        yield "(in process)"
        return
    if not (found.options.get("base_url") or found.options.get("api_base")):
        yield f"(the SDK's own host for {model.partition('/')[0]})"
    for one in of_plugin(Use("providers", found.use, found.options, ())):
        yield _shown(one.peer)


def _shown(peer: Peer | None) -> str:
    return "(an address without a host)" if peer is None else str(peer)
