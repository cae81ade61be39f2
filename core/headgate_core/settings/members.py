"""Which members a model knows: unknown ones, planned ones, and scalars of the wrong kind."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from pydantic import BaseModel

from headgate_core.plugins import unknown
from headgate_core.settings.document import Document, Trail


class Node(NamedTuple):
    """A value of a document beside what the model says about it."""

    annotation: Any
    value: Any
    trail: Trail


def strip(document: Document, model: type[BaseModel]) -> None:
    """Note every unknown and every planned member, and take it out.

    What is left can be validated, so that all faults of a file come at once.
    """
    for node in list(walk(model, document.data)):
        owner = model_of(node.annotation)
        if owner is None or not isinstance(node.value, dict):
            continue
        names = tuple(known(owner))
        for key in [key for key in node.value if key not in names]:
            if owner.model_config.get("extra") == "forbid":
                document.problem((*node.trail, key), _stranger(owner, key, names))
                document.drop((*node.trail, key))


def check(document: Document, model: type[BaseModel]) -> None:
    """Note every scalar of the wrong kind and every planned value, and take it out."""
    for node in list(walk(model, document.data)):
        owner = model_of(node.annotation)
        if owner is not None and isinstance(node.value, dict):
            _planned_values(document, owner, node)
        elif isinstance(node.value, str | int | float | Decimal):
            _scalar(document, node)


def walk(annotation: Any, data: Any, trail: Trail = ()) -> Iterator[Node]:
    """Every value whose annotation is known, from the top; below unknown members nothing."""
    yield Node(annotation, data, trail)
    if isinstance(data, dict):
        model = model_of(annotation)
        inner = known(model) if model else dict.fromkeys(data, _argument(annotation, dict, 1))
        for key, value in data.items():
            if inner.get(key) is not None:
                yield from walk(inner[key], value, (*trail, key))
    elif isinstance(data, list):
        item_annotation = _argument(annotation, list, 0)
        if item_annotation is not None:
            for index, item in enumerate(data):
                yield from walk(item_annotation, item, (*trail, index))


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The one settings model in an annotation; None where there is none or a choice of several."""
    found = [t for t in _types(annotation) if isinstance(t, type) and issubclass(t, BaseModel)]
    return found[0] if len(found) == 1 else None


def known(model: type[BaseModel]) -> dict[str, Any]:
    """The members of a model by the names that files use, with their annotations."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _stranger(model: type[BaseModel], key: str, names: tuple[str, ...]) -> str:
    planned: dict[str, str] = getattr(model, "planned", {})
    if key in planned:
        return _not_yet(f"`{key}`", planned[key])
    return unknown("member", key, names)


def _not_yet(what: str, reason: str) -> str:
    return (
        f"{what} belongs to the configuration grammar, but this version does not do it yet "
        f"({reason}); remove it."
    )


def _planned_values(document: Document, model: type[BaseModel], node: Node) -> None:
    planned: dict[str, str] = getattr(model, "planned", {})
    values = {pattern: reason for pattern, reason in planned.items() if ": " in pattern}
    for key, value in list(node.value.items()):
        written = f"{key}: {value.get('use') if isinstance(value, dict) else value}"
        for pattern, reason in values.items():
            if fnmatchcase(written, pattern):
                document.problem((*node.trail, key), _not_yet(f"`{pattern}`", reason))
                document.drop((*node.trail, key))


def _scalar(document: Document, node: Node) -> None:
    allowed = set(_types(node.annotation)) - {type(None)}
    if not allowed or not allowed <= {int, float, Decimal, bool}:
        return
    wanted = "true or false" if allowed == {bool} else "a number"
    value = node.value
    if isinstance(value, bool) and bool not in allowed:
        found = str(value).lower()
    elif isinstance(value, str) and not _text_will_do(document, node, allowed):
        found = f"the text {value!r}{_unquote(value)}"
    elif not isinstance(value, bool | str) and allowed == {bool}:
        found = f"the number {value}"
    else:
        return
    document.problem(node.trail, f"`{node.trail[-1]}`: expected {wanted}, found {found}.")
    document.drop(node.trail)


def _text_will_do(document: Document, node: Node, allowed: set[Any]) -> bool:
    """A referenced value is always text, and exact prices may be written as text."""
    return document.reference(node.trail) is not None or Decimal in allowed


def _unquote(text: str) -> str:
    return "; write it without quotes" if text.replace(".", "", 1).isdigit() else ""


def _types(annotation: Any) -> Iterator[Any]:
    """The plain types in an annotation, with unions and ``Annotated`` opened."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _types(part)
    elif origin is typing.Annotated:
        yield from _types(typing.get_args(annotation)[0])
    else:
        yield annotation


def _argument(annotation: Any, container: type, number: int) -> Any:
    """The type of a list's items or a mapping's values; None where it is not known."""
    for part in _types(annotation):
        origin, arguments = typing.get_origin(part), typing.get_args(part)
        if origin is tuple or len(arguments) <= number or not isinstance(origin, type):
            continue
        if issubclass(container, origin):
            return arguments[number]
    return None
