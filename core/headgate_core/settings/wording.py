"""Validation errors in words for people: what is expected, what was found."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from headgate_core.plugins import unknown
from headgate_core.settings.document import Document, Trail, at, dotted, is_secret

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list, [a, b] or lines that begin with -",
    "tuple_type": "a list, [a, b] or lines that begin with -",
    "set_type": "a list, [a, b] or lines that begin with -",
    "dict_type": "members, `name: value`",
    "model_type": "members, `name: value`",
    "model_attributes_type": "members, `name: value`",
    "path_type": "a path",
    "date_type": "a date such as 2026-11-01",
    "date_parsing": "a date such as 2026-11-01",
    "date_from_datetime_parsing": "a date such as 2026-11-01",
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def note(document: Document, errors: list[Any], base: Trail = ()) -> None:
    """Add one problem for each of pydantic's ``errors``; those of a union become one."""
    merged: dict[Trail, list[Mapping[str, Any]]] = {}
    for error in errors:
        trail = base + tuple(error["loc"])
        merged.setdefault(_standing(document, trail), []).append({**error, "trail": trail})
    for trail, group in merged.items():
        if trail in document.broken:
            continue
        missing = [error for error in group if error["type"] == "missing"]
        if missing:
            for error in missing:
                document.problem(trail, f"`{error['trail'][-1]}` is missing{_under(trail)}.")
            group = [error for error in group if error["type"] != "missing"]
        if group:
            found = _found(document, trail, group[0]["input"])
            wanted = " or ".join(dict.fromkeys(_wanted(error) for error in group))
            document.problem(trail, _sentence(trail, wanted, found))


def _standing(document: Document, trail: Trail) -> Trail:
    """The longest part of ``trail`` that is in the file; pydantic adds names of its own."""
    for end in range(len(trail), 0, -1):
        if trail[:end] in document.places:
            return trail[:end]
    return ()


def _under(trail: Trail) -> str:
    return f" in `{dotted(trail)}`" if trail else ""


def _sentence(trail: Trail, wanted: str, found: str) -> str:
    name = f"`{dotted(trail)}`: " if trail else ""
    if wanted.endswith("."):
        return f"{name}{wanted}"
    return f"{name}expected {wanted}, found {found}."


def _wanted(error: Mapping[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"a number of {words} {context[key]}"
    if kind == "literal_error":
        expected = str(context["expected"])
        return f"one of {expected}" if " or " in expected else expected
    if kind == "too_short":
        return f"a list of at least {context['min_length']}"
    if kind == "string_too_short":
        count = context["min_length"]
        return "text" if count == 1 else f"text of at least {count} characters"
    if kind == "string_pattern_mismatch":
        return f"text like {context['pattern']}"
    if kind == "extra_forbidden":
        return unknown("member", str(error["trail"][-1]), ())
    return _message(error)


def _message(error: Mapping[str, Any]) -> str:
    text = str(error["msg"]).removeprefix("Value error, ")
    return text if text.endswith(".") else f"{text}."


def _found(document: Document, trail: Trail, value: Any) -> str:
    """What stands there, never a secret and never what a reference led to."""
    reference = document.reference(trail)
    if reference is not None:
        return f"another value behind {reference}"
    if is_secret(trail):
        return "another value"
    return describe(at(document.data, trail) if trail in document.places else value)


def describe(value: Any) -> str:
    """A value in a few words, for an error message."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 60 else f"the text {value[:57]!r}..."
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "members" if value else "no members"
