"""Tool calls that wait, so that a guarded stream keeps their order and tells whole names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headgate_core.types import Json
from headgate_gateway.replies.texts import number, part, tool_number
from headgate_gateway.replies.tool_numbers import KINDS

_JOINED = ("name", *(said for _, said in KINDS))
_NONE = -1
"""In place of the number of a choice's first call: all of its calls wait."""
_OLD = -2
"""The number of a ``function_call``, the older form of a call, of which a choice has one."""


class LaterCalls:
    """The calls of a streamed choice that wait, each put together of its pieces.

    The first one waits until its arguments begin: its name may come in pieces, and none of it goes
    out before the whole has been checked. The others wait until the choice is finished. A check
    holds back the end of a call's arguments until it knows that no more will come; clients take a
    call to be over when the next one begins, so the next one must not overtake that end.

    Where no check looks at calls, nothing is held back of any: ``free`` lets each one go as soon
    as its name is whole.
    """

    def __init__(self, *, free: bool = False) -> None:
        self._free = free
        self._first: dict[int, int] = {}
        self._begun: set[tuple[int, int]] = set()
        """Choice and number of the calls that go out as they come."""
        self._waiting: dict[int, dict[int, Json]] = {}

    @property
    def choices(self) -> list[int]:
        """The choices whose calls wait."""
        return [choice for choice, calls in self._waiting.items() if calls]

    def all_wait(self, choice: int) -> None:
        """The first call of the choice waits as well, unless it has come."""
        self._first.setdefault(choice, _NONE)

    def set_aside(self, body: Json) -> bool:
        """Take out of a chunk what has to wait; returns whether there was any."""
        found = False
        for choice in body.get("choices") or ():
            if "message" in choice:
                continue
            delta = part(choice)
            calls = list(delta.pop("tool_calls", None) or ())
            if isinstance(delta.get("function_call"), dict):
                calls.append({"index": _OLD, "function": delta.pop("function_call")})
            going = list(self._going(number(choice), calls))
            found = found or len(going) < len(calls)
            for call in going:
                _add(delta, call)
        return found

    def taken(self, choice: int) -> list[Json]:
        """The calls of a choice that wait, which wait no more, each as a delta."""
        return [_add({}, call) for call in self._waiting.pop(choice, {}).values()]

    def _going(self, choice: int, calls: list[Json]) -> Iterator[Json]:
        for position, call in enumerate(calls):
            at = tool_number(call, position)
            first = self._first.setdefault(choice, at)
            goes = at == first or (self._free and first != _NONE)
            if goes and (choice, at) in self._begun:
                yield call
                continue
            whole = self._keep(choice, at, call)
            if goes and any(_begun(whole.get(kind), said) for kind, said in KINDS):
                self._begun.add((choice, at))
                yield self._waiting[choice].pop(at)

    def _keep(self, choice: int, at: int, call: Json) -> Json:
        known = self._waiting.setdefault(choice, {}).setdefault(at, {"index": at})
        for name, value in call.items():
            if isinstance(value, dict) and isinstance(known.get(name), dict):
                _join(known[name], value)
            elif name != "index" and value is not None:
                known[name] = value
        return known


def _add(delta: Json, call: Json) -> Json:
    if call.get("index") == _OLD:
        delta["function_call"] = call["function"]
    else:
        delta.setdefault("tool_calls", []).append(call)
    return delta


def _begun(function: Any, said: str) -> bool:
    """Whether a call's name is complete, for its arguments have begun."""
    return isinstance(function, dict) and bool(function.get("name") and function.get(said))


def _join(known: Json, more: Json) -> None:
    for member, text in more.items():
        if member in _JOINED and isinstance(known.get(member), str):
            known[member] += text or ""
        elif text is not None:
            known[member] = text
