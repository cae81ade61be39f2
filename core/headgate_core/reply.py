"""A reply is a stream from the first day: events, and the facts read beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from headgate_core.endpoints import CHAT
from headgate_core.types import Json, Usage


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes of the upstream, forwarded untouched: one whole SSE event, or a whole body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """A parsed ``chat.completion.chunk`` (streams) or one whole ``chat.completion`` body."""

    body: Json


@dataclass(frozen=True, slots=True)
class Done:
    """The regular end of a reply. Streams end with ``data: [DONE]`` only if this arrived."""


Event: TypeAlias = Raw | Chunk | Done
Events: TypeAlias = AsyncIterator[Event]


@dataclass(slots=True)
class Facts:
    """What is learned while a reply is drained; complete once ``Done`` has passed."""

    usage: Usage | None = None
    model: str = ""
    response_id: str = ""
    finish_reasons: list[str] = field(default_factory=list)
    content: bool = False
    """True once a content byte (text, reasoning, tool call) has come from the upstream."""
    output_characters: int = 0
    """Characters of content seen, the basis of an estimate when usage never came."""
    spoken: dict[int, Any] = field(default_factory=dict)
    """What each choice has said so far, kept by whoever reads the reply."""
    service_tier: str = ""
    """The tier that the upstream says it served, else what it was asked for; empty = neither."""


@dataclass(slots=True)
class Sending:
    """How far an attempt's request got, kept by its provider for whoever pays for the attempt."""

    begun: bool | None = None
    """False until a connection stands, True from the request's first byte on; None = unknown."""


@dataclass(slots=True)
class Reply:
    """One reply: ``stream`` says whether the caller gets SSE; ``events`` is drained exactly once.

    A non-stream reply yields exactly one ``Raw`` or ``Chunk`` and then ``Done``.
    Iterating may raise any ``HeadgateError``.
    """

    stream: bool
    events: Events
    facts: Facts = field(default_factory=Facts)
    headers: dict[str, str] = field(default_factory=dict)
    """Extra response headers for the caller (known before the first byte)."""
    wire: str = CHAT
    """The endpoint in whose form the events are; another one than chat's comes as ``Raw``."""
    target: str = ""
    """``PROVIDER/MODEL`` that answers; empty where none was called."""


async def close_events(events: Events) -> None:
    """Close what can be closed: generators and whatever else has ``aclose``."""
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()


class Owned:
    """Events with an owner who is told of their end even if nobody ever asked for the first one.

    An async generator that was never started cannot clean up after itself; this can.
    """

    def __init__(self, events: Events, unused: Callable[[], Awaitable[None]]) -> None:
        self._events = events
        self._unused = unused
        self._started = False
        self._closed = False

    def __aiter__(self) -> Owned:
        return self

    async def __anext__(self) -> Event:
        self._started = True
        return await anext(self._events)

    async def aclose(self) -> None:
        """Close the events, or tell the owner that they are not wanted. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if not self._started:
            await self._unused()
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()


@asynccontextmanager
async def closing(events: Events) -> AsyncIterator[Events]:
    """Iterate inside; on any exit the source is closed too, so that a hang-up reaches upstream."""
    try:
        yield events
    finally:
        await close_events(events)
