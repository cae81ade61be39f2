"""A target fails: streamed or not, another one answers, and everybody can see which one it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from configs import write_config
from in_process import Answer, Place, opened
from raw_upstream import CHUNKED, STREAM_HEAD, Exchange, RawUpstream, raw_upstream
from running import free_port
from upstream import chunk, completion, sse, stream_of

from headgate_gateway.http import event_stream
from headgate_gateway.resting import Rest
from headgate_gateway.routing.breaker import Breaker

Json = dict[str, Any]
Behaviour = Callable[[Exchange], Awaitable[None]]

POLICY = """\
name: house
checks: [{name: personal, use: pii, at: [output], action: mask, options: {types: [email]}}]
"""
CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}
  - {{name: closed, use: openai_compatible, options: {{base_url: "http://127.0.0.1:{port}/v1"}}}}
pools:
  - name: main
    targets: [{{provider: up, model: bad}}]
    timeouts: {{first_token_s: 1, between_tokens_s: 0.3, answer_s: 1}}
    retries: {{attempts: 1}}
    fallbacks: [spare]
  - name: gone
    targets: [{{provider: closed, model: bad}}]
    retries: {{attempts: 1}}
    fallbacks: [spare]
  - {{name: spare, targets: [{{provider: up, model: good}}]}}
prices:
  overrides:
    - {{model: up/good, input_per_mtok_usd: 0.40, output_per_mtok_usd: 1.60}}
    - {{model: up/bad, input_per_mtok_usd: 4, output_per_mtok_usd: 16}}
routes:
  - {{name: plain, pool: main}}
  - {{name: refused, pool: gone}}
  - {{name: checked, pool: main, guards: [house]}}
"""


async def good(exchange: Exchange) -> None:
    model = exchange.body["model"]
    if not exchange.body.get("stream"):
        await exchange.json(200, orjson.dumps(completion("Here I am.", model)))
        return
    events = [e.replace(b'"fake"', b'"%s"' % model.encode()) for e in stream_of(["Here I ", "am."])]
    await exchange.stream(events)


async def reset(exchange: Exchange) -> None:
    exchange.reset()


async def hang(exchange: Exchange) -> None:
    await exchange.gone()


def status(code: int, body: bytes = b'{"error": {"message": "no"}}') -> Behaviour:
    async def answer(exchange: Exchange) -> None:
        await exchange.json(code, body)

    return answer


async def error_in_200(exchange: Exchange) -> None:
    if exchange.body.get("stream"):
        await exchange.stream([ROLE, sse({"error": {"message": "overloaded"}})])
    else:
        await exchange.json(200, b'{"error": {"message": "overloaded"}}')


async def cut_off(exchange: Exchange) -> None:
    if exchange.body.get("stream"):
        await exchange.stream([ROLE])
    else:
        await exchange.json(200, orjson.dumps(completion("Here I am."))[:60])


async def no_json(exchange: Exchange) -> None:
    if exchange.body.get("stream"):
        await exchange.stream([ROLE, b'data: {"choices": [\n\n'])
    else:
        await exchange.json(200, b'{"choices": [}')


async def web_page(exchange: Exchange) -> None:
    page = b"<html>Welcome</html>"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s"
    await exchange.write(head % (len(page), page))


ROLE = sse(chunk({"role": "assistant", "content": ""}))
BEFORE: dict[str, Behaviour] = {
    "reset": reset,
    "silence": hang,
    "429": status(429),
    "500": status(500),
    "503 with a web page": status(503, b"<html>nginx</html>"),
    "401": status(401),
    "an error inside a 200": error_in_200,
    "cut off": cut_off,
    "no JSON": no_json,
    "a web page": web_page,
}
"""How a target can fail before its first content; a refused connection comes on top."""


def with_gateway(folder: Path, work: Callable[[Place, RawUpstream], Awaitable[None]]) -> None:
    async def unset(exchange: Exchange) -> None:
        raise AssertionError("the test has set no script")

    async def run() -> None:
        (folder / "guardrails").mkdir()
        (folder / "guardrails" / "house.yaml").write_text(POLICY)
        async with raw_upstream(unset) as fake:
            text = CONFIG.format(url=fake.url, port=free_port())
            async with opened(write_config(folder, text)) as place:
                await work(place, fake)

    asyncio.run(run())


def scripted(fake: RawUpstream, bad: Behaviour) -> None:
    """The model ``bad`` fails in this way, ``good`` answers."""
    fake.requests.clear()

    async def script(exchange: Exchange) -> None:
        await (good if exchange.body["model"] == "good" else bad)(exchange)

    fake.script = script


def unblamed(place: Place) -> None:
    """What the target did until now is forgotten, so that it is asked first again."""
    for pool in place.endpoints.gateway._router.pools.values():
        for state in pool.states:
            state.breaker = Breaker(pool.settings.breaker, time.monotonic)
            state.rest = Rest()


def answered_by_the_fallback(place: Place, answer: Answer, *, stream: bool) -> None:
    """Header, body and record name the target that answered and the one that did not."""
    assert answer.status == 200, answer.body
    if stream:
        assert answer.done and answer.text == "Here I am."
        assert {c["model"] for c in answer.chunks} == {"good"}
    else:
        assert answer.json["choices"][0]["message"]["content"] == "Here I am."
        assert answer.json["model"] == "good"
    assert answer.headers["x-headgate-target"] == "up/good"
    assert answer.headers["x-headgate-attempts"] == "2"
    record = place.records[-1]
    assert (record["outcome"], record["target"]) == ("ok", "up/good")
    failed, ok = record["attempts"]
    assert (failed["model"], failed["why"], failed["outcome"]) == ("bad", "first", "error")
    assert failed["error"]
    assert (ok["model"], ok["why"], ok["outcome"]) == ("good", "fallback", "ok")
    assert ok["usage"] is not None and ok["usage"]["output_tokens"] == 7
    costs = [a["cost_pico"] for a in record["attempts"]]
    assert None not in costs and record["cost_pico"] == sum(c or 0 for c in costs)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("model", ["plain", "checked"])
def test_before_the_first_content_the_fallback_answers_in_both_modes(
    tmp_path: Path, model: str, stream: bool
) -> None:
    async def each(place: Place, fake: RawUpstream) -> None:
        for name, bad in BEFORE.items():
            scripted(fake, bad)
            unblamed(place)
            answer = await place.chat(model, stream=stream)
            try:
                answered_by_the_fallback(place, answer, stream=stream)
                assert [r["model"] for r in fake.requests] == ["bad", "good"]
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from error
        answer = await place.chat("refused", stream=stream)
        answered_by_the_fallback(place, answer, stream=stream)

    with_gateway(tmp_path, each)


async def end(exchange: Exchange) -> None:
    await exchange.write(b"0\r\n\r\n")


AFTER: dict[str, tuple[Behaviour, str]] = {
    "reset": (reset, "upstream_truncated"),
    "silence": (hang, "upstream_timeout"),
    "an error": (lambda e: e.chunk(sse({"error": {"message": "overloaded"}})), "upstream_error"),
    "the end without a finish": (end, "upstream_truncated"),
    "no JSON": (lambda e: e.chunk(b'data: {"choices": [\n\n'), "upstream_malformed"),
    "no chunk": (lambda e: e.chunk(sse({"choices": [7]})), "upstream_malformed"),
}
"""What can come after the first content, and the code of the error that it is."""


@pytest.mark.parametrize("model", ["plain", "checked"])
def test_after_the_first_content_no_other_target_is_asked(tmp_path: Path, model: str) -> None:
    async def each(place: Place, fake: RawUpstream) -> None:
        for name, (then, code) in AFTER.items():

            async def bad(exchange: Exchange, then: Behaviour = then) -> None:
                await exchange.write(STREAM_HEAD + CHUNKED)
                await exchange.chunk(ROLE + sse(chunk({"content": "Once upon a time. " * 40})))
                await then(exchange)

            scripted(fake, bad)
            unblamed(place)
            answer = await place.chat(model, stream=True)
            assert answer.text.startswith("Once upon a time."), name
            assert answer.error is not None and answer.error["code"] == code, name
            assert answer.error["target"] == answer.headers["x-headgate-target"] == "up/bad"
            assert b"[DONE]" not in answer.body
            assert [r["model"] for r in fake.requests] == ["bad"], name
            record = place.records[-1]
            assert (record["outcome"], record["error_code"]) == ("error", code)
            assert record["usage"]["estimated"] and record["usage"]["output_tokens"] > 0

    with_gateway(tmp_path, each)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("at", ["messages", "responses", "completions"])
def test_every_dialect_falls_back_and_names_who_answered(
    tmp_path: Path, at: str, stream: bool
) -> None:
    messages = [{"role": "user", "content": "Where are you?"}]
    asked: dict[str, Json] = {
        "messages": {"messages": messages, "max_tokens": 50},
        "responses": {"input": "Where are you?", "store": False},
        "completions": {"prompt": "Where are you?"},
    }

    async def ask(place: Place, fake: RawUpstream) -> None:
        for bad in (status(500), error_in_200, cut_off):
            scripted(fake, bad)
            body = {"model": "plain", "stream": stream, **asked[at]}
            answer = await place.ask(body, path=f"/v1/{at}")
            assert answer.status == 200, answer.body
            assert answer.headers["x-headgate-target"] == "up/good"
            assert b'"model":"good"' in answer.body and b'"bad"' not in answer.body
            assert [a["outcome"] for a in place.records[-1]["attempts"]] == ["error", "ok"]

    with_gateway(tmp_path, ask)


def test_a_stream_that_begins_with_a_comment_does_not_name_a_target_that_fails_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.02)

    async def ask(place: Place, fake: RawUpstream) -> None:
        commented = asyncio.Event()

        async def bad(exchange: Exchange) -> None:
            await asyncio.wait_for(commented.wait(), 10)
            await exchange.json(500, b"{}")

        scripted(fake, bad)
        messages = [{"role": "user", "content": "Where are you?"}]
        body = {"model": "plain", "stream": True, "messages": messages, "headgate": {"meta": True}}
        answer = await place.ask(body, saw=lambda piece: commented.set())
        assert answer.body.startswith(b": keep-alive") and answer.text == "Here I am."
        assert "x-headgate-target" not in answer.headers
        assert "x-headgate-attempts" not in answer.headers
        assert answer.chunks[-1]["headgate"]["target"] == "up/good"
        assert place.records[-1]["target"] == "up/good"

    with_gateway(tmp_path, ask)
