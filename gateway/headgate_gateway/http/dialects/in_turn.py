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
    """A block that has begun; what comes of it while another one is being sent waits here."""

    key: str
    first: Piece
    waiting: list[Piece] = field(default_factory=list)


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
            while self._open and self._gives_way(self._now.first.kind, piece.kind):
                yield from self._end_first()
            block = self._open[key] = Block(key, piece)
            if len(self._open) == 1:
                yield Step("begin", block, piece)
        if not piece.text:
            return
        if self._now is block:
            yield Step("say", block, piece)
        else:
            block.waiting.append(piece)

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
        del self._open[over.key]
        yield Step("end", over, over.first)
        if self._open:
            block = self._now
            yield Step("begin", block, block.first)
            for piece in block.waiting:
                yield Step("say", block, piece)
            block.waiting = []
