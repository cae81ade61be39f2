"""The client leaves a response that passes through, in each phase of the call."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from in_process import eventually
from native_wire import Work, World, events_of, native_world
from raw_upstream import CHUNKED, STREAM_HEAD, Exchange


def run(folder: Path, work: Work) -> None:
    async def inside() -> None:
        async with native_world(folder) as world:
            await work(world)

    asyncio.run(inside())


async def silent(world: World, exchange: Exchange) -> None:
    await exchange.gone()


async def begun(world: World, exchange: Exchange) -> None:
    await exchange.write(STREAM_HEAD + CHUNKED)
    for event in events_of([])[:4]:
        await exchange.chunk(event)
    await exchange.gone()


async def worded(world: World, exchange: Exchange) -> None:
    await exchange.write(STREAM_HEAD + CHUNKED)
    for event in events_of(["Once upon"])[:5]:
        await exchange.chunk(event)
    await exchange.gone()


@pytest.mark.parametrize(
    ("phase", "stream"), [(silent, False), (silent, True), (begun, True), (worded, True)]
)
def test_a_hang_up_reaches_the_upstream(tmp_path: Path, phase: Any, stream: bool) -> None:
    async def leave(world: World) -> None:
        left = asyncio.Event()
        gone = asyncio.Event()

        async def script(exchange: Exchange) -> None:
            try:
                await phase(world, exchange)
            finally:  # a write after the close raises
                gone.set()

        def saw(data: bytes) -> None:
            if b"Once upon" in data:
                left.set()

        world.fake.script = script
        body = {"model": "main", "input": "Tell me.", "stream": stream}
        call = asyncio.ensure_future(world.ask("responses", body, hangup=left, saw=saw))
        await eventually(lambda: len(world.fake.requests) == 1, "the upstream was not asked")
        if phase is not worded:
            left.set()
        await asyncio.wait_for(gone.wait(), 10)
        await call
        await eventually(lambda: len(world.place.records) == 1, "the call is not on record")
        record = world.place.records[0]
        assert (record["outcome"], record["status"]) == ("cancelled", 499)
        [attempt] = record["attempts"]
        assert attempt["usage"] is not None and attempt["usage"]["estimated"]
        assert attempt["usage"]["input_tokens"] == 2
        assert bool(attempt["usage"]["output_tokens"]) == (phase is worded)

    run(tmp_path, leave)


def test_a_hang_up_in_the_queue_leaves_it_and_nothing_was_sent(tmp_path: Path) -> None:
    async def leave(world: World) -> None:
        world.fake.script = lambda exchange: worded(world, exchange)
        queue = world.place.endpoints.gateway.parts.caller.pools["queued"].queue  # type: ignore[attr-defined]
        began, over, left = asyncio.Event(), asyncio.Event(), asyncio.Event()
        body = {"model": "queued", "input": "Hi", "stream": True}
        first = world.ask("responses", body, hangup=over, saw=lambda data: began.set())
        holder = asyncio.ensure_future(first)
        await asyncio.wait_for(began.wait(), 10)
        waiting = asyncio.ensure_future(world.ask("responses", body, hangup=left))
        await eventually(lambda: queue.length == 1, "the call does not wait")
        left.set()
        await waiting
        assert queue.length == 0 and len(world.fake.requests) == 1
        assert (world.place.records[0]["outcome"], world.place.records[0]["attempts"]) == (
            "cancelled",
            [],
        )
        over.set()
        await holder

    run(tmp_path, leave)
