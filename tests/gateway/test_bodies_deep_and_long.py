"""Bodies nested too deep, and numbers with many digits: told at once, or no matter at all."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from dialect_world import World, answers, call, dialect_world
from upstream import Answer, completion, replies, says

from headgate_core.errors import InvalidRequest
from headgate_gateway.http.asgi import parse_object
from headgate_gateway.http.long_numbers import refuse_rounded

Json = dict[str, Any]
USER: list[Any] = [{"role": "user", "content": "Hi"}]
ASKED: dict[str, Json] = {
    "chat/completions": {"messages": USER},
    "messages": {"messages": USER, "max_tokens": 9},
    "responses": {"input": "Hi"},
    "completions": {"prompt": "Hi"},
    "embeddings": {"input": "Hi"},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with dialect_world(tmp_path_factory.mktemp("deep")) as made:
        yield made


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.parametrize("levels", [230, 300, 900])
def test_a_body_that_is_nested_too_deep_is_the_callers_fault(
    world: World, path: str, levels: int
) -> None:
    world.fake.seen.clear()
    for headers in ({}, {"Idempotency-Key": f"{path} {levels}"}):
        body = {"model": "plain", **ASKED[path], "metadata": nested(levels)}
        status, told = world.server.post(f"/v1/{path}", body, headers)
        assert status == 400, told
        assert "nested deeper than 200 levels" in told["error"]["message"]
        assert told["error"]["param"] == "metadata"
    assert world.fake.seen == []


@pytest.mark.parametrize("path", ["chat/completions", "messages", "responses"])
def test_a_tools_schema_of_a_hundred_levels_passes(world: World, path: str) -> None:
    world.fake.answers[:] = [says("Hello!")]
    schema = {"type": "object", "properties": nested(100)}
    tool: Json = {"type": "function", "name": "f", "parameters": schema}
    if path == "chat/completions":
        tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    elif path == "messages":
        tool = {"name": "f", "input_schema": schema}
    for model in ("plain", "guarded"):
        body = {"model": model, **ASKED[path], "tools": [tool]}
        status, told = world.server.post(f"/v1/{path}", body)
        assert status == 200, told


@pytest.mark.parametrize("path", [path for path in ASKED if path != "embeddings"])
@pytest.mark.parametrize("model", ["plain", "guarded", "prompted"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_body_of_two_hundred_levels_passes(
    world: World, path: str, model: str, stream: bool
) -> None:
    world.fake.answers[:] = [says("Hello!")]
    body = {"model": model, **ASKED[path], "stream": stream, "unknown": nested(199)}
    body["headgate"] = {"inputs": {"name": "Ada"}} if model == "prompted" else {}
    url = f"{world.server.url}/v1/{path}"
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"{path}{model}{stream}"}
    asked = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(asked, timeout=60) as reply:
        assert b"Hello" in reply.read()
    assert world.fake.seen[-1]["unknown"] == nested(199)


def deep_reply() -> Answer:
    return replies({**completion("Hi"), "more": nested(300)})


def test_a_reply_that_is_too_deep_to_be_written_again_is_the_upstreams_fault(world: World) -> None:
    world.fake.answers[:] = [deep_reply()]
    for path in ("chat/completions", "messages", "responses", "completions"):
        status, told = world.server.post(f"/v1/{path}", {"model": "guarded", **ASKED[path]})
        assert (status, told["error"]["code"]) == (502, "upstream_malformed"), told


def test_a_deep_reply_that_is_passed_on_as_it_came_is_no_matter(world: World) -> None:
    world.fake.answers[:] = [deep_reply()]
    body = {"model": "plain", **ASKED["chat/completions"]}
    status, told = world.server.post("/v1/chat/completions", body)
    assert status == 200 and told["more"] == nested(300)


def test_arguments_too_deep_for_a_block_come_as_their_text(world: World) -> None:
    arguments = json.dumps(nested(300))
    world.fake.answers[:] = [answers({"content": None, "tool_calls": [call(1, "f", arguments)]})]
    url = world.server.url
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        message: Any = client.messages.create(model="plain", max_tokens=9, messages=USER)
    assert message.content[0].input == {"INVALID_JSON": arguments}


LONG = "1234567890123456789012345"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (f'{{"a": {LONG}}}', "a"),
        (f'{{"a": [{{"b": -{LONG}}}]}}', "a[0].b"),
        (f'{{"t": "{LONG} \\" {LONG}", "a": -9223372036854775809}}', "a"),
        (f'{{"t": "\\\\", "a": {LONG}, "u": "\\\\"}}', "a"),
        (f'{{"a":{LONG}}}', "a"),
        (f'{{"pad": "{"x" * 1_000_001}", "n": 1, "a": {{"b": {LONG}}}}}', "a"),
    ],
)
def test_a_number_that_would_be_rounded_is_named(body: str, path: str) -> None:
    with pytest.raises(InvalidRequest) as told:
        parse_object(body.encode())
    assert told.value.param == path and ("1234567890" in str(told.value) or "807" not in path)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"a": "{LONG}", "b": "\\" {LONG} \\" {LONG}"}}',
        f'{{"{LONG}": "\\\\", "b": ", {LONG} ,"}}',
        f'{{"a": 0.{LONG}, "b": {LONG}.5, "c": {LONG}e3, "d": 1e-00000000000000000000002}}',
        '{"a": 18446744073709551615, "b": -9223372036854775808, "c": 100000000000000000000}',
        f'{{"a": "{"7" * 6000}"}}',
        f'{{"a": "{"x" * 1_000_001}", "b": "{LONG}"}}',
    ],
)
def test_long_numbers_in_texts_and_those_that_stay_what_they_are_pass(body: str) -> None:
    assert parse_object(body.encode()) == json.loads(body)


def test_digits_in_a_text_do_not_have_the_body_read_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("the body was read by the slow parser")

    body: Json = {"text": f"id 1234567890123456789, or {LONG}", "x": [[1] * 10] * 100}
    data = json.dumps(body).encode()
    monkeypatch.setattr(json, "loads", never)
    refuse_rounded(data, body)
