"""Anthropic's wire where it ends otherwise: refused, cut short, masked, blocked, hung up."""

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
from anthropic_client import HELLO, TOOLS, streamed
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
from upstream import fails, says


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with dialect_world(tmp_path_factory.mktemp("anthropic")) as made:
        yield made


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=world.server.url, api_key="none", max_retries=0) as made:
        yield made


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
