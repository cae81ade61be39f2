"""A reply that cannot be passed on was paid for, and is booked; a good one is passed on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from configs import write_config
from hosted_checks import SDK_WARNINGS
from in_process import Answer, Place, opened
from raw_upstream import Exchange, RawUpstream, raw_upstream
from replay_world import sends
from upstream import chunk, completion, sse

pytestmark = SDK_WARNINGS
Json = dict[str, Any]
WORDS = "Hello " * 2000
SPENT = {"prompt_tokens": 11000, "completion_tokens": 7000, "total_tokens": 18000}
CONFIG = """\
auth: {{keys: open}}
providers:
  - name: up
    use: openai_compatible
    options: {{base_url: "{url}", max_reply_mb: 0.1, native: [responses, completions]}}
  - {{name: sdk, use: litellm, options: {{api_base: "{url}", api_key: "env:TEST_KEY"}}}}
  - {{name: here, use: echo}}
pools:
  - {{name: two, targets: [{{provider: up, model: m}}], fallbacks: [spare]}}
  - {{name: once, targets: [{{provider: up, model: m}}], retries: {{attempts: 1}}}}
  - {{name: sdk-once, targets: [{{provider: sdk, model: openai/m}}], retries: {{attempts: 1}}}}
  - {{name: spare, targets: [{{provider: here, model: echo}}]}}
  - name: vectors
    serves: embeddings
    targets: [{{provider: up, model: m}}]
    retries: {{attempts: 1}}
prices:
  overrides:
    - {{model: up/m, input_per_mtok_usd: 0.40, output_per_mtok_usd: 1.60}}
    - {{model: sdk/openai/m, input_per_mtok_usd: 0.40, output_per_mtok_usd: 1.60}}
routes:
  - {{name: main, pool: two}}
  - {{name: plain, pool: once}}
  - {{name: parsed, pool: once, capture: full}}
  - {{name: hosted, pool: sdk-once}}
"""
Work = Callable[[Place, RawUpstream], Awaitable[None]]


@pytest.fixture
def within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Work], None]:
    """Do the work in a gateway of its own."""
    monkeypatch.setenv("TEST_KEY", "k")

    def do(work: Work) -> None:
        async def run() -> None:
            async def unset(exchange: Exchange) -> None:
                raise AssertionError("the test has set no script")

            async with raw_upstream(unset) as fake:
                config = write_config(tmp_path, CONFIG.format(url=fake.url))
                async with opened(config) as place:
                    await work(place, fake)

        asyncio.run(run())

    return do


def whole(data: bytes | Json, *, kind: str = "application/json") -> Any:
    """A script that answers 200 with these bytes."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()

    async def script(exchange: Exchange) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\n\r\n"
        await exchange.write(head.encode() + raw)

    return script


def booked(place: Place) -> tuple[int, int, bool]:
    """The tokens of the latest call's only attempt, and whether they are an estimate."""
    [attempt] = place.records[-1]["attempts"]
    usage = attempt["usage"]
    assert usage is not None and (attempt["cost_pico"] or 0) > 0, attempt
    return usage["input_tokens"], usage["output_tokens"], usage["estimated"]


def malformed(answer: Answer) -> bool:
    return (answer.status, answer.json["error"]["code"]) == (502, "upstream_malformed")


@pytest.mark.parametrize("route", ["plain", "parsed", "hosted"])
def test_of_a_reply_that_is_no_json_the_text_that_came_is_booked(
    within: Callable[[Work], None], route: str
) -> None:
    raw = json.dumps(completion(WORDS)).encode()
    cut = raw[: raw.index(b'"finish_reason"')]

    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = whole(cut)
        assert malformed(await place.chat(route))
        assert booked(place) == (3, len(WORDS) // 4, True)

    within(ask)


@pytest.mark.parametrize("route", ["plain", "hosted"])
def test_of_a_reply_whose_connection_broke_the_text_that_came_is_booked(
    within: Callable[[Work], None], route: str
) -> None:
    raw = json.dumps(completion(WORDS)).encode()

    async def broken(exchange: Exchange) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}"
        await exchange.write(f"{head}\r\n\r\n".encode() + raw[: raw.index(b'"finish_reason"')])
        exchange.writer.close()

    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = broken
        answer = await place.chat(route)
        assert answer.json["error"]["code"] == "upstream_truncated"
        assert booked(place) == (3, len(WORDS) // 4, True)

    within(ask)


@pytest.mark.parametrize("choices", [None, 5, ["x"], [{"index": 0, "message": 7}]])
@pytest.mark.parametrize("route", ["plain", "parsed"])
def test_the_usage_of_a_reply_without_its_shape_is_booked_as_told(
    within: Callable[[Work], None], route: str, choices: Any
) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = whole({**completion(""), "choices": choices, "usage": SPENT})
        assert malformed(await place.chat(route))
        assert booked(place) == (11000, 7000, False)

    within(ask)


def test_a_broken_chunk_that_tells_its_usage_is_booked_with_it(
    within: Callable[[Work], None],
) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = sends([sse({**chunk({}), "choices": [7], "usage": SPENT})])
        assert malformed(await place.chat("plain", stream=True))
        assert booked(place) == (11000, 7000, False)
        fake.script = sends([b"data: {nonsense\n\n"])
        assert malformed(await place.chat("plain", stream=True))
        assert booked(place) == (3, 0, True)

    within(ask)


@pytest.mark.parametrize(
    ("path", "body", "reply"),
    [
        ("embeddings", {"model": "vectors", "input": "one two three"}, {"data": 5}),
        ("responses", {"model": "plain", "input": "one two three"}, {"output": 5}),
        ("responses", {"model": "plain", "input": "one two three"}, {"output": [], "status": "x"}),
        ("completions", {"model": "plain", "prompt": "one two three"}, {"choices": 5}),
    ],
)
def test_the_other_endpoints_book_what_a_broken_reply_had_told(
    within: Callable[[Work], None], path: str, body: Json, reply: Json
) -> None:
    names = ("input_tokens", "output_tokens") if path == "responses" else tuple(SPENT)[:2]
    usage = dict(zip(names, (110, 70), strict=True))
    written = 0 if path == "embeddings" else 70

    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = whole({**reply, "usage": usage})
        assert malformed(await place.ask(body, path=f"/v1/{path}"))
        assert booked(place) == (110, written, False)
        fake.script = whole(json.dumps(reply).encode()[:-1])
        assert malformed(await place.ask(body, path=f"/v1/{path}"))
        assert booked(place) == (4, 0, True)

    within(ask)


def test_a_page_of_a_proxy_is_no_work_of_a_model(within: Callable[[Work], None]) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        for route in ("plain", "hosted"):
            for stream in (False, True):
                fake.script = whole(b"<html>Log in</html>", kind="text/html")
                assert (await place.chat(route, stream=stream)).status == 502
                [attempt] = place.records[-1]["attempts"]
                assert (attempt["usage"], attempt["cost_pico"]) == (None, 0), (route, stream)

    within(ask)


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 123},
        {"id": 1.5, "model": 7},
        {"model": ["m"]},
        {"message": {"refusal": False, "tool_calls": {}, "annotations": ""}},
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_no_client_would_care_for_discards_no_answer(
    within: Callable[[Work], None], odd: Json, stream: bool
) -> None:
    said = {"role": "assistant", "content": "Hello", **odd.get("message", {})}
    beside = {k: v for k, v in odd.items() if k != "message"}
    answer = completion("")
    answer["choices"][0]["message"] = said
    events = [{**chunk(said), **beside}, {**chunk({}, "stop"), **beside}]
    events += [{**chunk({}), **beside, "choices": [], "usage": answer["usage"]}]

    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = whole({**answer, **beside})
        if stream:
            fake.script = sends([*map(sse, events), b"data: [DONE]\n\n"])
        for route in ("plain", "parsed"):
            told = await place.chat(route, stream=stream)
            assert told.status == 200, told.body
            text = told.text if stream else told.json["choices"][0]["message"]["content"]
            assert text == "Hello"
            assert booked(place) == (11, 7, False)
        assert isinstance(place.records[-1]["attempts"][0]["response_id"], str)

    within(ask)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 11, "completion_tokens": -1}, (11, 2)),
        ({"prompt_tokens": "11", "completion_tokens": 7}, (3, 7)),
        ({"prompt_tokens": 11, "completion_tokens": 1e300}, (11, 2)),
        ({"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": 5}, (11, 7)),
        (5, (3, 2)),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_count_that_cannot_be_is_estimated_and_the_answer_goes_out(
    within: Callable[[Work], None], usage: Any, tokens: tuple[int, int], stream: bool
) -> None:
    events = [chunk({"content": "Hello"}), chunk({}, "stop"), {**chunk({}), "choices": []}]
    events[-1]["usage"] = usage

    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = whole({**completion("Hello"), "usage": usage})
        if stream:
            fake.script = sends([*map(sse, events), b"data: [DONE]\n\n"])
        for path in ("chat/completions", "messages"):
            body: Json = {"model": "plain", "max_tokens": 9, "stream": stream}
            body["messages"] = [{"role": "user", "content": "Say hello."}]
            answer = await place.ask(body, path=f"/v1/{path}")
            assert answer.status == 200 and b"Hello" in answer.body
            assert b'"error"' not in answer.body
            assert booked(place) == (*tokens, True)

    within(ask)


def test_a_reply_over_the_limit_is_asked_for_once_and_is_no_fault_of_the_target(
    within: Callable[[Work], None],
) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = whole(completion("x" * 200_000))
        for n in range(8):  # more than a breaker bears
            answer = await place.chat("main")
            error = answer.json["error"]
            assert (answer.status, error["code"]) == (502, "upstream_too_large")
            assert "`max_reply_mb`" in error["message"] and "0.1 MB" in error["message"]
            assert answer.headers["x-should-retry"] == "false"
            assert len(fake.requests) == n + 1
            tokens, written, estimated = booked(place)
            assert (tokens, estimated) == (3, True) and 25_000 <= written <= 50_000

    within(ask)
