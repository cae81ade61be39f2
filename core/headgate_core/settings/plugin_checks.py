"""Names and options of plugins, wherever a configuration uses one."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from headgate_core.errors import ConfigurationError
from headgate_core.plugins import build, load_class, options_model, unknown
from headgate_core.settings import wording
from headgate_core.settings.base import PluginUse
from headgate_core.settings.document import Document, Trail
from headgate_core.settings.gateway import GatewaySettings


class Use(NamedTuple):
    """One place where a plugin is used."""

    kind: str
    use: str
    options: Mapping[str, Any]
    trail: Trail


def check_plugins(settings: GatewaySettings, document: Document) -> None:
    """Note every unknown plugin, missing extra, and unknown, missing or wrong option."""
    for use in uses(settings):
        check_use(document, use)


def uses(settings: GatewaySettings) -> Iterator[Use]:
    """Every use of a plugin in the gateway's configuration."""
    for index, provider in enumerate(settings.providers):
        yield _use("providers", provider, ("providers", index))
    for index, pool in enumerate(settings.pools):
        yield _use("strategies", pool.strategy, ("pools", index, "strategy"))
    for index, collection in enumerate(settings.collections):
        for kind, member in _COLLECTION.items():
            yield _use(kind, getattr(collection, member), ("collections", index, member))
    for index, metric in enumerate(settings.metrics):
        yield _use("metrics", metric, ("metrics", index))
    yield from _route_uses(settings)


def _route_uses(settings: GatewaySettings) -> Iterator[Use]:
    for index, route in enumerate(settings.routes):
        if route.cache is not None:
            yield _use("caches", route.cache, ("routes", index, "cache"))
        if route.retrieval is not None:
            found = route.retrieval
            yield Use("retrievers", found.use, found.options, ("routes", index, "retrieval"))


_NAMED = re.compile(r"`(\w+)`: ")
"""How a plugin's complaint begins that is about one of its options."""
_COLLECTION = {"embedders": "embedder", "indexes": "index", "chunkers": "chunker"}


def _use(kind: str, plugin: PluginUse, trail: Trail) -> Use:
    return Use(kind, plugin.use, plugin.options, trail)


def check_use(document: Document, use: Use) -> None:
    """Note what is wrong with one use of a plugin."""
    model = options_of(use)
    if isinstance(model, str):
        document.problem((*use.trail, "use"), model)
        return
    try:
        model.model_validate(dict(use.options))
    except ValidationError as error:
        base = (*use.trail, "options")
        for item in error.errors():
            if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
                name = str(item["loc"][0])
                what = f"{use.use} option"
                document.problem((*base, name), unknown(what, name, tuple(model.model_fields)))
        others = [e for e in error.errors() if e["type"] != "extra_forbidden" or len(e["loc"]) > 1]
        wording.note(document, others, base)
        return
    if use.kind == "providers":
        _check_made(document, use)


def _check_made(document: Document, use: Use) -> None:
    """Note what a provider says of its options, such as an address that can be none."""
    try:
        build(use.kind, use.use, use.options)
    except ConfigurationError as error:
        named = _NAMED.match(error.message)
        if named and named[1].endswith("_file"):
            return  # its path is not put together yet: the gateway itself tells
        option = ("options", named[1]) if named else ("options",)
        document.problem((*use.trail, *option), error.message)


def options_of(use: Use) -> type[BaseModel] | str:
    """The model of the plugin's options, or what is wrong with the plugin."""
    try:
        return _options(use)
    except ConfigurationError as error:
        return error.message
    except Exception as error:  # noqa: BLE001 - a foreign module may raise anything on import
        return f"importing {use.use!r} failed: {type(error).__name__}: {error}."


def _options(use: Use) -> type[BaseModel]:
    cls = load_class(use.kind, use.use)
    if not dataclasses.is_dataclass(cls):
        raise ConfigurationError(f"{use.use} is not a dataclass; see the guide to plugins.")
    return options_model(cls)
