"""What the SDK keeps beside a call: connections, which end with their provider, and counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hosted_bodies import DIALECTS, TEXT, Dialect
from hosted_checks import SDK_WARNINGS
from hosted_world import streams, whole, with_hosted
from in_process import Place, eventually
from raw_upstream import Exchange, RawUpstream, raw_upstream

from headgate_core.ports import ModelRequest
from headgate_gateway.providers.litellm import Litellm

pytestmark = SDK_WARNINGS
Json = dict[str, Any]
HI = [{"role": "user", "content": "Say hello."}]
KEYED = [one for one in DIALECTS if one.name in ("openai", "mistral", "anthropic")]
TELLING = [one for one in DIALECTS if one.name in ("openai", "mistral")]


async def answered(provider: Litellm, model: str, *, stream: bool) -> None:
    reply = await provider.chat(ModelRequest({"messages": HI}, stream=stream), model)
    assert [event async for event in reply.events]


def both(one: Dialect) -> Callable[[Exchange], Awaitable[None]]:
    """Answers a stream with a stream, and keeps the connection."""

    async def script(exchange: Exchange) -> None:
        if exchange.body.get("stream"):
            await exchange.stream([one.stream(one.usage)])
        else:
            await exchange.json(200, json.dumps(one.whole(one.usage)).encode())

    return script


@pytest.mark.parametrize("one", KEYED, ids=str)
def test_a_provider_that_is_closed_leaves_no_connection_and_harms_no_other(one: Dialect) -> None:
    async def run() -> None:
        async with raw_upstream(both(one)) as fake:
            base = fake.url.removesuffix("/v1") if one.name == "anthropic" else fake.url
            first, second = (Litellm(api_key=key, api_base=base) for key in ("a", "b"))
            for provider in (first, second):
                await answered(provider, one.model, stream=False)
            assert fake.open == 2
            await first.close()
            await eventually(lambda: fake.open == 1, "connections are left")
            before = fake.accepted
            await answered(second, one.model, stream=False)
            assert fake.accepted == before, "the other provider had to connect again"
            await answered(first, one.model, stream=False)  # a late call connects again
            for provider in (first, second):
                await provider.close()
            await eventually(lambda: fake.open == 0, "connections are left")

    asyncio.run(run())


def test_providers_that_come_and_go_pile_nothing_up() -> None:
    one = KEYED[0]

    async def run() -> None:
        async with raw_upstream(both(one)) as fake:
            for n in range(5):
                provider = Litellm(api_key=f"key-{n}", api_base=fake.url)
                await answered(provider, one.model, stream=bool(n % 2))
                await provider.close()
                await eventually(lambda: fake.open == 0, "connections are left")

    asyncio.run(run())


@pytest.mark.parametrize("one", TELLING, ids=str)
def test_without_usage_a_stream_is_booked_as_the_whole_reply_is_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Dialect
) -> None:
    untold = one.whole({})
    del untold["usage"]
    events = [e for e in one.stream({}).split(b"\n\n") if e and b'"usage"' not in e]

    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = whole(json.dumps(untold).encode())
        single = await place.chat(one.name)
        assert single.status == 200 and "usage" not in single.json
        fake.script = streams(one, [b"\n\n".join(events) + b"\n\n"])
        for options in ({}, {"stream_options": {"include_usage": True}}):
            answer = await place.chat(one.name, stream=True, **options)
            assert answer.text == TEXT and answer.done
            booked = place.records[-1]["attempts"][0]["usage"]
            assert booked is not None and booked == place.records[0]["attempts"][0]["usage"]
            assert booked["estimated"] and booked["input_tokens"] == 3
            assert booked["output_tokens"] == -(-len(TEXT) // 4)
            told = [c["usage"] for c in answer.chunks if c.get("usage")]
            assert len(told) == len(options)
            if told:
                last = answer.chunks[-1]
                assert last["choices"] == [] and last["usage"] == told[0]
                counts = (booked["input_tokens"], booked["output_tokens"])
                assert (told[0]["prompt_tokens"], told[0]["completion_tokens"]) == counts

    with_hosted(tmp_path, monkeypatch, ask)


@pytest.mark.parametrize("one", DIALECTS, ids=str)
def test_usage_comes_last_and_in_a_chunk_without_choices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Dialect
) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = streams(one, [one.stream(one.usage)])
        asked = {"stream_options": {"include_usage": True}}
        answer = await place.chat(one.name, stream=True, **asked)
        *before, last = answer.chunks
        assert answer.text == TEXT and answer.done
        assert last["choices"] == [] and last["usage"]["completion_tokens"] > 0
        assert not any(c.get("usage") for c in before) and all(c["choices"] for c in before)
        assert before[-1]["choices"][0]["finish_reason"] == "stop"

    with_hosted(tmp_path, monkeypatch, ask)
