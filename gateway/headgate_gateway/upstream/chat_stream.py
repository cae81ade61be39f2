"""One chat stream of an upstream: which events go on to the caller, and when it is complete."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING, Protocol

import orjson

from headgate_core.errors import UpstreamMalformed, UpstreamTruncated
from headgate_core.reply import Chunk, Event, Facts, Raw
from headgate_core.types import Json
from headgate_gateway.replies.chunks import observe, observe_spent
from headgate_gateway.sse import SseEvent, SseSplitter, SseTooLarge, encode, encode_named
from headgate_gateway.upstream.broken import cut_off
from headgate_gateway.upstream.errors import named_error, parsed, reported
from headgate_gateway.upstream.lenient_json import Mended

if TYPE_CHECKING:
    from aiohttp import ClientResponse

_ENVELOPE = ("id", "object", "created", "model", "system_fingerprint")


class Sorter(Protocol):
    """Sorts the events of one stream."""

    ended: bool
    """Nothing is read after the event that set this; ``[DONE]`` always does."""

    def take(self, event: SseEvent) -> Event | None:
        """What goes on to the caller now. Raises ``UpstreamError``."""
        ...

    def end(self) -> Event | None:
        """The stream ended: what is still to be said. Raises ``UpstreamTruncated``."""
        ...


class ChatStream:
    """Sorts the events of one stream. Chunks go on as they came, with these exceptions:

    comments are dropped (they are the upstream's keep-alive, not the caller's), and usage, which
    servers put into any chunk and as often as they like, is taken out and, when ``asked``, said
    once at the end: the last one.
    """

    def __init__(self, facts: Facts, *, parse: bool, asked: bool, choices: int = 1) -> None:
        """``choices`` is how many were asked for: fewer are complete only with a ``[DONE]``.

        With one, a choice needs no finish_reason either: some servers tell none.
        """
        self._facts = facts
        self._choices = choices
        self.ended = False
        self._parse = parse
        self._asked = asked
        self._finished: dict[int, bool] = {}
        """The choices seen so far and whether each has stated its finish_reason."""
        self._usage: Event | None = None

    def take(self, event: SseEvent) -> Event | None:
        """What goes on to the caller now. Raises ``UpstreamError``."""
        if event.name == b"error":
            raise named_error(event.data)
        if not event.data:
            return None
        body = parsed(event.data, again=self._parse or b'"usage"' in event.data)
        self._read(body)
        if not body.get("usage"):
            return Chunk(body) if self._parse else passed(event, body)
        if not body.get("choices"):
            self._usage = Chunk(body) if self._parse else passed(event, body)
            return None
        return self._without_usage(body)

    def end(self) -> Event | None:
        """The upstream's body ended: the usage, when asked for. Raises ``UpstreamTruncated``."""
        if not self._finished or not (self._closed or all(self._finished.values())):
            raise UpstreamTruncated("The stream ended without a finish_reason.")
        if not self.ended and len(self._finished) < self._choices:
            raise UpstreamTruncated(
                f"The stream ended after {len(self._finished)} of {self._choices} choices."
            )
        return self._usage if self._asked else None

    @property
    def _closed(self) -> bool:
        """Whether a ``[DONE]`` says enough: some servers send it after a failure as well."""
        spoken = self._facts.spoken
        cut = [index for index, done in self._finished.items() if not done]
        calls = [call for index in cut for call in spoken[index].calls.known]
        return self.ended and self._facts.content and all(call.readable for call in calls)

    def _read(self, body: Json) -> None:
        try:
            failure = reported(body)
            if failure is None:
                observe(self._facts, body)
                for choice in body.get("choices") or ():
                    index = int(choice.get("index") or 0)
                    done = self._finished.get(index, False)
                    self._finished[index] = done or bool(choice.get("finish_reason"))
        except (AttributeError, TypeError, ValueError) as error:
            raise UpstreamMalformed("A chunk is not shaped like a chat completion.") from error
        if failure is not None:
            observe_spent(self._facts, body)
            raise failure

    def _without_usage(self, body: Json) -> Event:
        own = {k: body[k] for k in _ENVELOPE if k in body}
        self._usage = self._made({**own, "choices": [], "usage": body["usage"]})
        rest = {k: v for k, v in body.items() if k != "usage"}
        return self._made({**rest, "usage": None} if self._asked else rest)

    def _made(self, body: Json) -> Event:
        return Chunk(body) if self._parse else Raw(encode(orjson.dumps(body)))


def passed(event: SseEvent, body: Json) -> Raw:
    """The event as it came, unless clients cannot read its ``body`` so."""
    if not isinstance(body, Mended):
        return Raw(event.raw)
    name = event.name.decode(errors="replace")
    return Raw(encode_named(name, body.data) if name else encode(body.data))


async def events(response: ClientResponse, stream: Sorter) -> AsyncGenerator[Event, None]:
    """The stream's events up to its ``[DONE]`` or the body's end. Raises ``UpstreamError``."""
    import aiohttp

    splitter = SseSplitter()
    try:
        async for data in response.content.iter_any():
            for shown in _shown(splitter.feed(data), stream):
                yield shown
            if stream.ended:
                return
    except SseTooLarge as error:
        raise UpstreamMalformed(f"The stream holds {error}.") from error
    except (aiohttp.ClientError, OSError) as error:
        raise cut_off("The stream", error) from error
    last = _last(splitter.rest(), stream)
    if last is not None:
        yield last


def _shown(found: list[SseEvent], stream: Sorter) -> Iterator[Event]:
    for event in found:
        if event.data.startswith(b"[DONE]"):
            stream.ended = True
        else:
            shown = stream.take(event)
            if shown is not None:
                yield shown
        if stream.ended:
            return


def _last(event: SseEvent | None, stream: Sorter) -> Event | None:
    """What came after the last blank line: whole, or cut short by the body's end."""
    if event is not None and event.data.startswith(b"[DONE]"):
        stream.ended = True
        return None
    if event is None or event.raw.startswith(b":"):
        return None
    try:
        if event.data:
            return stream.take(event)
    except UpstreamMalformed:
        pass
    raise UpstreamTruncated("The stream ended in the middle of an event.")
