"""Which tool call a piece of a stream belongs to, where servers leave that open."""

from __future__ import annotations

from dataclasses import dataclass, field

from headgate_core.types import Json
from headgate_gateway.replies.texts import number, part


@dataclass(slots=True)
class _Call:
    told: object
    """The ``index`` that the server sends for it, None = none."""
    index: int
    """The one that the client gets: the server's own unless another call has it."""
    id: str


@dataclass(slots=True)
class ToolNumbers:
    """Gives every piece of a streamed tool call the index of its call.

    Some servers send no ``index``, or 0 for every call: there a name with a new ``id`` begins a
    new call, and every other piece belongs to the latest one.
    """

    _calls: dict[int, list[_Call]] = field(default_factory=dict)

    def assign(self, body: Json) -> None:
        """Write the indexes into the chunk; those that are right stay as they are."""
        for choice in body.get("choices") or ():
            if "message" in choice:
                continue
            known = self._calls.setdefault(number(choice), [])
            for call in part(choice).get("tool_calls") or ():
                call["index"] = _call(known, call).index


def _call(known: list[_Call], piece: Json) -> _Call:
    told, own = piece.get("index"), piece.get("id") or ""
    named = any((piece.get(kind) or {}).get("name") for kind in ("function", "custom"))
    for call in reversed(known):
        another = own and call.id and own != call.id and named
        if told in (None, call.told) and not another:
            call.id = call.id or own
            return call
    taken = {call.index for call in known}
    free = next(n for n in range(len(known) + 1) if n not in taken)
    index = told if isinstance(told, int) and told not in taken else free
    known.append(_Call(told, index, own))
    return known[-1]
