"""The official ``anthropic`` client, synchronous and asynchronous, against a real server.

What becomes of each member of a request is in ``tests/gateway/test_dialect_anthropic.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from clients_world import World, clients_world, in_turn, well
from dialect_world import ATTACK, answers, call
from pydantic import BaseModel
from upstream import fails

HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]
ASKED: dict[str, Any] = {"model": "plain", "max_tokens": 100, "messages": HELLO}
TOOLS: list[Any] = [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
TWO_CALLS = [call(0, "weather", '{"place": "Oslo"}'), call(1, "weather", '{"place": "Rome"}')]
BOTH = [("call_0", "weather", {"place": "Oslo"}), ("call_1", "weather", {"place": "Rome"})]


class Greeting(BaseModel):
    """What structured output is parsed into."""

    word: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with clients_world(tmp_path_factory.mktemp("anthropic")) as made:
        yield made


@pytest.fixture
def client(world: World) -> Iterator[anthropic.Anthropic]:
    world.fake.answers[:] = [well()]
    with anthropic.Anthropic(base_url=world.server.url, api_key="none", max_retries=0) as made:
        yield made


def test_a_message_and_what_it_cost(client: anthropic.Anthropic) -> None:
    raw = client.messages.with_raw_response.create(**ASKED)
    message: Any = raw.parse()
    assert message.content[0].text == "Hello world"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (11, 7)
    assert message._request_id == message.headgate["call_id"]
    assert raw.headers["x-headgate-cost-usd"] == message.headgate["cost_usd"] == "0.0000156"


def test_a_stream_adds_up_to_the_message(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ASKED) as stream:
        assert "".join(stream.text_stream) == "Hello world"
        final: Any = stream.get_final_message()
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 7)


def test_the_asynchronous_client(world: World) -> None:
    world.fake.answers[:] = [well()]

    async def ask() -> tuple[Any, str, Any]:
        url = world.server.url
        async with anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0) as client:
            whole = await client.messages.create(**ASKED)
            async with client.messages.stream(**ASKED) as stream:
                text = "".join([piece async for piece in stream.text_stream])
                return whole, text, await stream.get_final_message()

    whole, text, final = asyncio.run(ask())
    assert whole.content[0].text == text == final.content[0].text == "Hello world"


@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_parallel_tool_calls(world: World, client: anthropic.Anthropic, model: str) -> None:
    world.fake.answers[:] = [in_turn(TWO_CALLS)]
    asked = {**ASKED, "model": model, "tools": TOOLS}
    whole: Any = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        final: Any = stream.get_final_message()
    for message in (whole, final):
        assert message.stop_reason == "tool_use"
        assert [(b.id, b.name, b.input) for b in message.content] == BOTH


@pytest.mark.parametrize("model", ["plain", "guarded"])
@pytest.mark.parametrize("calls", [TWO_CALLS[:1], TWO_CALLS])
def test_blocks_have_the_same_order_streamed_or_not(
    world: World, client: anthropic.Anthropic, model: str, calls: list[dict[str, Any]]
) -> None:
    said = {"content": "I look up the weather.", "tool_calls": calls}
    world.fake.answers[:] = [answers(said, "tool_calls")]
    asked = {**ASKED, "model": model, "tools": TOOLS}
    whole: Any = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        final: Any = stream.get_final_message()
    assert [block.type for block in whole.content] == ["text"] + ["tool_use"] * len(calls)
    assert final.content[0].text == whole.content[0].text == said["content"]
    for message in (whole, final):
        assert [(b.id, b.name, b.input) for b in message.content[1:]] == BOTH[: len(calls)]


def test_labels_of_the_call(world: World, client: anthropic.Anthropic) -> None:
    labels: Any = {"user_id": "u-1", "session_id": "s-1", "tags": ["a", "b"]}
    message: Any = client.messages.create(**ASKED, metadata=labels)
    record = world.record(message.id.removeprefix("msg_"))
    assert (record["session"], record["user"], record["tags"]) == ("s-1", "u-1", ["a", "b"])
    assert world.fake.seen[-1]["user"] == "u-1" and "metadata" not in world.fake.seen[-1]


def test_parsed_output(world: World, client: anthropic.Anthropic) -> None:
    world.fake.answers[:] = [well('{"wo', 'rd": "hi"}')]
    message = client.messages.parse(**ASKED, output_format=Greeting)
    assert message.parsed_output == Greeting(word="hi")


def test_inputs_of_a_prompt(world: World, client: anthropic.Anthropic) -> None:
    inputs = {"headgate": {"inputs": {"name": "Ann"}}}
    client.messages.create(**{**ASKED, "model": "prompted"}, extra_body=inputs)
    assert world.fake.seen[-1]["messages"][0]["content"] == "Greet Ann."


def test_a_refused_call_is_a_typed_exception(world: World, client: anthropic.Anthropic) -> None:
    attack = [{"role": "user", "content": ATTACK}]
    narrow = world.key("--model", "guarded")
    limited = world.key("--requests-per-minute", "1")
    client.with_options(api_key=limited).messages.create(**ASKED)
    cases: list[tuple[str, dict[str, Any], type[anthropic.APIStatusError], str]] = [
        ("none", {"temperature": 9}, anthropic.BadRequestError, "invalid_request_error"),
        (
            "none",
            {"model": "strict", "messages": attack},
            anthropic.BadRequestError,
            "invalid_request_error",
        ),
        ("none", {"model": "none"}, anthropic.NotFoundError, "not_found_error"),
        ("none", {"model": "lost"}, anthropic.InternalServerError, "api_error"),
        ("hg-wrong", {}, anthropic.AuthenticationError, "authentication_error"),
        (narrow, {}, anthropic.PermissionDeniedError, "permission_error"),
        (limited, {}, anthropic.RateLimitError, "rate_limit_error"),
    ]
    for key, body, kind, name in cases:
        with pytest.raises(anthropic.APIStatusError) as raised:
            client.with_options(api_key=key).messages.create(
                **{**ASKED, "extra_body": body, "model": body.get("model", "plain")}
            )
        assert isinstance(raised.value, kind), body
        assert raised.value.type == name


def test_the_client_tries_again_after_a_failure(world: World, client: anthropic.Anthropic) -> None:
    world.fake.answers[:] = [fails(503), well()]
    patient = client.with_options(max_retries=1)
    raw = patient.messages.with_raw_response.create(**ASKED)
    assert raw.retries_taken == 1
