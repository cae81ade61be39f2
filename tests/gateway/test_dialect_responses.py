"""OpenAI's Responses wire in: a real server, the official client, a chat upstream."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from asking import client_of
from dialect_world import (
    World,
    answers,
    dialect_world,
)
from openai.types.responses import FunctionToolParam
from responses_client import TOOL, TWO_CALLS, Greeting, events_of
from upstream import says


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with dialect_world(tmp_path_factory.mktemp("responses")) as made:
        yield made


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[openai.OpenAI]:
    with client_of(world.server.url) as made:
        yield made


def test_a_response_has_text_usage_and_the_headgate_member(
    world: World, client: openai.OpenAI
) -> None:
    world.fake.answers[:] = [says("Hello", " world")]
    response: Any = client.responses.create(
        model="plain", input="Say hello.", instructions="Be kind.", max_output_tokens=50
    )
    assert response.output_text == "Hello world"
    assert (response.status, response.model, response.error) == ("completed", "fake", None)
    assert response.instructions == "Be kind."
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (11, 7)
    own = response.model_dump()["headgate"]
    assert own["target"] == "up/fake"
    assert own["cost_usd"] == world.chat_cost("Say hello.")
    assert world.fake.seen[0]["max_completion_tokens"] == 50
    assert [m["role"] for m in world.fake.seen[0]["messages"]] == ["system", "user"]


def test_a_stream_has_typed_events_and_costs_the_same_as_the_whole_response(
    world: World, client: openai.OpenAI
) -> None:
    world.fake.answers[:] = [says("Hello", " world")]
    whole: Any = client.responses.create(model="plain", input="Say hello.")
    events = events_of(client, "plain")
    assert [e.type for e in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    last = events[-1].response
    named = {e.response.model for e in events if hasattr(e, "response")}
    assert named == {whole.model} == {"fake"}
    assert last.output_text == whole.output_text == "Hello world"
    assert last.usage == whole.usage
    costs = [world.record(r.id.removeprefix("resp_"))["cost_usd"] for r in (whole, last)]
    assert costs[0] == costs[1] == world.chat_cost("Say hello.")


def test_a_stream_of_a_response_has_no_done(world: World) -> None:
    world.fake.answers[:] = [says("Hello")]
    body = json.dumps({"model": "plain", "input": "Say hello.", "stream": True}).encode()
    request = urllib.request.Request(f"{world.server.url}/v1/responses", data=body)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as response:
        data = response.read()
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert b"[DONE]" not in data
    assert data.startswith(b"event: response.created\ndata: {")


def test_the_clients_own_stream_helper_and_its_parsing_work(
    world: World, client: openai.OpenAI
) -> None:
    world.fake.answers[:] = [says('{"wo', 'rd": "hi"}')]
    with client.responses.stream(model="plain", input="Say hello.", text_format=Greeting) as stream:
        text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert text == '{"word": "hi"}'
    assert final.output_parsed == Greeting(word="hi")
    asked = world.fake.seen[-1]["response_format"]
    assert (asked["type"], asked["json_schema"]["name"]) == ("json_schema", "Greeting")
    parsed = client.responses.parse(model="plain", input="Say hello.", text_format=Greeting)
    assert parsed.output_parsed == Greeting(word="hi")


def test_everything_that_a_request_may_say_reaches_the_upstream_in_its_words(
    world: World, client: openai.OpenAI
) -> None:
    world.fake.answers[:] = [says("ok")]
    raw = client.responses.with_raw_response.create(
        model="plain",
        instructions="Be brief.",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {
                        "type": "input_image",
                        "image_url": "https://example.com/a.png",
                        "detail": "low",
                    },
                ],
            },
            {
                "type": "function_call",
                "call_id": "c1",
                "name": "weather",
                "arguments": '{"place": "Oslo"}',
            },
            {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "rain"},
            {
                "type": "function_call_output",
                "call_id": "c2",
                "output": [{"type": "input_image", "image_url": "https://example.com/b.png"}],
            },
            {"role": "user", "content": "So?"},
        ],
        tools=[TOOL],
        tool_choice={"type": "function", "name": "weather"},
        parallel_tool_calls=False,
        reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
        text={"verbosity": "low"},
        temperature=0.5,
        top_p=0.9,
        user="u-1",
        extra_body={"seed": 7},
    )
    assert raw.headers["x-headgate-dropped"] == "reasoning.encrypted_content, reasoning.summary"
    seen = world.fake.seen[-1]
    picture = {"url": "https://example.com/a.png", "detail": "low"}
    assert seen["messages"][:2] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": picture},
            ],
        },
    ]
    calls = seen["messages"][2]["tool_calls"]
    assert [(c["id"], c["function"]["arguments"]) for c in calls] == [
        ("c1", '{"place": "Oslo"}'),
        ("c2", "{}"),
    ]
    assert [(m["role"], m.get("content")) for m in seen["messages"][3:]] == [
        ("tool", "rain"),
        ("tool", ""),
        ("user", [{"type": "image_url", "image_url": {"url": "https://example.com/b.png"}}]),
        ("user", "So?"),
    ]
    function = {k: v for k, v in TOOL.items() if k != "type"}
    expected = {
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "verbosity": "low",
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u-1",
        "seed": 7,
    }
    assert {k: seen.get(k) for k in expected} == expected


@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_parallel_tool_calls_are_equal_streamed_or_not(
    world: World, client: openai.OpenAI, model: str
) -> None:
    message = {"content": "I look.", "reasoning_content": "Two places.", "tool_calls": TWO_CALLS}
    world.fake.answers[:] = [answers(message, "tool_calls", 3)]
    whole: Any = client.responses.create(model=model, input="Say hello.", tools=[TOOL])
    with client.responses.stream(model=model, input="Say hello.", tools=[TOOL]) as stream:
        deltas: dict[str, str] = {}
        for event in stream:
            if event.type == "response.function_call_arguments.delta":
                deltas[event.item_id] = deltas.get(event.item_id, "") + event.delta
        streamed: Any = stream.get_final_response()
    for found in (whole, streamed):
        kinds = [item.type for item in found.output]
        assert kinds == ["reasoning", "message", "function_call", "function_call"]
        assert found.output[0].content[0].text == "Two places."
        assert found.output_text == "I look."
        calls = [(i.call_id, json.loads(i.arguments)) for i in found.output[2:]]
        assert calls == [("call_0", {"place": "Oslo"}), ("call_1", {"place": "Rome"})]
    assert list(deltas.values()) == [i.arguments for i in streamed.output[2:]]


def test_an_answer_goes_back_as_the_client_got_it(world: World, client: openai.OpenAI) -> None:
    message = {"content": "I look.", "reasoning_content": "Hm.", "tool_calls": TWO_CALLS}
    world.fake.answers[:] = [answers(message, "tool_calls"), says("Rain.")]
    first: Any = client.responses.create(model="plain", input="Say hello.", tools=[TOOL])
    items: list[Any] = [{"role": "user", "content": "Say hello."}, *first.output]
    items += [
        {"type": "function_call_output", "call_id": f"call_{n}", "output": "rain"} for n in (0, 1)
    ]
    raw = client.responses.with_raw_response.create(model="plain", input=items, tools=[TOOL])
    assert "x-headgate-dropped" not in raw.headers
    roles = [m["role"] for m in world.fake.seen[-1]["messages"]]
    assert roles == ["user", "assistant", "tool", "tool"]
    said = world.fake.seen[-1]["messages"][1]
    assert (said["content"], said["reasoning_content"]) == ("I look.", "Hm.")
    assert [c["id"] for c in said["tool_calls"]] == ["call_0", "call_1"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_parsed_answer_goes_back_too(world: World, client: openai.OpenAI, stream: bool) -> None:
    tool: FunctionToolParam = {
        **TOOL,
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}},
            "required": ["place"],
            "additionalProperties": False,
        },
    }
    message = {"content": '{"word": "hi"}', "tool_calls": TWO_CALLS[:1]}
    world.fake.answers[:] = [answers(message, "tool_calls"), says("Rain.")]
    asked: dict[str, Any] = {"model": "plain", "tools": [tool], "text_format": Greeting}
    if stream:
        with client.responses.stream(**asked, input="Say hello.") as events:
            first: Any = events.get_final_response()
    else:
        first = client.responses.parse(**asked, input="Say hello.")
    assert first.output_parsed == Greeting(word="hi")
    dumped = [item.model_dump(warnings=False) for item in first.output]
    assert dumped[1]["parsed_arguments"] == {"place": "Oslo"}
    items: list[Any] = [{"role": "user", "content": "Say hello."}, *dumped]
    items.append({"type": "function_call_output", "call_id": "call_0", "output": "rain"})
    raw = client.responses.with_raw_response.create(model="plain", input=items, tools=[tool])
    assert "x-headgate-dropped" not in raw.headers
    said = world.fake.seen[-1]["messages"][1]
    assert said["content"] == '{"word": "hi"}'
    assert said["tool_calls"][0]["function"]["arguments"] == '{"place": "Oslo"}'


def test_items_of_a_stream_come_one_after_the_other(world: World, client: openai.OpenAI) -> None:
    message = {"content": "I look.", "reasoning_content": "Hm.", "tool_calls": TWO_CALLS}
    world.fake.answers[:] = [answers(message, "tool_calls", 3)]
    open_item = -1
    for event in events_of(client, "plain", tools=[TOOL]):
        if event.type == "response.output_item.added":
            assert event.output_index == open_item + 1
            open_item = event.output_index
        elif hasattr(event, "output_index"):
            assert event.output_index == open_item
    assert open_item == 3
