"""Hosted providers in their own dialects, through litellm's SDK: whole, re-split and cut off."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hosted_bodies import DIALECTS, READ, TEXT, WRITTEN, Dialect
from hosted_checks import SDK_WARNINGS, broken, unbroken
from hosted_world import calls_of, clean, streams, whole, with_hosted
from in_process import Place, eventually
from raw_upstream import Exchange, RawUpstream

pytestmark = SDK_WARNINGS


@pytest.mark.parametrize("one", DIALECTS, ids=str)
def test_a_stream_is_whole_only_where_the_provider_ended_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Dialect
) -> None:
    async def all_ways(place: Place, fake: RawUpstream) -> None:
        data = one.stream(one.usage)
        assert one.text(data) == TEXT
        await unbroken(place, fake, one, data, 3)
        step = max(1, len(data) // 12)
        await broken(place, fake, one, data, list(range(0, len(data) - 1, step)))

    with_hosted(tmp_path, monkeypatch, all_ways)


@pytest.mark.parametrize("one", DIALECTS, ids=str)
def test_a_stream_costs_what_the_whole_reply_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Dialect
) -> None:
    async def both(place: Place, fake: RawUpstream) -> None:
        fake.script = streams(one, [one.stream(one.usage)])
        assert (await place.chat(one.name, stream=True)).done
        fake.script = whole(json.dumps(one.whole(one.usage)).encode())
        answer = await place.chat(one.name)
        assert answer.json["choices"][0]["message"]["content"] == TEXT
        stream, single = place.records[-2:]
        assert stream["usage"] == single["usage"]
        assert stream["cost_pico"] == single["cost_pico"] > 0
        assert (stream["usage"]["input_tokens"], stream["usage"]["output_tokens"]) == (
            READ,
            WRITTEN,
        )

    with_hosted(tmp_path, monkeypatch, both)


@pytest.mark.parametrize("one", DIALECTS, ids=str)
def test_a_whole_reply_that_was_cut_off_is_the_providers_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Dialect
) -> None:
    async def cuts(place: Place, fake: RawUpstream) -> None:
        data = json.dumps(one.whole(one.usage)).encode()
        for k in range(0, len(data), max(1, len(data) // 8)):
            for length, code in ((None, "upstream_malformed"), (len(data), "upstream_truncated")):
                fake.script = whole(data[:k], length=length)
                answer = await place.chat(one.name)
                error = answer.json["error"]
                assert (answer.status, error["code"]) == (502, code), (k, error)
                assert clean(error["message"]) and "upstream_status" not in error

    with_hosted(tmp_path, monkeypatch, cuts)


def cohere_event(kind: str, delta: object, index: int = 0) -> bytes:
    body = {"type": kind, "index": index, "delta": delta}
    return f"event: {kind}\ndata: {json.dumps(body)}\n\n".encode()


def test_tool_calls_of_cohere_come_with_their_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohere = next(one for one in DIALECTS if one.name == "cohere")
    usage = cohere.usage
    calls = [("get_time", '{"in": "Tokyo"}'), ("roll", "{}")]
    events: list[bytes] = []
    for n, (name, arguments) in enumerate(calls):
        begun = {"id": name, "type": "function", "function": {"name": name, "arguments": ""}}
        events.append(cohere_event("tool-call-start", {"message": {"tool_calls": begun}}, n))
        for half in (arguments[:1], arguments[1:]):
            more = {"message": {"tool_calls": {"function": {"arguments": half}}}}
            events.append(cohere_event("tool-call-delta", more, n))
    events.append(cohere_event("message-end", {"finish_reason": "TOOL_CALL", "usage": usage}))

    async def both(place: Place, fake: RawUpstream) -> None:
        fake.script = streams(cohere, [b"".join(events), b"data: [DONE]\n\n"])
        answer = await place.chat("cohere", stream=True)
        assert answer.done and calls_of(answer) == calls
        assert place.records[-1]["finish_reason"] == "tool_calls"
        for said, reason in (("TOOL_CALL", "tool_calls"), ("MAX_TOKENS", "length")):
            fake.script = whole(json.dumps({**cohere.whole(usage), "finish_reason": said}).encode())
            answer = await place.chat("cohere")
            assert answer.json["choices"][0]["finish_reason"] == reason

    with_hosted(tmp_path, monkeypatch, both)


@pytest.mark.parametrize("one", DIALECTS, ids=str)
def test_a_caller_that_leaves_takes_the_providers_connection_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Dialect
) -> None:
    async def leave(place: Place, fake: RawUpstream) -> None:
        left, hangup = asyncio.Event(), asyncio.Event()
        data = one.stream(one.usage)

        async def half(exchange: Exchange) -> None:
            await streams(one, [data[: one.begun(data)]], end=None)(exchange)
            await exchange.gone()
            left.set()

        fake.script = half
        messages = [{"role": "user", "content": "hi"}]
        body = {"model": one.name, "messages": messages, "stream": True}
        await place.ask(body, hangup=hangup, saw=lambda _: hangup.set())
        await asyncio.wait_for(left.wait(), 10)
        await eventually(lambda: bool(place.records), "no record")
        assert place.records[-1]["outcome"] == "cancelled"

    with_hosted(tmp_path, monkeypatch, leave)
