"""What no single member can tell: names that must exist, be unique, and fit each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from headgate_core import plugins
from headgate_core.parameters import fault_of
from headgate_core.plugins import unknown
from headgate_core.settings.deployment_checks import check_deployment
from headgate_core.settings.document import Document, Trail
from headgate_core.settings.egress_checks import check_egress
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.idle_checks import check_idle
from headgate_core.settings.kind_checks import check_kinds
from headgate_core.settings.plugin_checks import check_plugins
from headgate_core.settings.policy_checks import check_policies
from headgate_core.settings.retrieval import link_fault
from headgate_core.settings.routes import ScoreSettings

_PROMPT = re.compile(r"[A-Za-z0-9_-]+@[A-Za-z0-9_.-]+")
_OURS = ("model", "messages", "stream", "stream_options", "headgate")


def cross_check(settings: GatewaySettings, document: Document) -> None:
    """Note every fault between the parts of a configuration that is valid part by part."""
    _unique_names(settings, document)
    _one_name_space(settings, document)
    _pools(settings, document)
    _fallback_loops(settings, document)
    check_kinds(settings, document)
    _routes(settings, document)
    _links(settings, document)
    check_policies(settings, document)
    _scores(settings, document)
    check_deployment(settings, document)
    check_egress(settings, document)
    check_idle(settings, document)
    check_plugins(settings, document)


def _unique_names(settings: GatewaySettings, document: Document) -> None:
    for member in ("providers", "collections", "metrics", "teams"):
        seen: dict[str, Trail] = {}
        for index, one in enumerate(getattr(settings, member)):
            trail: Trail = (member, index, "name")
            _claim(document, seen, one.name, trail, f"there are two {member} of the name")


def _one_name_space(settings: GatewaySettings, document: Document) -> None:
    """Routes, aliases and pools: a caller writes any of them as ``model``."""
    seen: dict[str, Trail] = {}
    for index, pool in enumerate(settings.pools):
        _claim(document, seen, pool.name, ("pools", index, "name"), _SHARED)
    for index, route in enumerate(settings.routes):
        _claim(document, seen, route.name, ("routes", index, "name"), _SHARED)
        for number, alias in enumerate(route.aliases):
            _claim(document, seen, alias, ("routes", index, "aliases", number), _SHARED)


_SHARED = "routes, aliases and pools share one name space, and it already has"


def _claim(
    document: Document, seen: dict[str, Trail], name: str, trail: Trail, complaint: str
) -> None:
    if name in seen:
        document.problem(trail, f"{complaint} {name!r} ({document.place(seen[name])}).")
    seen.setdefault(name, trail)


def _known(document: Document, trail: Trail, what: str, name: str, names: Iterable[str]) -> None:
    known = sorted(set(names))
    if name not in known:
        document.problem(trail, unknown(what, name, known))


def _pools(settings: GatewaySettings, document: Document) -> None:
    providers = [provider.name for provider in settings.providers]
    pools = [pool.name for pool in settings.pools]
    for index, pool in enumerate(settings.pools):
        for number, target in enumerate(pool.targets):
            trail: Trail = ("pools", index, "targets", number, "provider")
            _known(document, trail, "provider", target.provider, providers)
        for name in pool.fallbacks.every:
            _known(document, ("pools", index, "fallbacks"), "pool", name, pools)


def _fallback_loops(settings: GatewaySettings, document: Document) -> None:
    after = {pool.name: pool.fallbacks.every for pool in settings.pools}
    reported: set[frozenset[str]] = set()
    for index, pool in enumerate(settings.pools):
        loop = _loop(pool.name, after)
        if loop and frozenset(loop) not in reported:
            reported.add(frozenset(loop))
            document.problem(
                ("pools", index, "fallbacks"),
                f"the fallbacks go round in a circle: {' -> '.join(loop)}; take one of them out.",
            )


def _loop(start: str, after: dict[str, list[str]]) -> list[str]:
    """The way from ``start`` back to itself; empty when there is none."""
    ways = [[start]]
    visited: set[str] = set()
    while ways:
        way = ways.pop()
        for name in after.get(way[-1], ()):
            if name == start:
                return [*way, start]
            if name not in visited:
                visited.add(name)
                ways.append([*way, name])
    return []


def _routes(settings: GatewaySettings, document: Document) -> None:
    pools = [pool.name for pool in settings.pools]
    collections = [collection.name for collection in settings.collections]
    _parameters(document, settings.defaults.parameters, ("defaults", "parameters"))
    for index, route in enumerate(settings.routes):
        base: Trail = ("routes", index)
        _known(document, (*base, "pool"), "pool", route.pool, pools)
        _parameters(document, route.parameters, (*base, "parameters"))
        if route.prompt is not None:
            _prompt(settings, document, (*base, "prompt"), route.prompt)
        else:
            given = {**settings.defaults.parameters, **route.parameters}
            for name in route.locked:
                _locked(document, (*base, "locked"), name, sorted(given))
        if route.retrieval is not None:
            trail = (*base, "retrieval", "collection")
            _known(document, trail, "collection", route.retrieval.collection, collections)
            _retrieval(settings, document, index)
            if route.prompt is None:
                document.problem(
                    (*base, "retrieval"),
                    "passages are retrieved, but there is no prompt to show them to the model; "
                    "add `prompt: NAME@production` whose template writes {{ passages }}.",
                )


def _parameters(document: Document, parameters: dict[str, Any], trail: Trail) -> None:
    for name, value in parameters.items():
        if name in _OURS:
            document.problem(
                (*trail, name), f"`{name}` is not a parameter; the gateway fills it in. Remove it."
            )
        elif fault := fault_of(name, value):
            document.problem((*trail, name), f"`{name}` {fault}, found {value!r}.")


def _locked(document: Document, trail: Trail, name: str, given: list[str]) -> None:
    if name not in given:
        document.problem(
            trail,
            f"`{name}` is locked but has no value here; give it one under `parameters`. "
            + unknown("parameter", name, given),
        )


def _prompt(settings: GatewaySettings, document: Document, trail: Trail, prompt: str) -> None:
    if _PROMPT.fullmatch(prompt) is None:
        document.problem(
            trail,
            f"a prompt is named with its label: name@label, found {prompt!r}; "
            "write e.g. name@production, or name@file for the file as it stands.",
        )
        return
    name = prompt.partition("@")[0]
    folder = settings.folder / "prompts"
    if not (folder / f"{name}.md").is_file():
        names = sorted(path.stem for path in folder.glob("*.md"))
        document.problem(trail, f"{unknown('prompt', name, names)} Prompts are {folder}/NAME.md.")


def _retrieval(settings: GatewaySettings, document: Document, index: int) -> None:
    retrieval = settings.routes[index].retrieval
    assert retrieval is not None
    base: Trail = ("routes", index, "retrieval")
    if retrieval.candidates < retrieval.top_k:
        document.problem(
            (*base, "candidates"),
            f"`candidates` ({retrieval.candidates}) must be at least `top_k` ({retrieval.top_k}).",
        )
    if not retrieval.weights.dense and not retrieval.weights.bm25:
        document.problem((*base, "weights"), "both weights are 0; nothing would be found.")


def _links(settings: GatewaySettings, document: Document) -> None:
    for index, collection in enumerate(settings.collections):
        if fault := link_fault(collection.link):
            document.problem(("collections", index, "link"), f"`link`: {fault}")


def _scores(settings: GatewaySettings, document: Document) -> None:
    names = [*plugins.names("metrics"), *(metric.name for metric in settings.metrics)]
    _score_list(document, ("defaults", "scores"), settings.defaults.scores, names)
    for index, route in enumerate(settings.routes):
        _score_list(document, ("routes", index, "scores"), route.scores or [], names)


def _score_list(
    document: Document, trail: Trail, scores: list[ScoreSettings], names: list[str]
) -> None:
    if trail not in document.places:
        return
    for number, score in enumerate(scores):
        here = (*trail, number)
        metric, _, member = score.metric.partition(".")
        if member and metric in names and score.metric not in names:
            document.problem(
                here,
                f"{score.metric!r} names one member of a metric; in this version a metric is "
                f"scored with all its members: write {metric!r}.",
            )
        else:
            _known(document, here, "metric", score.metric, names)
