"""Reading the members of a foreign body: wrong ones and untranslatable ones are named."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from headgate_core.errors import InvalidRequest
from headgate_core.types import Json
from headgate_gateway.routing.parameters import UnsupportedParameter


def refuse(body: Json, reasons: Mapping[str, str], where: str = "") -> None:
    """Raises ``UnsupportedParameter`` for the first member that is set and has a reason here."""
    for name, reason in reasons.items():
        if body.get(name) is not None:
            param = f"{where}.{name}" if where else name
            raise UnsupportedParameter(f"`{param}` is not served: {reason}", param=param)


def unserved(param: str, reason: str) -> UnsupportedParameter:
    """The error for a value that the chat wire cannot say."""
    return UnsupportedParameter(f"`{param}` is not served: {reason}", param=param)


def objects(value: Any, where: str) -> list[Json]:
    """A list of objects; nothing is an empty one. Raises ``InvalidRequest``."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidRequest(f"`{where}` must be a list.", param=where)
    for number, entry in enumerate(value):
        object_of(entry, f"{where}[{number}]")
    return value


def object_of(value: Any, where: str) -> Json:
    """An object; nothing is an empty one. Raises ``InvalidRequest``."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{where}` must be an object.", param=where)
    return value


def text_of(holder: Json, name: str, where: str) -> str:
    """A member that must be a text. Raises ``InvalidRequest``."""
    value = holder.get(name)
    if not isinstance(value, str):
        raise InvalidRequest(f"`{where}.{name}` must be a text.", param=f"{where}.{name}")
    return value


def count_of(body: Json, name: str) -> int:
    """A member that must be a whole number of at least 1. Raises ``InvalidRequest``."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequest(f"`{name}` must be a whole number of at least 1.", param=name)
    return value


def only(
    holder: Json, known: Collection[str], hints: Collection[str], where: str, dropped: list[str]
) -> None:
    """Raises ``UnsupportedParameter`` for a member that is neither known nor a hint.

    Hints change nothing in the answer: they are left out and named in ``dropped``.
    """
    for name, value in holder.items():
        if name in known or value is None:
            continue
        if name not in hints:
            raise unserved(f"{where}.{name}", "the chat wire has no such member.")
        if name not in dropped:
            dropped.append(name)


def plain(parts: list[Json]) -> str | list[Json]:
    """Content parts as short as they can be said: one text is a text."""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return str(parts[0]["text"])
    return parts
