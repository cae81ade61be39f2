"""What hosted replies cost that tell of caches, speech and service tiers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hosted_bodies import DIALECTS, frame
from hosted_checks import SDK_WARNINGS
from hosted_world import streams, whole, with_hosted
from in_process import Place
from raw_upstream import RawUpstream
from replay import Body, recorded

Json = dict[str, Any]

pytestmark = SDK_WARNINGS
MICRO = 10**6
OF_NAME = {one.name: one for one in DIALECTS}
CLAUDE = {
    "input_tokens": 21,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 700,
    "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 500},
    "output_tokens": 9,
}
BEDROCK = {
    "inputTokens": 21,
    "outputTokens": 9,
    "totalTokens": 735,
    "cacheReadInputTokens": 5,
    "cacheWriteInputTokens": 700,
    "cacheDetails": [{"inputTokens": 500, "ttl": "1h"}, {"inputTokens": 200, "ttl": "5m"}],
}
GEMINI = {
    "promptTokenCount": 100,
    "candidatesTokenCount": 10,
    "totalTokenCount": 110,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 20},
        {"modality": "AUDIO", "tokenCount": 80},
    ],
}
GEMINI_TEXT = {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110}

TOLD = [
    # haiku 4.5: 21 x 1 + 5 x 0.1 + 200 x 1.25 + 500 x 2 + 9 x 5 = 1316.5
    ("anthropic", CLAUDE, 1_316_500_000),
    ("anthropic", CLAUDE | {"service_tier": "standard"}, 1_316_500_000),
    ("anthropic", CLAUDE | {"service_tier": "priority"}, None),
    ("anthropic", CLAUDE | {"speed": "fast"}, None),
    # in the us: 1.1 times as much
    ("bedrock", BEDROCK, 1_448_150_000),
    # 20 x 0.3 + 80 x 1 + 10 x 2.5 = 111
    ("gemini", GEMINI, 111 * MICRO),
    # 100 x 0.54 + 10 x 4.5 and 100 x 0.15 + 10 x 1.25
    ("gemini", GEMINI_TEXT | {"trafficType": "ON_DEMAND_PRIORITY"}, 99 * MICRO),
    ("gemini", GEMINI_TEXT | {"serviceTier": "flex"}, 27_500_000),
    ("gemini", GEMINI_TEXT | {"trafficType": "PROVISIONED_THROUGHPUT"}, None),
]


@pytest.mark.parametrize(("name", "told", "pico"), TOLD)
def test_hosted_replies_cost_the_same_streamed_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: Json, pico: int | None
) -> None:
    one = OF_NAME[name]

    async def both(place: Place, fake: RawUpstream) -> None:
        fake.script = streams(one, [one.stream(told)])
        assert (await place.chat(name, stream=True)).done
        fake.script = whole(json.dumps(one.whole(told)).encode())
        assert (await place.chat(name)).status == 200
        for record in place.records:
            row = record["attempts"][-1]
            assert row["cost_pico"] == pico, row
            assert record["unpriced"] is (pico is None)
            assert not record["usage"]["estimated"]

    with_hosted(tmp_path, monkeypatch, both)


def test_bedrocks_tier_is_read_from_streams_as_from_whole_replies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, tier = OF_NAME["bedrock"], {"serviceTier": {"type": "priority"}}
    spent = {"inputTokens": 21, "outputTokens": 9, "totalTokens": 30}
    last = frame("metadata", {"usage": spent, "metrics": {"latencyMs": 1}})
    told = frame("metadata", {"usage": spent, "metrics": {"latencyMs": 1}, **tier})

    async def both(place: Place, fake: RawUpstream) -> None:
        fake.script = streams(one, [one.stream(spent).replace(last, told)])
        assert (await place.chat("bedrock", stream=True)).done
        fake.script = whole(json.dumps(one.whole(spent) | tier).encode())
        await place.chat("bedrock")
        rows = [record["attempts"][-1] for record in place.records]
        assert [row.get("service_tier") for row in rows] == ["priority", "priority"]
        assert [row["cost_pico"] for row in rows] == [None, None]

    with_hosted(tmp_path, monkeypatch, both)


def test_anthropics_clients_are_told_how_long_their_caches_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = OF_NAME["anthropic"]
    body = {"model": "anthropic", "max_tokens": 99, "messages": [{"role": "user", "content": "Hi"}]}

    async def both(place: Place, fake: RawUpstream) -> None:
        fake.script = whole(json.dumps(one.whole(CLAUDE)).encode())
        answer = await place.ask(body, path="/v1/messages")
        assert answer.json["usage"] == CLAUDE
        fake.script = streams(one, [one.stream(CLAUDE)])
        answer = await place.ask(body | {"stream": True}, path="/v1/messages")
        told = [c["usage"] for c in answer.chunks if c["type"] == "message_delta"]
        assert told == [CLAUDE]
        assert [record["cost_pico"] for record in place.records] == [1_316_500_000] * 2

    with_hosted(tmp_path, monkeypatch, both)


def _claude_bill(told: Json) -> Any:
    kept = told.get("cache_creation") or {}
    hour = kept.get("ephemeral_1h_input_tokens", 0)
    written = told.get("cache_creation_input_tokens") or 0
    read = told["input_tokens"] + (told.get("cache_read_input_tokens") or 0) * 0.1
    return read + (written - hour) * 1.25 + hour * 2 + told["output_tokens"] * 5


def _bedrock_bill(told: Json) -> Any:
    read = told["inputTokens"] + told["cacheReadInputTokens"] * 0.1
    return (read + told["cacheWriteInputTokens"] * 1.25 + told["outputTokens"] * 5) * 1.1


def _gemini_bill(told: Json) -> Any:
    heard = sum(p["tokenCount"] for p in told["promptTokensDetails"] if p["modality"] == "AUDIO")
    return (told["promptTokenCount"] - heard) * 0.3 + heard + told["candidatesTokenCount"] * 2.5


RECORDED: list[tuple[str, bytes, str, Callable[[Json], Any]]] = [
    ("anthropic", b'"cache_creation_input_tokens": ', "usage", _claude_bill),
    ("bedrock", b'"cacheWriteInputTokens": ', "usage", _bedrock_bill),
    ("gemini vertex", b'"modality": "AUDIO"', "usageMetadata", _gemini_bill),
]


def _bodies(providers: str, mark: bytes, member: str) -> list[tuple[Body, Json]]:
    """Whole replies, in which more than nothing stands behind the mark."""
    found = [b for b in recorded("json") if b.meta["provider"] in providers.split()]
    read = [(b, json.loads(b.data)) for b in found if mark in b.data and mark + b"0" not in b.data]
    return [(b, body) for b, body in read if member in body]


@pytest.mark.skipif(not recorded("json"), reason="HEADGATE_DATA names no recorded bodies")
@pytest.mark.parametrize(("providers", "mark", "member", "bill"), RECORDED)
def test_recorded_replies_with_caches_and_speech_cost_what_their_usage_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    providers: str,
    mark: bytes,
    member: str,
    bill: Callable[[Json], Any],
) -> None:
    found = _bodies(providers, mark, member)
    assert found
    name = providers.split()[0]

    async def each(place: Place, fake: RawUpstream) -> None:
        for body, told in found:
            fake.script = whole(body.data)
            assert (await place.chat(name)).status == 200, body
            cost = place.records[-1]["attempts"][-1]["cost_pico"]
            assert cost == round(bill(told[member]) * MICRO), (body, told[member])

    with_hosted(tmp_path, monkeypatch, each)
