"""Which tool call a piece of a reply belongs to, where servers leave that open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from headgate_core.ids import uuid7
from headgate_core.types import Json
from headgate_gateway.replies.texts import number, part

KINDS = (("function", "arguments"), ("custom", "input"))
"""What a tool call holds, and the member of it that says the arguments."""


@dataclass(slots=True)
class Call:
    """One tool call as far as it has come. ``id`` and ``name`` are the server's, empty = none."""

    place: int
    """Which one of its choice it is, from 0."""
    told: int | None
    """The ``index`` that the server sends for it, None = none."""
    index: int
    """The one that the client gets: the server's own unless another call has it."""
    id: str = ""
    name: str = ""
    free: bool = False
    """Its input is a text in a form of the caller's own."""
    _said: list[str] = field(default_factory=list)
    _closed: bool = False
    """Whether the last that came of its arguments may be their end."""

    @property
    def said(self) -> str:
        """Its arguments as far as they have come."""
        return "".join(self._said)

    @property
    def begun(self) -> bool:
        """Whether any of its arguments have come."""
        return bool(self._said)

    @property
    def complete(self) -> bool:
        """Whether its arguments are a JSON object that has ended."""
        try:
            return self._closed and isinstance(orjson.loads(self.said), dict)
        except orjson.JSONDecodeError:
            return False

    @property
    def readable(self) -> bool:
        """Whether its arguments are JSON, or a free text."""
        try:
            orjson.loads(self.said)
        except orjson.JSONDecodeError:
            return self.free
        return True

    def take(self, own: str, name: str, said: str) -> None:
        """Add a piece. Of several ids the first one counts; arguments end the name."""
        self.id = self.id or own
        if not self.names_again(name):
            self.name += name
        if said:
            self._said.append(said)
        if said.strip():
            self._closed = said.rstrip().endswith("}")

    def names_again(self, name: str) -> bool:
        """Whether a piece with this name adds nothing to the one that the call has."""
        return name == self.name or (self.begun and bool(self.name))


class Placed(NamedTuple):
    """A piece, the call that it belongs to, and whether that begins with it."""

    piece: Json
    call: Call
    first: bool
    repeats: bool
    """Whether its name adds nothing to the one that the call has already."""


class Calls:
    """The tool calls of one choice. Servers leave out ids or indexes, or make up new ones.

    Every entry of a whole message is a call of its own. In a stream an ``index`` that has not come
    before begins a call; where it says nothing, a piece without a name goes on with the last call,
    and one with a name begins another unless it may be the next piece of the same.
    """

    def __init__(self) -> None:
        self.known: list[Call] = []
        self._last: dict[tuple[int | None, str], Call] = {}
        """The last call by index and id; None and the empty text stand for any."""
        self._taken: set[int] = set()
        self._free = 0

    def place(self, pieces: list[Json], *, whole: bool) -> Iterator[Placed]:
        """Each piece of one list with its call, one by one."""
        named: set[int] = set()
        for piece in pieces:
            told, own, name = _number(piece.get("index")), _text(piece.get("id")), name_of(piece)
            call = None if whole else self._known(told, own, name)
            if call is not None and not _goes_on(call, piece, call.place in named):
                call = None
            first = call is None
            if call is None:
                call = self._new(told)
            repeats = not first and bool(name) and call.names_again(name)
            call.take(own, name, said_of(piece))
            call.free = call.free or "custom" in piece
            self._note(call)
            if name:
                named.add(call.place)
            yield Placed(piece, call, first, repeats)

    def _known(self, told: int | None, own: str, name: str) -> Call | None:
        """The call that the piece may go on with, None = it begins one."""
        found = self._last.get((told, own)) or self._last.get((told, ""))
        if found is None and not (own or name):
            return self._last.get((None, ""))
        return found

    def _new(self, told: int | None) -> Call:
        while self._free in self._taken:
            self._free += 1
        index = self._free if told is None or told in self._taken else told
        self._taken.add(index)
        self.known.append(Call(len(self.known), told, index))
        return self.known[-1]

    def _note(self, call: Call) -> None:
        for key in ((t, own) for t in {None, call.told} for own in {"", call.id}):
            if key not in self._last or self._last[key].place < call.place:
                self._last[key] = call


def _goes_on(call: Call, piece: Json, named: bool) -> bool:
    """Whether the piece goes on with the call; ``named``: a piece of the same list named it."""
    own, name = _text(piece.get("id")), name_of(piece)
    if not name or not call.name or (own and own == call.id):
        return True
    if (own and call.id) or named:
        return False
    if not call.begun:  # the index alone holds the pieces of a name together
        return piece.get("index") is not None and (name == call.name or not own)
    return name == call.name and not (said_of(piece).strip() and call.complete)


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
    for kind, _ in KINDS:
        if placed.repeats and isinstance(piece.get(kind), dict):
            piece[kind].pop("name", None)


def said_in(function: Json, member: str = "arguments") -> str:
    """A call's arguments as text; servers that parse what the model said send an object."""
    value = function.get(member)
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def said_of(piece: Json) -> str:
    """What a tool call, or a piece of one, says of its arguments."""
    return "".join(
        said_in(piece[kind], member) for kind, member in KINDS if isinstance(piece.get(kind), dict)
    )


def name_of(piece: Json) -> str:
    """The name that a tool call, or a piece of one, says; empty = none."""
    held = [piece[kind].get("name") for kind, _ in KINDS if isinstance(piece.get(kind), dict)]
    return next((_text(name) for name in held if name), "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None
