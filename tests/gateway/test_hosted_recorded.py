"""Recorded replies of hosted providers through litellm's SDK: whole, re-split and cut off."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hosted_bodies import DIALECTS, Dialect, frames
from hosted_checks import SDK_WARNINGS, broken, unbroken
from hosted_world import clean, streams, whole, with_hosted
from in_process import Place
from raw_upstream import RawUpstream
from replay import Body, json_events, recorded

Json = dict[str, Any]

pytestmark = SDK_WARNINGS

PLACES = {
    "anthropic": ("anthropic", "/v1/messages"),
    "gemini": ("gemini vertex", "enerateContent"),
    "bedrock": ("bedrock", "/converse"),
    "cohere": ("cohere", "/v2/chat"),
    "mistral": ("mistral", "/v1/chat/completions"),
}
"""Whose recorded replies are in a dialect: providers, and what their endpoints have in common."""
RECORDED = [one for one in DIALECTS if one.name in PLACES]


def bodies(one: Dialect, *kinds: str) -> list[Body]:
    providers, endpoint = PLACES[one.name]
    found = [b for kind in kinds for b in recorded(kind)]
    return [
        b
        for b in found
        if b.meta["provider"] in providers.split()
        and endpoint in b.meta["endpoint"]
        and "count_tokens" not in b.meta["endpoint"]
    ]


needs_data = pytest.mark.skipif(
    not recorded("bedrock_eventstream"), reason="HEADGATE_DATA names no recorded bodies"
)


@needs_data
@pytest.mark.parametrize("one", RECORDED, ids=str)
def test_recorded_streams_are_whole_only_where_their_provider_ended_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Dialect
) -> None:
    found = bodies(one, "sse", "bedrock_eventstream")
    assert len(found) >= 3

    async def each(place: Place, fake: RawUpstream) -> None:
        for body in found:
            await unbroken(place, fake, one, body.data, 1)
            source = random.Random(body.name)
            await broken(place, fake, one, body.data, source.sample(range(len(body.data)), 2))

    with_hosted(tmp_path, monkeypatch, each)


@needs_data
@pytest.mark.parametrize("one", RECORDED, ids=str)
def test_recorded_whole_replies_arrive_or_are_the_providers_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Dialect
) -> None:
    found = bodies(one, "json")
    assert len(found) >= 3

    async def each(place: Place, fake: RawUpstream) -> None:
        for body in found:
            fake.script = whole(body.data)
            answer = await place.chat(one.name)
            assert answer.status == 200, (body, answer.body)
            [choice] = answer.json["choices"]
            assert choice["finish_reason"] and choice["message"]["role"] == "assistant"
            assert not place.records[-1]["usage"]["estimated"], body
            k = random.Random(body.name).randrange(len(body.data) - 1)
            for length, code in ((None, "malformed"), (len(body.data), "truncated")):
                fake.script = whole(body.data[:k], length=length)
                error = (await place.chat(one.name)).json["error"]
                assert error["code"] == f"upstream_{code}" and clean(error["message"]), error

    with_hosted(tmp_path, monkeypatch, each)


def reported(one: Dialect, data: bytes) -> Json:
    """The usage that a recorded stream told, as a whole reply of its provider has it."""
    if one.name == "bedrock":
        found = [body.get("metadata", body) for _, body in frames(data)]
        return dict(next(b["usage"] for b in found if "usage" in b))
    events = json_events(data)
    if one.name == "anthropic":
        told = [(e.get("message") or e).get("usage") or {} for e in events]
        return {k: v for usage in told for k, v in usage.items() if v is not None}
    if one.name == "cohere":
        return dict(events[-1]["delta"]["usage"])
    member = "usageMetadata" if one.name == "gemini" else "usage"
    return dict([e[member] for e in events if e.get(member)][-1])


def in_one(one: Dialect, data: bytes) -> bytes:
    """A whole reply that costs what the recorded stream costs."""
    body = one.whole(reported(one, data))
    if one.name == "gemini":  # what a search of Google's brought in is not counted as input
        found = [c for e in json_events(data) for c in e.get("candidates") or ()]
        searches = [c["groundingMetadata"] for c in found if "groundingMetadata" in c]
        body["candidates"][0] |= {"groundingMetadata": searches[-1]} if searches else {}
    return json.dumps(body).encode()


@needs_data
@pytest.mark.parametrize("one", RECORDED, ids=str)
def test_a_recorded_stream_costs_what_the_whole_reply_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Dialect
) -> None:
    async def each(place: Place, fake: RawUpstream) -> None:
        for body in bodies(one, "sse", "bedrock_eventstream"):
            fake.script = streams(one, [body.data])
            assert (await place.chat(one.name, stream=True)).done
            fake.script = whole(in_one(one, body.data))
            assert (await place.chat(one.name)).status == 200
            stream, single = place.records[-2:]
            for billed in ("input_tokens", "cached_input_tokens", "output_tokens", "estimated"):
                assert stream["usage"][billed] == single["usage"][billed], body
            assert stream["cost_pico"] == single["cost_pico"] > 0

    with_hosted(tmp_path, monkeypatch, each)
