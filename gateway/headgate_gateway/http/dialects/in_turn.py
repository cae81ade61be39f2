"""Blocks of a streamed reply one after the other, whatever order their pieces come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from headgate_gateway.http.dialects.replies import Kind, Piece

GivesWay: TypeAlias = Callable[[Kind, Kind], bool]
"""Whether the block being sent (first its kind) is over when one of the second kind begins."""


@dataclass(slots=True)
class Block:
    """A block that has come; what of it cannot be sent yet waits here."""

    key: str
    last: Piece
    waiting: list[Piece] = field(default_factory=list)
    begun: bool = False
    """Whether it is being sent."""

    @property
    def named(self) -> bool:
        """Whether all is known that its beginning says: arguments end a tool's name."""
        return self.last.kind != "tool" or bool(self.last.name and self.waiting)


class Step(NamedTuple):
    """What happens next to a block: it begins, says one piece more, or ends."""

    what: Literal["begin", "say", "end"]
    block: Block
    piece: Piece


class InTurn:
    """Clients take a block to be over when the next one begins: so none overtakes another.

    Tool calls may come interleaved, so that the first stays open to the end and the others wait.
    """

    def __init__(self, gives_way: GivesWay) -> None:
        self._gives_way = gives_way
        self._open: dict[str, Block] = {}

    def take(self, key: str, piece: Piece) -> Iterator[Step]:
        """What follows from one piece of the block ``key``; an empty one only begins it."""
        block = self._open.get(key)
        if block is None:
            while self._open and self._gives_way(self._now.last.kind, piece.kind):
                yield from self._end_first()
            block = self._open[key] = Block(key, piece)
        block.last = piece
        if piece.text:
            block.waiting.append(piece)
        if self._now is block and (block.begun or block.named):
            yield from self._send(block)

    def close(self) -> Iterator[Step]:
        """No more pieces come: the rest of all blocks."""
        while self._open:
            yield from self._end_first()

    @property
    def more(self) -> bool:
        """Whether blocks are open, beside one that is just ending."""
        return bool(self._open)

    @property
    def _now(self) -> Block:
        return next(iter(self._open.values()))

    def _end_first(self) -> Iterator[Step]:
        over = self._now
        yield from self._send(over)
        del self._open[over.key]
        yield Step("end", over, over.last)
        if self._open and self._now.named:
            yield from self._send(self._now)

    def _send(self, block: Block) -> Iterator[Step]:
        """What has come of the block being sent, its beginning before it."""
        if not block.begun:
            block.begun = True
            yield Step("begin", block, block.last)
        for piece in block.waiting:
            yield Step("say", block, piece)
        block.waiting = []
