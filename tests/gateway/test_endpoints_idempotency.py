"""Idempotency keys at the endpoints beside chat: one answer, one charge."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from configs import write_config
from in_process import Answer, Place, opened
from raw_upstream import Exchange, RawUpstream, raw_upstream

Json = dict[str, Any]
CONFIG = """\
auth: {{keys: open}}
providers: [{{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}]
pools:
  - name: vectors
    serves: embeddings
    targets: [{{provider: up, model: m}}]
    retries: {{attempts: 1}}
  - {{name: ranker, serves: rerank, targets: [{{provider: up, model: m}}]}}
  - {{name: judge, serves: moderation, targets: [{{provider: up, model: m}}]}}
"""
CASES: list[tuple[str, Json]] = [
    ("embeddings", {"model": "vectors", "input": "hi"}),
    ("rerank", {"model": "ranker", "query": "q", "documents": ["d"]}),
    ("moderations", {"model": "judge", "input": "hi"}),
]
ANSWER: Json = {"data": [], "results": [], "usage": {"prompt_tokens": 4}}


def run(folder: Path, work: Any) -> None:
    async def inside() -> None:
        async def script(exchange: Exchange) -> None:
            await exchange.json(200, orjson.dumps({**ANSWER, "n": len(fake.requests)}))

        async with raw_upstream(script) as fake:
            config = write_config(folder, CONFIG.format(url=fake.url))
            async with opened(config) as place:
                await work(place, fake)

    asyncio.run(inside())


async def ask(place: Place, endpoint: str, body: Json, key: str) -> Answer:
    return await place.ask(body, path=f"/v1/{endpoint}", headers={"idempotency-key": key})


@pytest.mark.parametrize(("endpoint", "body"), CASES)
def test_the_same_key_gets_the_same_answer_without_a_charge(
    tmp_path: Path, endpoint: str, body: Json
) -> None:
    async def twice(place: Place, fake: RawUpstream) -> None:
        first = await ask(place, endpoint, body, "k")
        again = await ask(place, endpoint, body, "k")
        assert again.body == first.body and first.json["n"] == 1
        assert again.headers["idempotency-replayed"] == "true"
        assert len(fake.requests) == 1
        assert place.records[1]["replayed"] == place.records[0]["call_id"]
        assert place.records[1]["attempts"] == []
        assert (await ask(place, endpoint, body, "other")).json["n"] == 2

    run(tmp_path, twice)


@pytest.mark.parametrize(("endpoint", "body"), CASES)
def test_the_same_key_for_another_body_is_a_conflict(
    tmp_path: Path, endpoint: str, body: Json
) -> None:
    async def twice(place: Place, fake: RawUpstream) -> None:
        await ask(place, endpoint, body, "k")
        answer = await ask(place, endpoint, {**body, "user": "u"}, "k")
        assert (answer.status, answer.json["error"]["code"]) == (409, "idempotency_conflict")
        assert answer.headers["x-should-retry"] == "false"
        assert len(fake.requests) == 1

    run(tmp_path, twice)


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    async def twice(place: Place, fake: RawUpstream) -> None:
        well = fake.script
        fake.script = lambda exchange: exchange.json(500, b"{}")
        endpoint, body = CASES[0]
        assert (await ask(place, endpoint, body, "k")).status == 502
        fake.script = well
        assert (await ask(place, endpoint, body, "k")).status == 200

    run(tmp_path, twice)
