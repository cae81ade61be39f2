"""What all dialects read from a chat reply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from headgate_core.context import Context
from headgate_core.types import Json, Usage
from headgate_gateway.chunks import usage_of
from headgate_gateway.texts import part

Kind: TypeAlias = Literal["thinking", "text", "refusal", "tool"]


class Piece(NamedTuple):
    """A piece of text of choice 0. ``key`` tells apart the tool calls; ``id``, ``name`` are theirs.

    ``id`` and ``name`` are known from a call's first piece on.
    """

    kind: Kind
    key: str
    text: str
    id: str = ""
    name: str = ""


@dataclass(slots=True)
class Reading:
    """Reads a reply, whole or chunk by chunk, and keeps what its end needs."""

    model: str = ""
    finish: str = ""
    matched: Any = None
    """The stop sequence that ended the text, where the upstream says it."""
    annotations: list[Json] = field(default_factory=list)
    _usage: Json | None = None
    _calls: list[Json] = field(default_factory=list)

    def read(self, body: Json) -> Iterator[Piece]:
        """The pieces of text in ``body``; a call without text yields one empty piece."""
        self.model = self.model or str(body.get("model") or "")
        if body.get("usage"):
            self._usage = body["usage"]
        for choice in body.get("choices") or ():
            if int(choice.get("index") or 0) == 0:
                yield from self._choice(choice)

    def usage(self, ctx: Context) -> Usage:
        """The upstream's own numbers; where it gave none, those that the call was booked with."""
        return usage_of(self._usage) if self._usage else ctx.usage

    @property
    def calls(self) -> bool:
        """Whether the reply calls a tool."""
        return bool(self._calls)

    def _choice(self, choice: Json) -> Iterator[Piece]:
        self.finish = choice.get("finish_reason") or self.finish
        self.matched = choice.get("stop_reason") or self.matched
        holder = part(choice)
        self.annotations += holder.get("annotations") or []
        thought = holder.get("reasoning_content") or holder.get("reasoning")
        if isinstance(thought, str) and thought:
            yield Piece("thinking", "thinking", thought)
        if isinstance(holder.get("content"), str) and holder["content"]:
            yield Piece("text", "text", holder["content"])
        if isinstance(holder.get("refusal"), str) and holder["refusal"]:
            yield Piece("refusal", "refusal", holder["refusal"])
        for call in holder.get("tool_calls") or ():
            yield self._call(call)

    def _call(self, call: Json) -> Piece:
        place = self._place(call)
        function = call.get("function") or {}
        known = self._calls[place]
        known["id"] = known["id"] or str(call.get("id") or "")
        known["name"] = known["name"] or str(function.get("name") or "")
        text = function.get("arguments") or ""
        return Piece("tool", f"tool {place}", str(text), known["id"], known["name"])

    def _place(self, call: Json) -> int:
        """Which call this is. Servers that leave ``index`` out, or always say 0, give a new id."""
        index, own = call.get("index"), call.get("id")
        for place in reversed(range(len(self._calls))):
            known = self._calls[place]
            if index not in (None, known["index"]):
                continue
            if not own or not known["id"] or own == known["id"]:
                return place
        self._calls.append({"index": index, "id": "", "name": ""})
        return len(self._calls) - 1
