"""A stream's ``message`` that says once more what has come before it, and maybe more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from headgate_core.types import Json
from headgate_gateway.replies.texts import number, tool_number
from headgate_gateway.replies.tool_numbers import Calls, name_of, said_of

_LABELS = frozenset({"role", "tool_calls"})
_Key: TypeAlias = tuple[Any, ...]


@dataclass(slots=True)
class Said:
    """What one choice of a reply has said so far."""

    calls: Calls = field(default_factory=Calls)
    _ids: dict[str, int] = field(default_factory=dict)
    """Every id that a call has had, and which call it is."""
    _streamed: set[str] = field(default_factory=set)
    """Members that have come in deltas."""
    _told: dict[str, Any] = field(default_factory=dict)
    """Members that have come in messages alone: as they were last, None = they come in pieces."""

    def take(self, delta: Json) -> None:
        """Add a delta."""
        for member, value in delta.items():
            if value and member != "role":
                self._streamed.add(member)
        self._called(delta.get("tool_calls") or [], whole=False)

    def hear(self, message: Json) -> Json | None:
        """Add a message; returns what of it has not been said, as a delta. None: all of it.

        Behind deltas a message repeats them. Where there are none, one that has a role and begins
        with what the last one said is the whole message so far.
        """
        texts = {name: value for name, value in message.items() if value and name not in _LABELS}
        calls = message.get("tool_calls") or []
        if self._streamed:
            rest = {name: value for name, value in texts.items() if name not in self._streamed}
            rest |= _some(tool_calls=list(self._new_calls(calls, by_place=True)))
            self.take(rest)
            return rest
        whole = bool(message.get("role"))
        rest = {name: self._added(name, value, whole) for name, value in texts.items()}
        new = list(self._new_calls(calls, by_place=False)) if whole else calls
        if len(new) == len(calls) and rest == texts:
            self._called(calls, whole=True)
            return None
        self._called(new, whole=False)
        return _some(**rest, tool_calls=new)

    def _called(self, calls: list[Json], *, whole: bool) -> None:
        for piece, call, *_ in self.calls.place(calls, whole=whole):
            if piece.get("id"):
                self._ids.setdefault(piece["id"], call.place)

    def _added(self, member: str, value: Any, whole: bool) -> Any:
        """What ``value`` adds to what the member said last."""
        first = member not in self._told
        last: Any = self._told.get(member)
        listed = isinstance(value, str | list) and type(last) is type(value)
        goes_on = whole and (value[: len(last)] == last if listed else value == last)
        self._told[member] = value if first or goes_on else None
        if not goes_on:
            return value
        return value[len(last) :] if listed else None

    def _new_calls(self, calls: list[Json], *, by_place: bool) -> Iterator[Json]:
        left = _Left(self.calls, by_place)
        taken = {n for call in self.calls.known for n in (call.index, call.told) if n is not None}
        free = max(taken, default=-1) + 1
        for position, call in enumerate(calls):
            if left.has(call, position, self._ids.get(call.get("id") or "")):
                continue
            place = tool_number(call, position)
            place = free if place in taken else place
            free = max(free, place + 1)
            taken.add(place)
            yield {**call, "index": place}


class _Left:
    """Calls that have been made and that a message has not repeated yet."""

    def __init__(self, calls: Calls, by_place: bool) -> None:
        self._by_place = by_place
        self._places: dict[_Key, list[int]] = {}
        self._gone: set[int] = set()
        for call in reversed(calls.known):
            keys: list[_Key] = [("said", call.name, _meant(call.said))]
            keys += [("at", call.place, call.name), ("told", call.told, call.name)]
            for key in keys:
                self._places.setdefault(key, []).append(call.place)

    def has(self, call: Json, position: int, known: int | None) -> bool:
        """Whether the call at ``position`` has been made; ``known``: which one has its id."""
        if known is not None:
            self._gone.add(known)
            return True
        name, told = name_of(call), call.get("index")
        keys: list[_Key] = [("said", name, _meant(said_of(call)))]
        if self._by_place:
            keys.append(("at", position, name) if told is None else ("told", told, name))
        return any(map(self._take, keys))

    def _take(self, key: _Key) -> bool:
        found = self._places.get(key, [])
        while found:
            place = found.pop()
            if place not in self._gone:
                self._gone.add(place)
                return True
        return False


def drop_repeated(spoken: dict[int, Said], body: Json) -> None:
    """Leave of a ``message`` what its choice has not said before, as a delta.

    One that repeats nothing stays as it is, unless deltas have come before it.
    """
    for choice in body.get("choices") or ():
        said = spoken.setdefault(number(choice), Said())
        delta = choice.get("delta")
        if delta:
            said.take(delta)
        if "message" in choice:
            rest = said.hear(choice["message"] or {})
            if rest is not None:
                del choice["message"]
                choice["delta"] = {**(delta or {}), **rest}


def _some(**members: Any) -> Json:
    return {name: value for name, value in members.items() if value}


def _meant(said: str) -> bytes:
    """Arguments apart from how they are spelled."""
    try:
        return orjson.dumps(orjson.loads(said), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return said.strip().encode(errors="replace")
