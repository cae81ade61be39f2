"""What is booked for replies of a service tier, with speech, and by the search unit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from configs import write_config
from hosted_bodies import DIALECTS
from hosted_checks import SDK_WARNINGS
from in_process import Place, opened
from ledger_records import attempt, usage
from raw_upstream import Exchange, raw_upstream
from sqlalchemy import create_engine, insert, select
from upstream import chunk, sse

from headgate_core.ports import ModelRequest, Target
from headgate_core.records import JournalLine
from headgate_core.reply import Facts
from headgate_core.settings.pools import PriceSettings
from headgate_core.store.rows import attempt_row
from headgate_core.store.tables import attempts, metadata
from headgate_core.types import Principal, Purpose, Usage
from headgate_gateway.ledger.prices import Prices
from headgate_gateway.replies.chunks import usage_of
from headgate_gateway.replies.salvage import salvage
from headgate_gateway.routing.attempts import Asked, Attempts

Json = dict[str, Any]

pytestmark = SDK_WARNINGS
MICRO = 10**6
OPENAI = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}

Work = Callable[[Place, dict[str, bytes]], Awaitable[None]]
CONFIG = """
auth: {{keys: open}}
providers:
  - {{name: openai, use: openai_compatible, options: {{base_url: "{url}", native: [responses]}}}}
  - {{name: cohere, use: litellm, options: {{api_key: "env:TEST_KEY", api_base: "{base}/rerank"}}}}
pools:
  - {{name: gpt, targets: [{{provider: openai, model: gpt-5.4}}]}}
  - {{name: strict, unpriced: refuse, targets: [{{provider: openai, model: gpt-5.4}}]}}
  - {{name: audio, targets: [{{provider: openai, model: gpt-audio}}]}}
  - name: ranks
    serves: rerank
    unpriced: refuse
    targets: [{{provider: cohere, model: cohere/rerank-v3.5}}]
"""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", "test-key")


def with_openai(folder: Path, work: Work) -> None:
    """A gateway whose upstream answers with what stands under ``reply``."""

    async def run() -> None:
        said: dict[str, bytes] = {}

        async def script(exchange: Exchange) -> None:
            if exchange.body.get("stream"):
                await exchange.stream([said["reply"]])
            else:
                await exchange.json(200, said["reply"])

        async with raw_upstream(script) as fake:
            base = fake.url.removesuffix("/v1")
            async with opened(write_config(folder, CONFIG.format(url=fake.url, base=base))) as at:
                await work(at, said)

    asyncio.run(run())


def completion(told: Json, **members: Any) -> bytes:
    return json.dumps(DIALECTS[0].whole(told) | members).encode()


def stream(told: Json, **members: Any) -> bytes:
    parts = [chunk({"content": "Hi"}), chunk({}, "stop")]
    parts.append({**parts[0], "choices": [], "usage": told})
    return b"".join(sse(part | members) for part in parts) + b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("asked", "served", "micro"),
    [
        # 100 x 2.5 + 10 x 15 = 400; priority twice, flex half as much
        (None, None, 400),
        (None, "default", 400),
        (None, "priority", 800),
        ("priority", "priority", 800),
        ("priority", "default", 400),
        ("priority", None, 800),
        ("flex", "auto", 200),
        ("auto", "auto", 400),
        (None, "scale", None),
    ],
)
def test_the_tier_that_was_served_decides_else_the_one_that_was_asked_for(
    tmp_path: Path, asked: str | None, served: str | None, micro: int | None
) -> None:
    async def both(place: Place, said: dict[str, bytes]) -> None:
        told = {} if served is None else {"service_tier": served}
        wants = {} if asked is None else {"service_tier": asked}
        said["reply"] = completion(OPENAI, **told)
        await place.chat("gpt", **wants)
        said["reply"] = stream(OPENAI, **told)
        assert (await place.chat("gpt", stream=True, **wants)).done
        costs = [record["attempts"][-1]["cost_pico"] for record in place.records]
        assert costs == [None if micro is None else micro * MICRO] * 2

    with_openai(tmp_path, both)


def test_a_responses_call_costs_what_its_tier_does(tmp_path: Path) -> None:
    async def asks(place: Place, said: dict[str, bytes]) -> None:
        spent = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110}
        body = {"id": "r", "object": "response", "status": "completed", "output": []}
        said["reply"] = json.dumps(body | {"usage": spent, "service_tier": "flex"}).encode()
        await place.ask({"model": "gpt", "input": "Hi"}, path="/v1/responses")
        assert place.records[-1]["attempts"][-1]["cost_pico"] == 200 * MICRO

    with_openai(tmp_path, asks)


def test_a_pool_that_refuses_unpriced_calls_refuses_a_tier_without_a_price(tmp_path: Path) -> None:
    async def asks(place: Place, said: dict[str, bytes]) -> None:
        said["reply"] = completion(OPENAI, service_tier="priority")
        answer = await place.chat("strict", service_tier="scale")
        assert answer.status == 400 and answer.error is not None
        assert answer.error["param"] == "service_tier" and "'scale'" in answer.error["message"]
        assert (await place.chat("strict", service_tier="priority")).status == 200
        assert (await place.chat("strict")).status == 200
        costs = [[a["cost_pico"] for a in record["attempts"]] for record in place.records]
        assert costs == [[], [800 * MICRO], [800 * MICRO]]

    with_openai(tmp_path, asks)


def test_spoken_tokens_are_charged_as_such(tmp_path: Path) -> None:
    details = {
        "prompt_tokens_details": {"audio_tokens": 90},
        "completion_tokens_details": {"audio_tokens": 8},
    }

    async def both(place: Place, said: dict[str, bytes]) -> None:
        said["reply"] = completion(OPENAI | details)
        await place.chat("audio")
        said["reply"] = stream(OPENAI | details)
        await place.chat("audio", stream=True)
        # 10 x 2.5 + 90 x 32 + 2 x 10 + 8 x 64 = 3437
        costs = [record["attempts"][-1]["cost_pico"] for record in place.records]
        assert costs == [3437 * MICRO] * 2

    with_openai(tmp_path, both)


@pytest.mark.parametrize(
    ("documents", "meta", "units"),
    [
        (2, {"billed_units": {"search_units": 1}}, 1),
        (150, {"billed_units": {"search_units": 2}}, 2),
        (150, {}, 2),  # not told: counted from the documents
    ],
)
def test_a_reranker_is_paid_by_the_search_unit(
    tmp_path: Path, documents: int, meta: Json, units: int
) -> None:
    async def asks(place: Place, said: dict[str, bytes]) -> None:
        ranked = [{"index": 0, "relevance_score": 0.9}]
        said["reply"] = json.dumps({"id": "r", "results": ranked, "meta": meta}).encode()
        body = {"model": "ranks", "query": "q", "documents": ["words"] * documents}
        assert (await place.ask(body, path="/v1/rerank")).status == 200
        row = place.records[-1]["attempts"][-1]
        assert row["cost_pico"] == units * 2000 * MICRO, row
        assert row["usage"] is not None and row["usage"]["search_units"] == units

    with_openai(tmp_path, asks)


def test_rows_are_written_of_records_with_and_without_the_rarer_kinds() -> None:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    old = attempt("", usage=usage(100, 20))
    rare: Any = {"cache_written_tokens": 50, "audio_input_tokens": 3, "search_units": 1}
    new = attempt("", usage=usage(100, 20, **rare), service_tier="flex")
    with engine.begin() as connection:
        connection.execute(insert(attempts), [attempt_row(old)])
        connection.execute(insert(attempts), [attempt_row(new)])
        assert [row.input_tokens for row in connection.execute(select(attempts))] == [100, 100]
    assert old["usage"] is not None and new["usage"] is not None
    assert Usage(**old["usage"]) + Usage(**new["usage"]) == Usage(200, 40, **rare)


def test_a_reply_that_is_thrown_away_has_its_caches_counted_beside_its_input() -> None:
    told = {
        "input_tokens": 21,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 700,
        "cache_creation": {"ephemeral_1h_input_tokens": 500},
        "output_tokens": 9,
    }
    facts = Facts()
    salvage(facts, json.dumps({"content": [], "usage": told}).encode() + b"...")
    rare: Any = {"cache_written_tokens": 700, "cache_written_1h_tokens": 500}
    assert facts.usage == Usage(726, 9, 5, **rare)
    # a server of OpenAI's wire that counts as Anthropic does
    beside = {"prompt_tokens": 21, "completion_tokens": 9, "cache_creation_input_tokens": 700}
    assert usage_of(beside) == Usage(721, 9, cache_written_tokens=700)


def test_recordings_and_tiers_are_reserved_for_before_anything_is_sent() -> None:
    lines: list[JournalLine] = []
    prices = Prices(PriceSettings(), [("p", "gpt-audio"), ("p", "gpt-5.4")], uses={})
    booked = Attempts(lines.append, prices)
    asked = Asked("pool", Purpose.SERVE, Principal(key_id="k"), None, "hash")

    def reserved(model: str, content: Any, **members: Any) -> int:
        messages = [{"role": "user", "content": content}]
        body = {"messages": messages, "max_tokens": 10, **members}
        booked.begin(asked, Target("p", model), "first", ModelRequest(body=body, stream=False))
        line = lines.pop()
        assert line["t"] == "begin"
        return line["attempt"]["reserved_pico"] or 0

    sound = {"type": "input_audio", "input_audio": {"data": "x" * 5000, "format": "mp3"}}
    # 50 tokens of audio at 32 USD/Mtok, 10 spoken ones at 64
    assert reserved("gpt-audio", [sound]) == (50 * 32 + 10 * 64) * MICRO
    # 100 x 2.5 + 10 x 15, and twice as much in the tier that a project may have set
    assert reserved("gpt-5.4", "x" * 400, service_tier="default") == 400 * MICRO
    assert reserved("gpt-5.4", "x" * 400, service_tier="priority") == 800 * MICRO
    assert reserved("gpt-5.4", "x" * 400) == 800 * MICRO
