"""A gateway in front of a scripted upstream whose targets fail in every way there is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
from configs import write_config
from in_process import Place, opened
from raw_upstream import Exchange, RawUpstream, raw_upstream
from running import free_port
from upstream import completion, stream_of

CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: a, use: openai_compatible, options: {{base_url: "{url}"}}}}
  - {{name: b, use: openai_compatible, options: {{base_url: "{url}"}}}}
  - {{name: dead, use: openai_compatible, options: {{base_url: "http://127.0.0.1:{dead}/v1"}}}}
pools:
  - name: two
    targets: [{{provider: a, model: first}}, {{provider: b, model: second}}]
    breaker: {{open_s: 0.2}}
    timeouts: {{first_token_s: 2, answer_s: 2}}
  - name: refused
    targets: [{{provider: dead, model: first}}, {{provider: b, model: second}}]
  - name: one
    targets: [{{provider: a, model: first}}]
  - name: narrow
    targets: [{{provider: a, model: first}}]
    timeouts: {{total_s: 1}}
    queue: {{in_flight_per_target: 1, waiting: 1, wait_s: 0.5}}
  - name: three
    strategy: round_robin
    targets:
      - {{provider: dead, model: dead}}
      - {{provider: a, model: hangs}}
      - {{provider: b, model: slow}}
    timeouts: {{first_token_s: 4, answer_s: 4}}
"""
GOOD = orjson.dumps(completion("good"))
Work = Callable[[Place, RawUpstream], Awaitable[None]]


async def good(exchange: Exchange) -> None:
    """Answers, as a stream where one is asked for."""
    if exchange.body.get("stream"):
        await exchange.stream(stream_of(["good"]))
    else:
        await exchange.json(200, GOOD)


def with_gateway(folder: Path, work: Work) -> None:
    """Runs ``work`` with a gateway whose upstream is ``good`` until the test says otherwise."""

    async def run() -> None:
        async with raw_upstream(good) as fake:
            config = write_config(folder, CONFIG.format(url=fake.url, dead=free_port()))
            async with opened(config) as place:
                await work(place, fake)

    asyncio.run(run())


def asked(fake: RawUpstream) -> list[str]:
    """The models that were asked, in order."""
    return [r["model"] for r in fake.requests]


def answers(status: int) -> Callable[[Exchange], Awaitable[None]]:
    """Answers with an error of this status."""

    async def script(exchange: Exchange) -> None:
        error = {"message": "no", "type": "x", "param": None, "code": None}
        await exchange.json(status, orjson.dumps({"error": error}))

    return script


async def hangs(exchange: Exchange) -> None:
    """Never says a word."""
    await exchange.gone()
