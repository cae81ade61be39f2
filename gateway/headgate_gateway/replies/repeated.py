"""A stream's last ``message`` that says once more what its deltas have said, and maybe more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from headgate_core.types import Json
from headgate_gateway.replies.texts import number, tool_number

Spoken: TypeAlias = set[tuple[Any, ...]]
"""What of a stream has come in deltas: members of choices, tool calls by id, place and name."""

_KINDS = ("function", "custom")
_LABELS = frozenset({"role", "tool_calls"})


def drop_repeated(spoken: Spoken, body: Json) -> None:
    """Leave of a ``message`` behind deltas what they have not said, as a delta.

    A stream without deltas stays as it is.
    """
    for choice in body.get("choices") or ():
        delta = choice.get("delta")
        if delta:
            spoken.update(_said(number(choice), delta))
        if "message" in choice and (number(choice),) in spoken:
            rest = _rest(spoken, number(choice), choice.pop("message") or {})
            spoken.update(_said(number(choice), rest))
            choice["delta"] = {**(delta or {}), **rest}


def _said(choice: int, delta: Json) -> Iterator[tuple[Any, ...]]:
    for member, value in delta.items():
        if value and member not in _LABELS:
            yield (choice,)
            yield choice, member
    for position, call in enumerate(delta.get("tool_calls") or ()):
        place = tool_number(call, position)
        yield (choice,)
        yield choice, "call", place, _name(call)
        if call.get("id"):
            yield choice, "id", call["id"]


def _rest(spoken: Spoken, choice: int, message: Json) -> Json:
    rest: Json = {
        member: value
        for member, value in message.items()
        if value and member not in _LABELS and (choice, member) not in spoken
    }
    calls = list(_new_calls(spoken, choice, message.get("tool_calls") or []))
    return {**rest, "tool_calls": calls} if calls else rest


def _new_calls(spoken: Spoken, choice: int, calls: list[Json]) -> Iterator[Json]:
    said = [one for one in spoken if one[:2] == (choice, "call")]
    taken = {one[2] for one in said}
    for position, call in enumerate(calls):
        place, name = tool_number(call, position), _name(call)
        # Names come in pieces, and some servers make up a new id for every one of them.
        there = any(one[2] == place and name.startswith(one[3]) for one in said)
        if (choice, "id", call.get("id")) in spoken or there:
            continue
        free = place if place not in taken else max(taken) + 1
        taken.add(free)
        yield {**call, "index": free}


def _name(call: Json) -> str:
    held = (call[kind].get("name") for kind in _KINDS if isinstance(call.get(kind), dict))
    return next((name for name in held if name), "")
