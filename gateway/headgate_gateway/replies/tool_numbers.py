"""Which tool call a piece of a reply belongs to, where servers leave that open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from headgate_core.ids import uuid7
from headgate_core.types import Json
from headgate_gateway.replies.texts import number, part

_KINDS = (("function", "arguments"), ("custom", "input"))


@dataclass(slots=True)
class Call:
    """One tool call as far as it has come. ``id`` and ``name`` are the server's, empty = none."""

    place: int
    """Which one of its choice it is, from 0."""
    told: object
    """The ``index`` that the server sends for it, None = none."""
    index: int
    """The one that the client gets: the server's own unless another call has it."""
    id: str = ""
    name: str = ""
    free: bool = False
    """Its input is a text in a form of the caller's own."""
    _said: list[str] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        """Whether any of its arguments have come."""
        return bool(self._said)

    @property
    def complete(self) -> bool:
        """Whether its arguments are a JSON object that has ended."""
        if not self._said or not self._said[-1].rstrip().endswith("}"):
            return False
        try:
            return isinstance(orjson.loads("".join(self._said)), dict)
        except orjson.JSONDecodeError:
            return False

    @property
    def readable(self) -> bool:
        """Whether its arguments are JSON, or a free text."""
        try:
            orjson.loads("".join(self._said))
        except orjson.JSONDecodeError:
            return self.free
        return True

    def take(self, own: str, name: str, said: str) -> None:
        """Add a piece; of several ids the first one counts."""
        self.id = self.id or own
        if name != self.name:
            self.name += name
        if said:
            self._said.append(said)


class Placed(NamedTuple):
    """A piece, the call that it belongs to, and whether that begins with it."""

    piece: Json
    call: Call
    first: bool
    repeats: bool
    """Whether its name is the one that the call has already."""


class Calls:
    """The tool calls of one choice. Servers leave out ids or indexes, or make up new ones.

    Every entry of a whole message is a call of its own. In a stream an ``index`` that has not come
    before begins a call; where it says nothing, a piece without a name goes on with the last call,
    and one with a name begins another unless it may be the next piece of the same.
    """

    def __init__(self) -> None:
        self.known: list[Call] = []

    def place(self, pieces: list[Json], *, whole: bool) -> Iterator[Placed]:
        """Each piece of one list with its call, one by one."""
        named: list[Call] = []
        for piece in pieces:
            own, name, said = _text(piece.get("id")), _name(piece), _said(piece)
            call = None if whole else self._known(piece.get("index"), own, name)
            if call is not None and not _goes_on(call, piece, any(call is one for one in named)):
                call = None
            first = call is None
            if call is None:
                call = self._new(piece.get("index"))
            repeats = not first and bool(name) and name == call.name
            call.take(own, name, said)
            call.free = call.free or "custom" in piece
            if name:
                named.append(call)
            yield Placed(piece, call, first, repeats)

    def _known(self, told: object, own: str, name: str) -> Call | None:
        """The call that the piece may go on with, None = it begins one."""
        found = [c for c in self.known if told in (None, c.told)]
        found = [c for c in found if own and c.id == own] or found
        if not found and (own or name):
            return None
        return next(reversed(found or self.known), None)

    def _new(self, told: object) -> Call:
        taken = {call.index for call in self.known}
        free = next(n for n in range(len(self.known) + 1) if n not in taken)
        index = told if isinstance(told, int) and told not in taken else free
        self.known.append(Call(len(self.known), told, index))
        return self.known[-1]


def _goes_on(call: Call, piece: Json, named: bool) -> bool:
    """Whether the piece goes on with the call; ``named``: a piece of the same list named it."""
    own, name = _text(piece.get("id")), _name(piece)
    if not name or not call.name or (own and own == call.id):
        return True
    if (own and call.id) or named:
        return False
    if not call.begun:  # the index alone holds the pieces of a name together
        return piece.get("index") is not None and (name == call.name or not own)
    return name == call.name and not (_said(piece) and call.complete)


@dataclass(slots=True)
class ToolNumbers:
    """Gives every tool call of a reply one index and one id of its own, in its first piece.

    Clients join the pieces of a call by its index, and its ids as they join its texts.
    """

    _calls: dict[int, Calls] = field(default_factory=dict)

    def assign(self, body: Json) -> None:
        """Write both into the body; those that are right stay as they are."""
        for choice in body.get("choices") or ():
            whole = "message" in choice
            known = Calls() if whole else self._calls.setdefault(number(choice), Calls())
            pieces = part(choice).get("tool_calls") or []
            for position, placed in enumerate(known.place(pieces, whole=whole)):
                _write(placed, position, whole=whole)


def _write(placed: Placed, position: int, *, whole: bool) -> None:
    piece = placed.piece
    if not whole:
        piece["index"] = placed.call.index
    elif "index" in piece:
        piece["index"] = position
    if placed.first:
        piece["id"] = piece.get("id") or f"call_{uuid7().replace('-', '')}"
        return
    piece.pop("id", None)
    for kind, _ in _KINDS:
        if placed.repeats and isinstance(piece.get(kind), dict):
            piece[kind].pop("name", None)


def said_in(function: Json, member: str = "arguments") -> str:
    """A call's arguments as text; servers that parse what the model said send an object."""
    value = function.get(member)
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def _said(piece: Json) -> str:
    return "".join(
        said_in(piece[kind], member) for kind, member in _KINDS if isinstance(piece.get(kind), dict)
    )


def _name(piece: Json) -> str:
    held = [piece[kind].get("name") for kind, _ in _KINDS if isinstance(piece.get(kind), dict)]
    return next((_text(name) for name in held if name), "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
