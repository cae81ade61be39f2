"""What all dialects read from a chat reply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from headgate_core.context import Context
from headgate_core.errors import UpstreamMalformed
from headgate_core.types import Json, Usage
from headgate_gateway.replies.chunks import usage_of
from headgate_gateway.replies.texts import part
from headgate_gateway.replies.tool_numbers import Calls, said_in

Kind: TypeAlias = Literal["thinking", "text", "refusal", "tool"]

_SAID: dict[str, Kind] = {"text": "text", "thinking": "thinking", "refusal": "refusal"}
"""Members of a content part that hold what it says, and what that is."""


class Piece(NamedTuple):
    """A piece of text of choice 0. ``key`` tells apart the tool calls; ``id``, ``name`` are theirs.

    ``id`` and ``name`` are known from a call's first piece on.
    """

    kind: Kind
    key: str
    text: str
    id: str = ""
    name: str = ""


def choices_of(body: Json) -> list[Json]:
    """The reply's choices. Raises ``UpstreamMalformed`` when they are no list of objects."""
    return _objects(body.get("choices"), "choices")


def number_of(choice: Json) -> int:
    """The choice's index, 0 without one. Raises ``UpstreamMalformed``."""
    try:
        return int(choice.get("index") or 0)
    except (TypeError, ValueError) as error:
        raise _malformed("index") from error


class Speaker:
    """Reads what one choice says. Thoughts may come under two names, which were checked apart:

    the first of them counts, and the other is no part of them.
    """

    def __init__(self) -> None:
        self._thinks = ""

    def said(self, holder: Json) -> Iterator[tuple[Kind, str]]:
        """Thoughts, texts and refusal of a message or a delta; content may be a list of parts."""
        for name in ("reasoning_content", "reasoning"):
            if holder.get(name) and self._thinks in ("", name):
                self._thinks = name
                yield from _said("thinking", holder[name])
        yield from _said("text", holder.get("content"))
        yield from _said("refusal", holder.get("refusal"))


def _said(kind: Kind, value: Any) -> Iterator[tuple[Kind, str]]:
    """What ``value`` says: a text, or parts of which each says by its member what it is."""
    if isinstance(value, str):
        if value:
            yield kind, value
    elif isinstance(value, list):
        for one in value:
            yield from _said(kind, one)
    elif isinstance(value, dict):
        for member, own in _SAID.items():
            # A thought may be a list of texts: they are thoughts all the same.
            yield from _said(own if kind == "text" else kind, value.get(member))


def joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Pieces of the same block that follow each other, as one."""
    last: Piece | None = None
    for piece in pieces:
        if last is not None and last.key == piece.key:
            last = piece._replace(text=last.text + piece.text)
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last


@dataclass(slots=True)
class Reading:
    """Reads a reply, whole or chunk by chunk, and keeps what its end needs.

    What is read is of its type afterwards, so that the end of a reply cannot fail of its words.
    """

    model: str = ""
    finish: str = ""
    native: str = ""
    """The provider's own word for why it stopped, where it is another one."""
    matched: Any = None
    """The stop sequence that ended the text, where the upstream says it."""
    annotations: list[Json] = field(default_factory=list)
    signed: list[Json] = field(default_factory=list)
    """Thoughts whose signature has come (in streams without their text), until it is used."""
    _usage: Usage | None = None
    _calls: Calls = field(default_factory=Calls)
    _speaker: Speaker = field(default_factory=Speaker)

    def read(self, body: Json) -> Iterator[Piece]:
        """The pieces of text in ``body``; a call without text yields one empty piece.

        Raises ``UpstreamMalformed``.
        """
        self.model = self.model or str(body.get("model") or "")
        if body.get("usage"):
            told = usage_of(body["usage"])
            self._usage = None if told.estimated else told
        for choice in choices_of(body):
            if number_of(choice) == 0:
                yield from self._choice(choice)

    def usage(self, ctx: Context) -> Usage:
        """The upstream's own numbers; where it gave none, those that the call was booked with."""
        return self._usage or ctx.usage

    @property
    def calls(self) -> bool:
        """Whether the reply calls a tool."""
        return bool(self._calls.known)

    def _choice(self, choice: Json) -> Iterator[Piece]:
        finish = choice.get("finish_reason") or self.finish
        if not isinstance(finish, str):
            raise _malformed("finish_reason")
        self.finish = finish
        if choice.get("finish_reason"):
            self.native = str(choice.get("native_finish_reason") or "")
        self.matched = choice.get("stop_reason") or self.matched
        holder = part(choice)
        self.annotations += _objects(holder.get("annotations"), "annotations")
        blocks = holder.get("thinking_blocks")
        for block in blocks if isinstance(blocks, list) else ():
            if isinstance(block, dict) and isinstance(block.get("signature"), str):
                self.signed += [block] if block["signature"] else []
        for kind, text in self._speaker.said(holder):
            yield Piece(kind, kind, text)
        yield from self._called(holder, whole="message" in choice and "delta" not in choice)

    def _called(self, holder: Json, *, whole: bool) -> Iterator[Piece]:
        pieces = _objects(holder.get("tool_calls"), "tool_calls")
        for piece in pieces:
            if not isinstance(piece.get("function") or {}, dict):
                raise _malformed("tool_calls.function")
        for piece, call, *_ in self._calls.place(pieces, whole=whole):
            text = said_in(piece.get("function") or {})
            yield Piece("tool", f"tool {call.place}", text, call.id, call.name)


def _objects(value: Any, name: str) -> list[Json]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise _malformed(name)
    return value


def _malformed(name: str) -> UpstreamMalformed:
    return UpstreamMalformed(f"The `{name}` of the reply is not that of a chat completion.")
