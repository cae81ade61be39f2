"""How one check reads a growing text, so that its findings never depend on the pieces.

Two ways, by what the check says of itself:

``LocalScan``: the check has ``context``. It promises that whether ``[s, e)`` is a finding depends
only on ``text[s - context : s + window]``. Text is decided as soon as ``window`` characters follow,
or earlier where ``open_from(text)`` says so.

``FrameScan``: any other check. It is asked about frames at fixed offsets of the text, each
complete, so its answer is a function of the text whatever the check does inside.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias

from headgate_core.ports import Check
from headgate_core.types import Span
from headgate_guardrails.bound import FRAME

Find: TypeAlias = Callable[[str], Awaitable[list[Span]]]

LEAST_STRIDE = 64
"""Frames of checks with a very small window: so many characters, to ask less often."""


class Text:
    """A text that grows at its end and is forgotten at its start.

    Positions count in characters from the start of the whole text.
    """

    def __init__(self) -> None:
        self._base = 0
        self._kept = ""

    @property
    def end(self) -> int:
        """The length of the whole text so far."""
        return self._base + len(self._kept)

    def append(self, more: str) -> None:
        """The next piece has come."""
        self._kept += more

    def copy(self) -> Text:
        """Another text that has been the same so far."""
        return copy.copy(self)

    def piece(self, start: int, end: int) -> str:
        """Characters ``[start, end)``; they must not be forgotten yet."""
        return self._kept[start - self._base : end - self._base]

    def forget(self, before: int) -> None:
        """Nothing before this position will be asked for again."""
        if before > self._base:
            self._kept = self._kept[before - self._base :]
            self._base = before


class Scan(Protocol):
    """The state of one check on one text."""

    decided: int
    """Every finding that starts before this position is known and will not change."""

    @property
    def needs(self) -> int:
        """The first character that the next step may look at."""
        ...

    def step(self, text: Text, final: bool) -> AsyncIterator[list[Span]]:
        """New findings, as positions of the whole text, in batches of which none takes long.

        ``final`` = no more text will come.
        """
        ...

    def forked(self, find: Find) -> Scan:
        """The same state, for another text that has been the same so far."""
        ...


class LocalScan:
    """A check whose findings depend on their neighbourhood alone."""

    def __init__(self, check: Check, find: Find) -> None:
        self._check = check
        self._find = find
        self._context: int = getattr(check, "context", 0)
        self._open_from: Callable[[str], int] | None = getattr(check, "open_from", None)
        # Longer than any finding, so that every frame decides something.
        self._frame = max(FRAME, self._context + 2 * check.window)
        self.decided = 0

    @property
    def needs(self) -> int:
        """The left context of the first undecided position."""
        return max(0, self.decided - self._context)

    async def step(self, text: Text, final: bool) -> AsyncIterator[list[Span]]:
        """Scan from the first undecided position on; long texts as if they came in pieces."""
        reach = self._frame
        while (end := self.needs + reach) < text.end:
            before = self.decided
            yield await self._scan(text, end, final=False)
            # A finding that goes on beyond the frame is asked about again in a longer one.
            reach = self._frame if self.decided > before else 2 * reach
        yield await self._scan(text, text.end, final)

    def forked(self, find: Find) -> Scan:
        """The same state, for another text that has been the same so far."""
        other = copy.copy(self)
        other._find = find
        return other

    async def _scan(self, text: Text, end: int, final: bool) -> list[Span]:
        low = self.needs
        seen = text.piece(low, end)
        closed = end if final else self._closed(end, low, seen)
        if closed <= self.decided:
            return []
        found = [_moved(s, low) for s in await self._find(seen) if s.start + low >= self.decided]
        if not final:
            growing = [s.start for s in found if s.end >= end]
            closed = min([closed, *growing])
        self.decided = closed
        return [s for s in found if s.start < closed]

    def _closed(self, end: int, low: int, seen: str) -> int:
        closed = end - self._check.window + 1
        if self._open_from is not None:
            closed = max(closed, low + self._open_from(seen))
        return closed


class FrameScan:
    """Any check: frame ``k`` is ``text[k * stride : (k + 1) * stride + window]``.

    A finding belongs to the frame whose territory ``(k * stride, (k + 1) * stride]`` it starts in;
    frame 0 has the start of the text as well, the last frame all that is left.
    """

    def __init__(self, check: Check, find: Find) -> None:
        self._find = find
        self._window = check.window
        self._stride = max(check.window, LEAST_STRIDE)
        self._frame = 0
        self.decided = 0

    @property
    def needs(self) -> int:
        """The start of the next frame."""
        return self._frame * self._stride

    async def step(self, text: Text, final: bool) -> AsyncIterator[list[Span]]:
        """Ask about every frame that has become complete."""
        while text.end > self._end:
            yield await self._ask(text, self._end, (self._frame + 1) * self._stride)
            self._frame += 1
            self.decided = self.needs
        if final and text.end > self.needs:
            yield await self._ask(text, text.end, text.end)
        if final:
            self.decided = text.end

    def forked(self, find: Find) -> Scan:
        """The same state, for another text that has been the same so far."""
        other = copy.copy(self)
        other._find = find
        return other

    @property
    def _end(self) -> int:
        return (self._frame + 1) * self._stride + self._window

    async def _ask(self, text: Text, end: int, last_start: int) -> list[Span]:
        start = self.needs
        whole = end - start
        spans = await self._find(text.piece(start, end))
        return [_moved(s, start) for s in spans if self._mine(s, whole, last_start - start)]

    def _mine(self, span: Span, whole: int, last_start: int) -> bool:
        """False for what another frame sees better; a verdict on the whole frame always counts."""
        if span.start == 0 and span.end >= whole:
            return True
        return (span.start > 0 or self._frame == 0) and span.start <= last_start


def is_local(check: Check) -> bool:
    """Whether its findings depend on their neighbourhood alone."""
    return getattr(check, "context", None) is not None


def is_joined(check: Check) -> bool:
    """Whether more text around what it finds in a short text never hides that: it may say so."""
    return is_local(check) or bool(getattr(check, "joined", False))


def scan_of(check: Check, find: Find) -> Scan:
    """The way that suits ``check``, in its first state; ``find`` is its guarded ``find``."""
    if is_local(check):
        return LocalScan(check, find)
    return FrameScan(check, find)


def held_back(check: Check) -> int:
    """Most characters that a stream waits for ``check``."""
    if is_local(check):
        return check.window
    return max(check.window, LEAST_STRIDE) + check.window


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by, span.kind, span.score) if by else span
