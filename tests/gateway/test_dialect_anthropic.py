"""Anthropic's wire in: a real server, the official ``anthropic`` client, an OpenAI upstream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic_client import HELLO, TOOLS, TWO_CALLS, Greeting, streamed
from dialect_world import (
    World,
    answers,
    dialect_world,
)
from upstream import says


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with dialect_world(tmp_path_factory.mktemp("anthropic")) as made:
        yield made


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=world.server.url, api_key="none", max_retries=0) as made:
        yield made


def test_a_message_has_text_usage_and_the_headgate_member(
    world: World, client: anthropic.Anthropic
) -> None:
    world.fake.answers[:] = [says("Hello", " world")]
    raw = client.messages.with_raw_response.create(model="plain", max_tokens=100, messages=HELLO)
    message: Any = raw.parse()
    assert [b.text for b in message.content if b.type == "text"] == ["Hello world"]
    assert (message.stop_reason, message.model) == ("end_turn", "fake")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (11, 7)
    own = message.model_dump()["headgate"]
    assert own["target"] == "up/fake"
    assert own["cost_usd"] == world.chat_cost("Say hello.")
    assert raw.headers["request-id"] == raw.headers["x-request-id"] == own["call_id"]
    assert world.fake.seen[0]["max_tokens"] == 100


def test_a_stream_says_the_same_and_costs_the_same_as_the_whole_message(
    world: World, client: anthropic.Anthropic
) -> None:
    world.fake.answers[:] = [says("Hello", " world")]
    whole: Any = client.messages.create(model="plain", max_tokens=100, messages=HELLO)
    types, message = streamed(client, "plain")
    raw = [t for t in types if t not in ("text",)]
    assert raw == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert message.content[0].text == "Hello world"
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens == whole.usage.input_tokens
    assert message.usage.output_tokens == whole.usage.output_tokens
    costs = [world.record(m.id.removeprefix("msg_"))["cost_usd"] for m in (whole, message)]
    assert costs[0] == costs[1] == world.chat_cost("Say hello.")


def test_the_headgate_member_of_a_stream_is_in_its_message_delta(
    client: anthropic.Anthropic, world: World
) -> None:
    world.fake.answers[:] = [says("Hello")]
    events = client.messages.create(model="plain", max_tokens=9, messages=HELLO, stream=True)
    deltas = [e.model_dump() for e in events if e.type == "message_delta"]
    assert [d["headgate"]["target"] for d in deltas] == ["up/fake"]


def test_everything_that_a_request_may_say_reaches_the_upstream_in_its_words(
    world: World, client: anthropic.Anthropic
) -> None:
    world.fake.answers[:] = [says("ok")]
    picture = {"type": "base64", "media_type": "image/png", "data": "QUJD"}
    content: list[Any] = [
        {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": picture},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    ]
    raw = client.messages.with_raw_response.create(
        model="plain",
        max_tokens=50,
        system=[{"type": "text", "text": "Be brief."}],
        messages=[
            {"role": "user", "content": content},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"place": "Oslo"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "rain"},
                    {"type": "text", "text": "So?"},
                ],
            },
        ],
        stop_sequences=["END"],
        extra_body={"temperature": 0.5, "top_p": 0.9, "top_k": 5, "seed": 7},
        metadata={"user_id": "u-1"},
        tools=TOOLS,
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 4096},
    )
    raw.parse()
    assert raw.headers["x-headgate-dropped"] == "cache_control"
    seen = world.fake.seen[-1]
    data = "data:image/png;base64,QUJD"
    assert seen["messages"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": data}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"place":"Oslo"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "rain"},
        {"role": "user", "content": "So?"},
    ]
    assert seen["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "The weather of a place.",
                "parameters": TOOLS[0]["input_schema"],
            },
        }
    ]
    expected = {
        "max_tokens": 50,
        "stop": ["END"],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "seed": 7,
        "user": "u-1",
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "reasoning_effort": "medium",
    }
    assert {k: seen.get(k) for k in expected} == expected


@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_parallel_tool_calls_are_equal_streamed_or_not(
    world: World, client: anthropic.Anthropic, model: str
) -> None:
    message = {"content": "I look.", "reasoning_content": "Two places.", "tool_calls": TWO_CALLS}
    world.fake.answers[:] = [answers(message, "tool_calls")]
    whole: Any = client.messages.create(model=model, max_tokens=99, messages=HELLO, tools=TOOLS)
    _, stream = streamed(client, model, tools=TOOLS)
    for found in (whole, stream):
        assert found.stop_reason == "tool_use"
        calls = [(b.id, b.name, b.input) for b in found.content if b.type == "tool_use"]
        assert calls == [
            ("call_0", "weather", {"place": "Oslo"}),
            ("call_1", "weather", {"place": "Rome"}),
        ]
        assert "".join(b.text for b in found.content if b.type == "text") == "I look."
        thoughts = [b.thinking for b in found.content if b.type == "thinking"]
        assert "".join(thoughts) == "Two places."


def test_blocks_of_a_stream_come_one_after_the_other(
    world: World, client: anthropic.Anthropic
) -> None:
    message = {"content": "I look.", "tool_calls": TWO_CALLS}
    world.fake.answers[:] = [answers(message, "tool_calls", 3)]
    events = client.messages.create(
        model="plain", max_tokens=99, messages=HELLO, tools=TOOLS, stream=True
    )
    open_block = -1
    for event in events:
        if event.type == "content_block_start":
            assert event.index == open_block + 1
            open_block = event.index
        elif event.type in ("content_block_delta", "content_block_stop"):
            assert event.index == open_block
    assert open_block == 2


def test_an_answer_goes_back_as_the_client_got_it(
    world: World, client: anthropic.Anthropic
) -> None:
    message = {"content": "I look.", "reasoning_content": "Hm.", "tool_calls": TWO_CALLS[:1]}
    world.fake.answers[:] = [answers(message, "tool_calls"), says("Rain.")]
    first: Any = client.messages.create(model="plain", max_tokens=99, messages=HELLO, tools=TOOLS)
    result = {"type": "tool_result", "tool_use_id": "call_0", "content": "rain"}
    turns = [*HELLO, {"role": "assistant", "content": first.content}]
    turns.append({"role": "user", "content": [result]})
    client.messages.create(model="plain", max_tokens=99, messages=turns, tools=TOOLS)
    assert world.fake.seen[-1]["messages"][1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "Hm.",
            "tool_calls": [
                {
                    "id": "call_0",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"place":"Oslo"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_0", "content": "rain"},
    ]


def test_structured_output_is_asked_for_and_parsed(
    world: World, client: anthropic.Anthropic
) -> None:
    world.fake.answers[:] = [says('{"wo', 'rd": "hi"}')]
    message = client.messages.parse(
        model="plain", max_tokens=9, messages=HELLO, output_format=Greeting
    )
    assert message.parsed_output == Greeting(word="hi")
    asked = world.fake.seen[-1]["response_format"]
    assert asked["type"] == "json_schema"
    assert set(asked["json_schema"]["schema"]["properties"]) == {"word"}


def test_a_picture_in_a_tools_result_comes_with_the_users_own_parts(
    world: World, client: anthropic.Anthropic
) -> None:
    world.fake.answers[:] = [says("ok")]
    picture = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    results: list[Any] = [
        {"type": "tool_result", "tool_use_id": "a", "content": [picture], "is_error": True},
        {"type": "tool_result", "tool_use_id": "b", "content": "text"},
    ]
    raw = client.messages.with_raw_response.create(
        model="plain", max_tokens=9, messages=[*HELLO, {"role": "user", "content": results}]
    )
    assert [m["role"] for m in world.fake.seen[-1]["messages"]] == ["user", "tool", "tool", "user"]
    part = world.fake.seen[-1]["messages"][-1]["content"][0]
    assert part["image_url"]["url"] == "https://example.com/a.png"
    assert raw.headers["x-headgate-dropped"] == "is_error"
