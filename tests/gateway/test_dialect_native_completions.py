"""Text completions that pass through to an upstream that has them, and those that cannot."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from in_process import Answer, eventually
from native_wire import Work, World, native_world, text_chunk
from raw_upstream import CHUNKED, STREAM_HEAD, Exchange
from replay import DONE, Body, expected_chunks, json_events, recorded, splits
from upstream import completion, sse

Json = dict[str, Any]
TOLD: Json = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
USAGE = sse({**text_chunk(""), "choices": [], "usage": TOLD})
TEXTS = [sse(text_chunk(t)) for t in ("Grüß ", "dich, ", "日本 ", "🙂!")]
END = sse(text_chunk("", "stop"))
WHOLE = b"".join([*TEXTS, END, USAGE, DONE])
TWO = [sse(text_chunk(str(n), index=n)) for n in (0, 1)]
ENDS = [sse(text_chunk("", "length", index=n)) for n in (0, 1)]

OWN = [
    Body("plain", WHOLE, {}),
    Body("crlf", WHOLE.replace(b"\n", b"\r\n"), {}),
    Body(
        "usage in the finish",
        b"".join([*TEXTS, sse({**text_chunk("", "stop"), "usage": TOLD})]),
        {},
    ),
    Body("two answers", b"".join([*TWO, *ENDS, USAGE, DONE]), {}),
    Body("no usage", b"".join([*TEXTS, END, DONE]), {}),
]
RECORDED = [b for b in recorded("sse") if b.meta["endpoint"] == "/v1/completions"]
needs_data = pytest.mark.skipif(not RECORDED, reason="HEADGATE_DATA names no recorded bodies")


def run(folder: Path, work: Work) -> None:
    async def inside() -> None:
        async with native_world(folder) as world:
            await work(world)

    asyncio.run(inside())


async def completed(world: World, model: str = "main", **members: Any) -> Answer:
    return await world.ask("completions", {"model": model, "prompt": "Say hello.", **members})


@pytest.mark.parametrize("body", [*OWN, *RECORDED], ids=str)
def test_chunks_arrive_as_they_were_sent_whatever_the_split(tmp_path: Path, body: Body) -> None:
    async def every(world: World) -> None:
        reported = any(e.get("usage") for e in json_events(body.data))
        for n, (name, pieces) in enumerate(splits(body.data)):
            world.streams(pieces)
            asked = bool(n % 2)
            options: Json = {"stream_options": {"include_usage": True}} if asked else {}
            answer = await completed(world, stream=True, **options)
            assert answer.chunks == expected_chunks(body.data, asked), name
            assert answer.done and answer.ends == 1
            record = world.place.records[-1]
            assert (record["outcome"], record["endpoint"]) == ("ok", "completions")
            assert record["usage"]["output_tokens"] > 0
            assert record["usage"]["estimated"] != reported

    run(tmp_path, every)


def test_a_stream_costs_what_the_whole_completion_costs(tmp_path: Path) -> None:
    async def compare(world: World) -> None:
        world.streams([WHOLE])
        await completed(world, stream=True)
        whole = text_chunk("Hello", "stop") | {"usage": TOLD, "unknown": 1}
        world.says(whole)
        answer = await completed(world)
        assert answer.json == whole
        stream, single = world.place.records
        assert stream["usage"] == single["usage"]
        assert stream["cost_pico"] == single["cost_pico"] == 15_600_000

    run(tmp_path, compare)


@needs_data
def test_recorded_whole_completions_pass_as_they_are(tmp_path: Path) -> None:
    async def each(world: World) -> None:
        for body in (b for b in recorded("json") if b.meta["endpoint"] == "/v1/completions"):
            world.fake.script = lambda exchange, body=body: exchange.json(200, body.data)  # type: ignore[misc]
            answer = await completed(world)
            assert (answer.status, answer.body) == (200, body.data), body

    run(tmp_path, each)


def test_the_body_goes_upstream_with_the_routes_parameters(tmp_path: Path) -> None:
    async def compare(world: World) -> None:
        world.says(text_chunk("Hello", "stop"))
        asked: Json = {"prompt": [[1, 2], [3]], "echo": True, "suffix": "!", "logprobs": 3, "n": 2}
        await completed(world, **asked, best_of=4, guided_regex="a*")
        sent = world.fake.requests[-1]
        assert sent == {
            **asked,
            "best_of": 4,
            "guided_regex": "a*",
            "model": "one",
            "max_tokens": 2048,
        }
        await completed(world, "short", max_tokens=500)
        assert world.fake.requests[-1]["max_tokens"] == 50

    run(tmp_path, compare)


def test_tokens_of_the_prompt_are_counted_when_the_upstream_tells_none(tmp_path: Path) -> None:
    async def compare(world: World) -> None:
        world.says(text_chunk("12345678", "stop"))
        await completed(world, prompt=[[1, 2, 3], [4, 5]])
        usage = world.place.records[-1]["usage"]
        assert (usage["input_tokens"], usage["output_tokens"], usage["estimated"]) == (5, 2, True)

    run(tmp_path, compare)


@pytest.mark.parametrize("how", ["cut", "ended"])
def test_a_truncated_completion_never_gets_its_done(tmp_path: Path, how: str) -> None:
    async def every(world: World) -> None:
        last = WHOLE.index(b'"finish_reason":"stop"')
        for k in range(0, last, 29):
            world.streams([WHOLE[:k]], end=how == "ended")
            answer = await completed(world, stream=True)
            assert b"[DONE]" not in answer.body, k
            assert answer.error is not None and answer.error["code"] == "upstream_truncated", k
            assert world.place.records[-1]["outcome"] == "error"

    run(tmp_path, every)


def test_an_error_in_the_midst_is_the_last_event(tmp_path: Path) -> None:
    async def one(world: World) -> None:
        world.streams([*TEXTS, b'data: {"error": {"message": "too busy", "code": 503}}\n\n'])
        answer = await completed(world, stream=True)
        assert answer.status == 200 and b"[DONE]" not in answer.body
        assert answer.error is not None and answer.error["message"] == "too busy"
        world.streams([b'data: {"error": {"message": "too busy", "code": 429}}\n\n'])
        assert (await completed(world, stream=True)).status == 429

    run(tmp_path, one)


def test_a_hang_up_reaches_the_upstream(tmp_path: Path) -> None:
    async def leave(world: World) -> None:
        left, gone = asyncio.Event(), asyncio.Event()

        async def script(exchange: Exchange) -> None:
            await exchange.write(STREAM_HEAD + CHUNKED)
            await exchange.chunk(TEXTS[0])
            await exchange.gone()
            gone.set()

        world.fake.script = script
        body = {"model": "main", "prompt": "Tell me.", "stream": True}
        await world.ask("completions", body, hangup=left, saw=lambda data: left.set())
        await asyncio.wait_for(gone.wait(), 10)
        await eventually(lambda: len(world.place.records) == 1, "the call is not on record")
        record = world.place.records[0]
        assert (record["outcome"], record["usage"]["output_tokens"]) == ("cancelled", 2)

    run(tmp_path, leave)


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_without_completions_answers_by_translation(
    tmp_path: Path, stream: bool
) -> None:
    async def fall(world: World) -> None:
        async def script(exchange: Exchange) -> None:
            if exchange.headers[":path"] == "/v1/completions":
                await exchange.json(503, b"{}")
            else:
                await exchange.json(200, orjson.dumps(completion("Hello")))

        world.fake.script = script
        if not stream:
            answer = await completed(world, "safe", n=1)
            assert answer.json["choices"][0]["text"] == "Hello"
            assert answer.headers["x-headgate-target"] == "plain/chat"
        answer = await completed(world, "safe", prompt=["a", "b"], stream=stream)
        assert (answer.status, answer.json["error"]["upstream_status"]) == (502, 503)
        assert "plain/chat" in world.place.records[-1]["degraded"][0]

    run(tmp_path, fall)


def test_the_gateways_knowledge_comes_before_done_when_asked_for(tmp_path: Path) -> None:
    async def one(world: World) -> None:
        world.streams([WHOLE])
        answer = await completed(world, stream=True, headgate={"meta": True})
        assert answer.done
        assert answer.chunks[-1]["headgate"]["cost_usd"] == "0.0000156"
        assert answer.chunks[:-1] == expected_chunks(WHOLE, False)

    run(tmp_path, one)
