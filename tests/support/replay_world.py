"""A gateway whose upstream sends bodies in any pieces, and what its client must get."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from configs import proxy_config
from in_process import Answer, Place, opened
from raw_upstream import Exchange, RawUpstream, raw_upstream
from replay import (
    Body,
    expected_chunks,
    json_events,
    own_bodies,
    recorded_chat_streams,
    splits,
)

OWN = own_bodies()
RECORDED = recorded_chat_streams()
needs_data = pytest.mark.skipif(not RECORDED, reason="HEADGATE_DATA names no recorded bodies")

Work = Callable[[Place, RawUpstream], Awaitable[None]]


def configured(folder: Path, url: str) -> Path:
    """A route that forwards bytes, ``plain``, and one that parses them, ``captured``."""
    config = proxy_config(folder, url)
    with config.open("a") as file:
        file.write("  - {name: captured, pool: main, capture: full}\n")
    return config


def with_gateway(folder: Path, work: Work) -> None:
    async def run() -> None:
        async def unset(exchange: Exchange) -> None:
            raise AssertionError("the test has set no script")

        async with raw_upstream(unset) as fake, opened(configured(folder, fake.url)) as place:
            await work(place, fake)

    asyncio.run(run())


def sends(pieces: list[bytes], *, end: bool = True) -> Callable[[Exchange], Awaitable[None]]:
    async def script(exchange: Exchange) -> None:
        await exchange.stream(pieces, end=end)
        if not end:
            exchange.writer.close()

    return script


async def streamed(place: Place, model: str, *, asked: bool) -> Answer:
    options = {"stream_options": {"include_usage": True}} if asked else {}
    answer = await place.chat(model, stream=True, **options)
    assert answer.status == 200, answer.body
    return answer


def usages(answer: Answer) -> list[object]:
    return [c["usage"] for c in answer.chunks if c.get("usage")]


async def equal_content(place: Place, fake: RawUpstream, body: Body) -> None:
    """The same bytes for every cut, and the ones that the upstream meant."""
    wanted = {asked: expected_chunks(body.data, asked) for asked in (True, False)}
    reported = any(b.get("usage") for b in json_events(body.data))
    first: dict[bool, bytes] = {}
    for n, (name, pieces) in enumerate(splits(body.data)):
        fake.script = sends(pieces)
        asked = bool(n % 2)
        answer = await streamed(place, "plain", asked=asked)
        estimated = asked and not reported  # a last chunk of the gateway's own, with its own time
        assert answer.chunks[: -1 if estimated else None] == wanted[asked], name
        assert answer.done and answer.ends == 1
        assert estimated or answer.body == first.setdefault(asked, answer.body), name
        assert len(usages(answer)) == asked, name
        assert place.records[-1]["outcome"] == "ok"
    fake.script = sends([body.data])
    text = (await streamed(place, "plain", asked=False)).text
    for name, pieces in splits(body.data, seed=1):
        fake.script = sends(pieces)
        answer = await streamed(place, "captured", asked=True)
        assert answer.text == text, name
        assert answer.done and len(usages(answer)) == 1, name
