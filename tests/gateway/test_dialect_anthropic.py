"""Anthropic's wire in: a real server, the official ``anthropic`` client, an OpenAI upstream."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from aiohttp import web
from dialect_world import (
    ATTACK,
    MASKED,
    SECRET,
    TEXT,
    World,
    answers,
    call,
    dialect_world,
    hangs,
)
from pydantic import BaseModel
from upstream import fails, says

HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]
TOOLS: list[Any] = [
    {
        "name": "weather",
        "description": "The weather of a place.",
        "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}},
    }
]
TWO_CALLS = [call(0, "weather", '{"place": "Oslo"}'), call(1, "weather", '{"place": "Rome"}')]


class Greeting(BaseModel):
    """What structured output is parsed into."""

    word: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with dialect_world(tmp_path_factory.mktemp("anthropic")) as made:
        yield made


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=world.server.url, api_key="none", max_retries=0) as made:
        yield made


def streamed(
    client: anthropic.Anthropic, model: str, messages: list[Any] = HELLO, **more: Any
) -> tuple[list[str], Any]:
    """The types of the stream's events, and the message that the client makes of them."""
    with client.messages.stream(model=model, max_tokens=100, messages=messages, **more) as stream:
        types: list[str] = [event.type for event in stream]
        return types, stream.get_final_message()


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


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal")],
)
def test_why_it_stopped_is_said_in_anthropics_words(
    world: World, client: anthropic.Anthropic, finish: str, reason: str
) -> None:
    world.fake.answers[:] = [answers({"content": "Hello"}, finish)]
    whole: Any = client.messages.create(model="plain", max_tokens=9, messages=HELLO)
    assert whole.stop_reason == streamed(client, "plain")[1].stop_reason == reason


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"container": "c"}, "container"),
        ({"service_tier": "standard_only"}, "service_tier"),
        ({"n": 2}, "n"),
        ({"tools": [{"type": "web_search_20250305", "name": "s"}]}, "tools[0].type"),
        ({"tools": [{**TOOLS[0], "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"metadata": {"team": "x"}}, "metadata.team"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image", "source": {"type": "file", "file_id": "f"}},
                        ],
                    }
                ]
            },
            "messages[0].content[0].source.type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "redacted_thinking"}]}]},
            "messages[0].content[0].type",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(
    world: World, body: dict[str, Any], param: str
) -> None:
    before = len(world.fake.seen)
    status, answer = world.server.post(
        "/v1/messages", {"model": "plain", "max_tokens": 9, "messages": HELLO, **body}
    )
    assert status == 400
    assert (answer["type"], answer["error"]["type"]) == ("error", "invalid_request_error")
    assert answer["error"]["param"] == param
    assert param in answer["error"]["message"]
    assert len(world.fake.seen) == before


def test_errors_come_in_anthropics_envelope(world: World, client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as missing:
        client.messages.create(model="no-such", max_tokens=9, messages=HELLO)
    assert missing.value.type == "not_found_error"
    assert missing.value.request_id
    with pytest.raises(anthropic.AuthenticationError) as unknown:
        client.with_options(api_key="hg-wrong").messages.create(
            model="plain", max_tokens=9, messages=HELLO
        )
    assert unknown.value.type == "authentication_error"
    world.fake.answers[:] = [fails(429, "slow down")]
    with pytest.raises(anthropic.RateLimitError) as limited:
        client.messages.create(model="plain", max_tokens=9, messages=HELLO)
    assert limited.value.type == "rate_limit_error"
    world.fake.answers[:] = [fails(503)]
    with pytest.raises(anthropic.InternalServerError) as broken:
        client.messages.create(model="plain", max_tokens=9, messages=HELLO)
    assert broken.value.type == "api_error"
    assert isinstance(broken.value.body, dict)
    assert broken.value.body["error"]["upstream_status"] == 503


def test_paths_below_messages_answer_in_anthropics_envelope(
    client: anthropic.Anthropic, world: World
) -> None:
    with pytest.raises(anthropic.NotFoundError) as unserved:
        client.messages.count_tokens(model="plain", messages=HELLO)
    assert unserved.value.type == "not_found_error"
    assert "count_tokens" in unserved.value.message
    status, body = world.server.get("/v1/messages")
    assert (status, body["type"]) == (405, "error")


def test_a_truncated_stream_ends_in_an_error_event(
    world: World, client: anthropic.Anthropic
) -> None:
    world.fake.answers[:] = [says("Hello", done=False, finish=False)]
    seen: list[str] = []
    events = client.messages.create(model="plain", max_tokens=9, messages=HELLO, stream=True)
    with pytest.raises(anthropic.APIStatusError) as caught:
        seen.extend(event.type for event in events)
    assert "message_stop" not in seen
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["code"] == "upstream_truncated"


@pytest.mark.parametrize("cut", [1, 12, 18, 28])
def test_a_mask_holds_in_a_stream_wherever_it_is_cut(
    world: World, client: anthropic.Anthropic, cut: int
) -> None:
    world.fake.answers[:] = [says(TEXT[:cut], TEXT[cut:])]
    _, message = streamed(client, "guarded")
    assert message.content[0].text == MASKED


def test_thoughts_and_arguments_are_masked_too(world: World, client: anthropic.Anthropic) -> None:
    arguments = json.dumps({"to": "jane.doe@example.com"})
    message = {"content": TEXT, "reasoning_content": TEXT, "tool_calls": [call(0, "m", arguments)]}
    world.fake.answers[:] = [answers(message, "tool_calls", 5)]
    whole: Any = client.messages.create(model="guarded", max_tokens=99, messages=HELLO)
    _, stream = streamed(client, "guarded")
    for found in (whole, stream):
        assert "jane.doe" not in found.model_dump_json()
        assert "".join(b.thinking for b in found.content if b.type == "thinking") == MASKED
        assert "".join(b.text for b in found.content if b.type == "text") == MASKED
        assert [b.input for b in found.content if b.type == "tool_use"] == [{"to": "[EMAIL]"}]


def test_a_blocked_answer_is_a_refusal(world: World, client: anthropic.Anthropic) -> None:
    world.fake.answers[:] = [says("The key is ", *SECRET, ", keep it.")]
    whole: Any = client.messages.create(model="guarded", max_tokens=99, messages=HELLO)
    assert [b.text for b in whole.content if b.type == "text"] == ["Not with me."]
    _, stream = streamed(client, "guarded")
    assert whole.stop_reason == stream.stop_reason == "refusal"
    assert SECRET[:8] not in stream.model_dump_json()
    attack: list[Any] = [{"role": "user", "content": ATTACK}]
    with pytest.raises(anthropic.BadRequestError) as blocked:
        client.messages.create(model="strict", max_tokens=99, messages=attack)
    assert isinstance(blocked.value.body, dict)
    assert blocked.value.body["error"]["code"] == "guardrail_blocked"


def test_a_hang_up_reaches_the_upstream(world: World, client: anthropic.Anthropic) -> None:
    world.fake.hung_up = threading.Event()
    world.fake.answers[:] = [hangs]
    events = client.messages.create(model="plain", max_tokens=9, messages=HELLO, stream=True)
    first = next(iter(events))
    events.close()
    assert first.type == "message_start"
    assert world.fake.hung_up.wait(10)


def test_a_hang_up_while_a_whole_message_is_awaited_reaches_the_upstream(world: World) -> None:
    world.fake.hung_up = threading.Event()
    arrived = threading.Event()

    async def never(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    world.fake.answers[:] = [never]
    body = json.dumps({"model": "plain", "max_tokens": 9, "messages": HELLO}).encode()
    head = (
        b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    with socket.create_connection(("127.0.0.1", world.server.port)) as connection:
        connection.sendall(head + body)
        assert arrived.wait(10)
    assert world.fake.hung_up.wait(10)


def test_a_call_is_on_record_under_the_endpoint_that_was_called(
    world: World, client: anthropic.Anthropic
) -> None:
    world.fake.answers[:] = [says("Hello")]
    message = client.messages.create(model="plain", max_tokens=9, messages=HELLO)
    record = world.record(message.id.removeprefix("msg_"))
    assert (record["endpoint"], record["route"], record["outcome"]) == ("messages", "plain", "ok")


def test_the_same_idempotency_key_answers_once_in_the_dialects_words(
    world: World, client: anthropic.Anthropic
) -> None:
    world.fake.answers[:] = [says("Hello")]
    before = len(world.fake.seen)
    headers = {"Idempotency-Key": "anthropic-1"}
    texts = []
    for _ in range(2):
        message: Any = client.messages.create(
            model="plain", max_tokens=9, messages=HELLO, extra_headers=headers
        )
        texts.append(message.content[0].text)
    assert texts == ["Hello", "Hello"]
    assert len(world.fake.seen) == before + 1
