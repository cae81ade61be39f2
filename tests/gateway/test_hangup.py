"""The client leaves, in each phase of a call: a real server, real sockets, a scripted upstream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from configs import write_config
from in_process import Place, eventually, listening, opened
from raw_upstream import CHUNKED, STREAM_HEAD, Exchange, RawUpstream, raw_upstream
from upstream import chunk, completion, sse

from headgate_gateway.routing.pools import Pool

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
routes:
  - {{name: plain, pool: main}}
  - {{name: captured, pool: main, capture: full}}
"""


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

    async def call(self, model: str, *, stream: bool) -> Client:
        """Send a call; nothing is read yet."""
        messages = [{"role": "user", "content": "Tell me a long story."}]
        body = orjson.dumps({"model": model, "stream": stream, "messages": messages})
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        await writer.drain()
        return Client(reader, writer)

    def idle(self) -> bool:
        """Whether every counter is back where it was and every place is free."""
        pools = [self.pool("main"), self.pool("again")]
        queue = self.pool().queue
        assert queue is not None
        load = sum(state.in_flight for pool in pools for state in pool.states)
        return load == 0 and queue.length == 0 and queue._free == 2


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


@pytest.mark.parametrize("model", ["plain", "captured"])
@pytest.mark.parametrize(
    ("phase", "stream", "content"),
    [
        (silent, True, False),
        (only_headers, True, False),
        (first_words, True, True),
        (silent, False, False),
        (half_a_body, False, False),
    ],
)
def test_a_hang_up_reaches_the_upstream(
    tmp_path: Path, phase: Phase, stream: bool, content: bool, model: str
) -> None:
    async def leave(w: World) -> None:
        scripted(w, phase)
        client = await w.call(model, stream=stream)
        if content:
            await client.got(b"Once upon")
        else:
            await eventually(lambda: len(w.fake.requests) == 1, "the upstream was not asked")
        client.hang_up()
        await eventually(lambda: w.left == ["one"], "the upstream did not see the close")
        record = await recorded(w)
        assert (record["outcome"], record["status"]) == ("cancelled", 499)
        [attempt] = record["attempts"]
        assert attempt["outcome"] == "cancelled"
        assert attempt["usage"]["estimated"] and attempt["usage"]["input_tokens"] > 0
        assert bool(attempt["usage"]["output_tokens"]) == content
        assert w.fake.open == 0

    run(tmp_path, leave)


def test_a_hang_up_in_the_queue_leaves_it_and_nothing_was_sent(tmp_path: Path) -> None:
    async def leave(w: World) -> None:
        scripted(w, first_words)
        holders = [await w.call("plain", stream=True) for _ in range(2)]
        for holder in holders:
            await holder.got(b"Once upon")
        queue = w.pool().queue
        assert queue is not None
        waiting = await w.call("plain", stream=True)
        await eventually(lambda: queue.length == 1, "the call does not wait")
        waiting.hang_up()
        await eventually(lambda: queue.length == 0, "the call still waits")
        await eventually(lambda: len(w.place.records) == 1, "the call is not on record")
        assert w.place.records[0]["outcome"] == "cancelled"
        assert w.place.records[0]["attempts"] == []
        for holder in holders:
            holder.hang_up()
        await recorded(w, 3)
        assert len(w.fake.requests) == 2

    run(tmp_path, leave)


def test_a_hang_up_in_the_pause_before_a_retry_ends_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate_gateway.routing.rests.random.uniform", lambda *_: 5.0)

    async def leave(w: World) -> None:
        w.fake.script = lambda exchange: exchange.json(500, b"{}")
        client = await w.call("again", stream=True)
        state = w.pool("again").states[0]
        await eventually(
            lambda: len(w.fake.requests) == 1 and state.in_flight == 0, "no first attempt"
        )
        client.hang_up()
        record = await recorded(w)
        assert record["outcome"] == "cancelled"
        assert [a["outcome"] for a in record["attempts"]] == ["error"]
        assert len(w.fake.requests) == 1

    run(tmp_path, leave)


def test_a_hang_up_during_a_hedge_closes_both_attempts(tmp_path: Path) -> None:
    async def leave(w: World) -> None:
        for state in w.pool().states:
            for _ in range(20):
                state.answered(0.001)
        scripted(w, silent)
        client = await w.call("plain", stream=True)
        await eventually(lambda: len(w.fake.requests) == 2, "there was no hedge")
        client.hang_up()
        await eventually(lambda: sorted(w.left) == ["one", "two"], "an attempt goes on")
        record = await recorded(w)
        assert record["outcome"] == "cancelled"
        assert [(a["why"], a["outcome"]) for a in record["attempts"]] == [
            ("first", "cancelled"),
            ("hedge", "cancelled"),
        ]

    run(tmp_path, leave)


def test_the_winner_of_a_hedge_answers_and_the_loser_is_closed(tmp_path: Path) -> None:
    async def win(w: World) -> None:
        for state in w.pool().states:
            for _ in range(20):
                state.answered(0.001)

        async def one_is_slow(exchange: Exchange) -> None:
            if exchange.body["model"] == "one":
                await w.hold(exchange)
            else:
                await exchange.json(200, orjson.dumps(completion("quick")))

        w.fake.script = one_is_slow
        client = await w.call("plain", stream=False)
        await client.got(b"quick")
        await eventually(lambda: w.left == ["one"], "the loser goes on")
        record = await recorded(w)
        assert [(a["why"], a["outcome"]) for a in record["attempts"]] == [
            ("first", "cancelled"),
            ("hedge", "ok"),
        ]
        client.hang_up()

    run(tmp_path, win)
