"""Responses that pass through: retries, fallbacks, mixed pools, state, and guarded routes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from configs import write_config
from dialect_world import POLICY, TEXT
from in_process import opened
from native_wire import CONFIG, Work, World, events_of, native_world, response
from raw_upstream import Exchange, raw_upstream
from replay import json_events
from upstream import completion, stream_of

from headgate_core.errors import ConfigurationError
from headgate_core.settings.load import load_settings
from headgate_gateway.inspect import compiled, show_lines

Json = dict[str, Any]


def run(folder: Path, work: Work) -> None:
    async def inside() -> None:
        async with native_world(folder) as world:
            await work(world)

    asyncio.run(inside())


def paths(world: World, exchanges: list[str]) -> Any:
    """Both wires of the upstream; ``exchanges`` is told which one was asked."""

    async def script(exchange: Exchange) -> None:
        path = exchange.headers[":path"].removeprefix("/v1/")
        exchanges.append(path)
        if path == "responses":
            await exchange.json(503, b'{"error": {"message": "broken"}}')
        elif exchange.body.get("stream"):
            await exchange.stream(stream_of(["Hel", "lo"]))
        else:
            await exchange.json(200, orjson.dumps(completion("Hello")))

    world.fake.script = script


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_without_responses_answers_by_translation(tmp_path: Path, stream: bool) -> None:
    async def fall(world: World) -> None:
        asked: list[str] = []
        paths(world, asked)
        answer = await world.responded("safe", stream=stream, instructions="Be short.")
        assert answer.status == 200
        assert asked == ["responses", "chat/completions"]
        assert answer.headers["x-headgate-target"] == "plain/chat"
        body = json_events(answer.body)[-1]["response"] if stream else answer.json
        assert body["output"][0]["content"][0]["text"] == "Hello"
        sent = world.fake.requests[-1]
        assert [m["role"] for m in sent["messages"]] == ["system", "user"]
        assert (sent["model"], sent["max_tokens"]) == ("chat", 2048)
        record = world.place.records[-1]
        assert [a["outcome"] for a in record["attempts"]] == ["error", "ok"]
        assert record["usage"]["output_tokens"] >= 7

    run(tmp_path, fall)


def test_a_stream_that_only_began_falls_back_unseen(tmp_path: Path) -> None:
    async def fall(world: World) -> None:
        async def script(exchange: Exchange) -> None:
            if exchange.headers[":path"].endswith("/responses"):
                await exchange.stream(events_of(["Hel"])[:4])
            else:
                await exchange.stream(stream_of(["Hel", "lo"]))

        world.fake.script = script
        answer = await world.responded("safe", stream=True)
        events = json_events(answer.body)
        assert events[-1]["type"] == "response.completed"
        assert [e["type"] for e in events].count("response.created") == 1
        assert [a["outcome"] for a in world.place.records[-1]["attempts"]] == ["error", "ok"]

    run(tmp_path, fall)


def test_after_the_first_content_there_is_no_other_target(tmp_path: Path) -> None:
    async def fall(world: World) -> None:
        world.streams(events_of(["Hel"])[:5])
        answer = await world.responded("safe", stream=True)
        assert json_events(answer.body)[-2]["code"] == "upstream_truncated"
        assert len(world.fake.requests) == 1

    run(tmp_path, fall)


def test_a_failure_is_tried_again(tmp_path: Path) -> None:
    async def retry(world: World) -> None:
        async def script(exchange: Exchange) -> None:
            if len(world.fake.requests) == 1:
                await exchange.json(500, b"{}")
            else:
                await exchange.json(200, orjson.dumps(response("Hello")))

        world.fake.script = script
        answer = await world.responded("twice")
        assert (answer.status, answer.headers["x-headgate-attempts"]) == (200, "2")

    run(tmp_path, retry)


def test_a_refusal_of_the_upstream_keeps_its_words(tmp_path: Path) -> None:
    async def refuse(world: World) -> None:
        error = {"message": "no such tool", "type": "invalid_request_error", "param": "tools"}
        world.says({"error": {**error, "code": "bad_tool"}}, 400)
        answer = await world.responded("safe")
        told = answer.json["error"]
        assert (answer.status, told["param"], told["code"]) == (400, "tools", "bad_tool")
        assert len(world.fake.requests) == 1

    run(tmp_path, refuse)


def test_a_target_that_chat_cannot_ask_is_left_out_and_on_record(tmp_path: Path) -> None:
    async def pick(world: World) -> None:
        world.says(completion("Hello"))
        assert (await world.responded("mixed")).headers["x-headgate-target"] == "plain/chat"
        world.says(response("Hello"))
        answer = await world.responded("mixed", tools=[{"type": "web_search"}])
        assert answer.headers["x-headgate-target"] == "up/one"
        record = world.place.records[-1]
        assert len(record["attempts"]) == 1
        assert "did without plain/chat: `tools[0].type` is not served" in record["degraded"][0]

    run(tmp_path, pick)


def test_a_fallback_that_cannot_be_asked_does_not_hide_the_failure(tmp_path: Path) -> None:
    async def fall(world: World) -> None:
        asked: list[str] = []
        paths(world, asked)
        answer = await world.responded("safe", tools=[{"type": "web_search"}])
        assert (answer.status, answer.json["error"]["message"]) == (502, "broken")
        assert asked == ["responses"]
        [note] = world.place.records[-1]["degraded"]
        assert "plain/chat" in note

    run(tmp_path, fall)


STATE: list[tuple[str, Any]] = [
    ("previous_response_id", "resp_0"),
    ("conversation", {"id": "conv_0"}),
    ("prompt", {"id": "pmpt_0"}),
]


@pytest.mark.parametrize(("name", "value"), STATE)
def test_what_an_upstream_keeps_passes_where_there_is_one(
    tmp_path: Path, name: str, value: object
) -> None:
    async def both(world: World) -> None:
        world.says(response("Hello"))
        assert (await world.responded("mixed", **{name: value})).status == 200
        assert world.fake.requests[-1][name] == value
        before = len(world.fake.requests)
        answer = await world.responded("pair", **{name: value})
        told = answer.json["error"]
        assert (answer.status, told["param"], told["code"]) == (400, name, "unsupported_parameter")
        answer = await world.responded("chats", **{name: value})
        assert answer.status == 400 and answer.json["error"]["param"].startswith(name)
        assert len(world.fake.requests) == before

    run(tmp_path, both)


@pytest.mark.parametrize("model", ["main", "pair", "mixed", "chats", "captured"])
def test_background_is_refused_everywhere(tmp_path: Path, model: str) -> None:
    async def refuse(world: World) -> None:
        answer = await world.responded(model, background=True)
        assert (answer.status, answer.json["error"]["param"]) == (400, "background")
        assert not world.fake.requests

    run(tmp_path, refuse)


@pytest.mark.parametrize("model", ["formed", "captured"])
def test_routes_that_need_the_text_or_say_more_are_translated(tmp_path: Path, model: str) -> None:
    async def translated(world: World) -> None:
        world.says(completion("Hello"))
        answer = await world.responded(model)
        assert answer.json["output"][0]["content"][0]["text"] == "Hello"
        assert "messages" in world.fake.requests[-1]

    run(tmp_path, translated)


@pytest.mark.parametrize(
    ("route", "shown"),
    [("main", ["responses, completions"]), ("pair", ["responses, completions"]), ("captured", [])],
)
def test_a_check_shows_what_passes_through(tmp_path: Path, route: str, shown: list[str]) -> None:
    settings = load_settings(write_config(tmp_path, CONFIG.format(url="http://127.0.0.1:9/v1")))
    lines = list(show_lines(settings, compiled(settings), route))
    found = [line.split(maxsplit=1)[1] for line in lines if line.startswith("native")]
    assert found == [f"{wires} untranslated at targets that speak them" for wires in shown]


def test_a_wire_that_there_is_not_is_refused_at_load(tmp_path: Path) -> None:
    text = CONFIG.format(url="http://127.0.0.1:9/v1").replace("[responses]", "[respones]")
    with pytest.raises(ConfigurationError, match="respones"):
        load_settings(write_config(tmp_path, text))


GUARDED = """\
auth: {{keys: open}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}", native: [responses]}}}}
pools: [{{name: main, targets: [{{provider: up, model: one}}]}}]
routes: [{{name: guarded, pool: main, guards: [house]}}]
"""


@pytest.mark.parametrize("stream", [False, True])
def test_no_unguarded_byte_passes_through(tmp_path: Path, stream: bool) -> None:
    async def inside() -> None:
        async def script(exchange: Exchange) -> None:
            assert exchange.headers[":path"] == "/v1/chat/completions"
            if stream:
                await exchange.stream(stream_of([TEXT[:20], TEXT[20:]]))
            else:
                await exchange.json(200, orjson.dumps(completion(TEXT)))

        (tmp_path / "guardrails").mkdir()
        (tmp_path / "guardrails" / "house.yaml").write_text(POLICY)
        async with raw_upstream(script) as fake:
            config = write_config(tmp_path, GUARDED.format(url=fake.url))
            async with opened(config) as place:
                body = {"model": "guarded", "input": "Whom?", "stream": stream}
                answer = await place.ask(body, path="/v1/responses")
        assert answer.status == 200 and b"[EMAIL]" in answer.body
        assert b"jane" not in answer.body and b"example.com" not in answer.body

    asyncio.run(inside())
