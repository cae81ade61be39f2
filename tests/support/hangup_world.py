"""A listening gateway before an upstream that answers only half, for clients that leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from configs import write_config
from in_process import Place, eventually, listening, opened
from raw_upstream import CHUNKED, STREAM_HEAD, Exchange, RawUpstream, raw_upstream
from upstream import chunk, completion, sse

from headgate_gateway.routing.pools import Pool

Json = dict[str, Any]

CONFIG = """\
auth: {{keys: open}}
providers: [{{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}]
pools:
  - name: main
    targets: [{{provider: up, model: one}}, {{provider: up, model: two}}]
    retries: {{attempts: 1}}
    queue: {{in_flight_per_target: 1, waiting: 5, wait_s: 30}}
    hedge: {{max_share: 1.0}}
  - name: again
    targets: [{{provider: up, model: one}}]
    retries: {{attempts: 2}}
  - {{name: wide, targets: [{{provider: up, model: one}}], retries: {{attempts: 1}}}}
  - name: line
    targets: [{{provider: up, model: one}}]
    retries: {{attempts: 1}}
    queue: {{in_flight_per_target: 1, waiting: 200, wait_s: 30}}
routes:
  - {{name: plain, pool: main}}
  - {{name: captured, pool: main, capture: full}}
"""
QUESTION = "Tell me a long story."
ASKED: dict[str, Json] = {
    "chat/completions": {"messages": [{"role": "user", "content": QUESTION}]},
    "messages": {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 100},
    "responses": {"input": QUESTION, "store": False},
}
"""How the question is asked at each endpoint."""


@dataclass
class World:
    """A listening gateway before an upstream that answers only half."""

    place: Place
    fake: RawUpstream
    port: int
    left: list[str] = field(default_factory=list)
    """Models of the requests whose connection the gateway has closed."""

    def pool(self, name: str = "main") -> Pool:
        return self.place.endpoints.gateway._router.pools[name]

    async def hold(self, exchange: Exchange) -> None:
        """Wait until the gateway leaves."""
        await exchange.gone()
        self.left.append(exchange.body["model"])

    async def call(self, model: str, *, stream: bool, at: str = "chat/completions") -> Client:
        """Send a call; nothing is read yet."""
        body = orjson.dumps({"model": model, "stream": stream, **ASKED[at]})
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(
            b"POST /v1/%s HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (at.encode(), len(body), body)
        )
        await writer.drain()
        return Client(reader, writer)

    def idle(self) -> bool:
        """Whether every counter is back where it was and every place is free."""
        pools = self.place.endpoints.gateway._router.pools.values()
        load = sum(state.in_flight for pool in pools for state in pool.states)
        return load == 0 and all((p.queue.length, p.queue.taken) == (0, 0) for p in pools)


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def got(self, word: bytes) -> None:
        await asyncio.wait_for(self.reader.readuntil(word), 10)

    def hang_up(self) -> None:
        self.writer.close()


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    async def unset(exchange: Exchange) -> None:
        raise AssertionError("the test has set no script")

    async with raw_upstream(unset) as fake:
        config = write_config(folder, CONFIG.format(url=fake.url))
        async with opened(config) as place, listening(place) as port:
            yield World(place, fake, port)


async def silent(w: World, exchange: Exchange) -> None:
    await w.hold(exchange)


async def only_headers(w: World, exchange: Exchange) -> None:
    await exchange.write(STREAM_HEAD + CHUNKED)
    await exchange.chunk(sse(chunk({"role": "assistant", "content": ""})))
    await w.hold(exchange)


async def first_words(w: World, exchange: Exchange) -> None:
    await exchange.write(STREAM_HEAD + CHUNKED)
    await exchange.chunk(sse(chunk({"role": "assistant", "content": "Once upon"})))
    await w.hold(exchange)


async def half_a_body(w: World, exchange: Exchange) -> None:
    body = orjson.dumps(completion("Once upon a time"))
    await exchange.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (len(body), body[:50])
    )
    await w.hold(exchange)


Phase = Callable[[World, Exchange], Awaitable[None]]


def run(folder: Path, work: Callable[[World], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with world(folder) as w:
            await work(w)

    asyncio.run(inside())


def scripted(w: World, phase: Phase) -> None:
    w.fake.script = lambda exchange: phase(w, exchange)


async def recorded(w: World, calls: int = 1) -> dict[str, Any]:
    await eventually(lambda: len(w.place.records) >= calls, "the call is not on record")
    await eventually(w.idle, "a place or a counter was not released")
    return dict(w.place.records[-1])
