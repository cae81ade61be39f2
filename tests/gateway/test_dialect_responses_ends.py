"""The Responses wire where it ends otherwise: refused, cut short, masked, blocked, hung up."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from asking import client_of
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
from responses_client import events_of
from upstream import fails, says


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with dialect_world(tmp_path_factory.mktemp("responses")) as made:
        yield made


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[openai.OpenAI]:
    with client_of(world.server.url) as made:
        yield made


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_that_is_cut_short_is_incomplete(
    world: World, client: openai.OpenAI, finish: str, reason: str
) -> None:
    world.fake.answers[:] = [answers({"content": "Hello"}, finish)]
    whole: Any = client.responses.create(model="plain", input="Say hello.")
    last = events_of(client, "plain")[-1]
    assert last.type == "response.incomplete"
    for found in (whole, last.response):
        assert (found.status, found.incomplete_details.reason) == ("incomplete", reason)


def test_the_variables_of_a_prompt_are_its_inputs(world: World, client: openai.OpenAI) -> None:
    world.fake.answers[:] = [says("Hi")]
    response: Any = client.responses.create(
        model="prompted",
        input="Go on.",
        prompt={"id": "greet", "variables": {"name": {"type": "input_text", "text": "Ann"}}},
    )
    assert response.output_text == "Hi"
    assert world.fake.seen[-1]["messages"][0]["content"] == "Greet Ann."
    for prompt, model, param in (
        ({"id": "other", "variables": {"name": "Ann"}}, "prompted", "prompt.id"),
        ({"id": "greet"}, "plain", "prompt.id"),
        ({"id": "greet", "variables": {"nam": "Ann"}}, "prompted", "prompt.variables.nam"),
    ):
        body = {"model": model, "input": "Go on.", "prompt": prompt}
        status, answer = world.server.post("/v1/responses", body)
        assert (status, answer["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"store": True}, "store"),
        ({"truncation": "auto"}, "truncation"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_tool_calls": 3}, "max_tool_calls"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice.type"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"temperature": 9}, "temperature"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(
    world: World, body: dict[str, Any], param: str
) -> None:
    before = len(world.fake.seen)
    status, answer = world.server.post(
        "/v1/responses", {"model": "plain", "input": "Say hello.", **body}
    )
    assert (status, answer["error"]["param"]) == (400, param)
    assert param in answer["error"]["message"]
    assert len(world.fake.seen) == before


def test_errors_before_the_first_byte_have_a_status(world: World, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.responses.create(model="no-such", input="hi", stream=True)
    assert missing.value.code == "model_not_found"
    world.fake.answers[:] = [fails(503)]
    with pytest.raises(openai.InternalServerError):
        client.responses.create(model="plain", input="hi", stream=True)
    with pytest.raises(openai.NotFoundError) as unserved:
        client.responses.retrieve("resp_1")
    assert unserved.value.code == "endpoint_not_served"


def test_a_truncated_stream_ends_in_a_failed_response(world: World, client: openai.OpenAI) -> None:
    world.fake.answers[:] = [says("Hello", done=False, finish=False)]
    events = events_of(client, "plain")
    assert [e.type for e in events[-2:]] == ["error", "response.failed"]
    assert events[-2].code == "upstream_truncated"
    assert events[-1].response.error.code == "server_error"  # the published list has no other


@pytest.mark.parametrize("cut", [1, 12, 18, 28])
def test_a_mask_holds_in_a_stream_wherever_it_is_cut(
    world: World, client: openai.OpenAI, cut: int
) -> None:
    world.fake.answers[:] = [says(TEXT[:cut], TEXT[cut:])]
    events = events_of(client, "guarded")
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    assert "".join(deltas) == events[-1].response.output_text == MASKED


def test_thoughts_and_arguments_are_masked_too(world: World, client: openai.OpenAI) -> None:
    arguments = json.dumps({"to": "jane.doe@example.com"})
    message = {"content": TEXT, "reasoning_content": TEXT, "tool_calls": [call(0, "m", arguments)]}
    world.fake.answers[:] = [answers(message, "tool_calls", 5)]
    events = events_of(client, "guarded")
    whole: Any = client.responses.create(model="guarded", input="Say hello.")
    assert not any("jane.doe" in e.model_dump_json() for e in events)
    for found in (whole, events[-1].response):
        assert found.output[0].content[0].text == found.output_text == MASKED
        assert json.loads(found.output[2].arguments) == {"to": "[EMAIL]"}


def test_a_blocked_answer_is_incomplete_or_an_error_as_the_policy_says(
    world: World, client: openai.OpenAI
) -> None:
    world.fake.answers[:] = [says("The key is ", *SECRET, ", keep it.")]
    whole: Any = client.responses.create(model="guarded", input="Say hello.")
    assert (whole.status, whole.output_text) == ("incomplete", "Not with me.")
    events = events_of(client, "guarded")
    assert events[-1].type == "response.incomplete"
    assert not any(SECRET[:8] in e.model_dump_json() for e in events)
    with pytest.raises(openai.BadRequestError) as blocked:
        client.responses.create(model="strict", input=ATTACK)
    assert (blocked.value.code, blocked.value.param) == ("guardrail_blocked", "input")


def test_a_hang_up_reaches_the_upstream(world: World, client: openai.OpenAI) -> None:
    world.fake.hung_up = threading.Event()
    world.fake.answers[:] = [hangs]
    stream = client.responses.create(model="plain", input="Say hello.", stream=True)
    first = next(iter(stream))
    stream.close()
    assert first.type == "response.created"
    assert world.fake.hung_up.wait(10)
