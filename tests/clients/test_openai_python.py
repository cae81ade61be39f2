"""The official ``openai`` client, synchronous and asynchronous, against a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from clients_world import EMBEDDER, Async, Caller, Sync, World, clients_world, in_turn, well
from dialect_world import answers, call, hangs
from pydantic import BaseModel
from upstream import vectors_of

HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]
PLAIN: dict[str, Any] = {"model": "plain", "messages": HELLO}
SCHEMA = {
    "type": "object",
    "properties": {"place": {"type": "string"}},
    "required": ["place"],
    "additionalProperties": False,
}
WEATHER = {"name": "weather", "description": "The weather of a place.", "parameters": SCHEMA}
TOOLS: list[Any] = [{"type": "function", "function": {**WEATHER, "strict": True}}]
TWO_CALLS = [call(0, "weather", '{"place": "Oslo"}'), call(1, "weather", '{"place": "Rome"}')]
BOTH = [("call_0", "weather", {"place": "Oslo"}), ("call_1", "weather", {"place": "Rome"})]
COST = "0.0000156"
"""Of 11 tokens in and 7 out."""


class Greeting(BaseModel):
    """What structured output is parsed into."""

    word: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with clients_world(tmp_path_factory.mktemp("openai")) as made:
        yield made


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def client(request: pytest.FixtureRequest, world: World) -> Caller:
    world.fake.answers[:] = [well()]
    made: Caller = request.param(f"{world.server.url}/v1")
    return made


def test_chat(client: Caller) -> None:
    answer = client.ask(lambda c: c.chat.completions.create(**PLAIN))
    assert answer.choices[0].message.content == "Hello world"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 18


def test_the_call_id_and_the_cost_are_where_the_client_looks(world: World, client: Caller) -> None:
    raw = client.ask(lambda c: c.chat.completions.with_raw_response.create(**PLAIN))
    assert raw.parse()._request_id == raw.request_id == raw.headers["x-request-id"]
    assert raw.headers["x-headgate-cost-usd"] == COST
    assert world.record(raw.request_id)["cost_usd"] == COST
    assert raw.headers["x-headgate-target"] == "up/fake"
    assert raw.retries_taken == 0


def test_a_stream_adds_up_to_the_answer(client: Caller) -> None:
    options = {"include_usage": True}
    chunks, _ = client.streamed(
        lambda c: c.chat.completions.create(**PLAIN, stream=True, stream_options=options)
    )
    texts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(texts) == "Hello world"
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [18]


def test_the_stream_helper_builds_the_completion(client: Caller) -> None:
    events, final = client.streamed(
        lambda c: c.chat.completions.stream(**PLAIN), "get_final_completion"
    )
    assert "".join(e.delta for e in events if e.type == "content.delta") == "Hello world"
    assert final.choices[0].message.content == "Hello world"


def test_the_gateways_member_comes_whole_and_streamed(client: Caller) -> None:
    asked = {**PLAIN, "extra_body": {"headgate": {"meta": True}}}
    whole = client.ask(lambda c: c.chat.completions.create(**asked)).headgate
    chunks, _ = client.streamed(lambda c: c.chat.completions.create(**asked, stream=True))
    streamed = chunks[-1].headgate
    assert whole["cost_usd"] == streamed["cost_usd"] == COST
    assert whole["call_id"] != streamed["call_id"]


@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_parallel_tool_calls(world: World, client: Caller, model: str) -> None:
    world.fake.answers[:] = [in_turn(TWO_CALLS)]
    asked = {**PLAIN, "model": model, "tools": TOOLS, "parallel_tool_calls": True}
    whole = client.ask(lambda c: c.chat.completions.create(**asked))
    _, helped = client.streamed(
        lambda c: c.chat.completions.stream(**asked), "get_final_completion"
    )
    for answer in (whole, helped):
        choice = answer.choices[0]
        assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
        found = [
            (one.id, one.function.name, json.loads(one.function.arguments))
            for one in choice.message.tool_calls
        ]
        assert found == BOTH
    assert helped.choices[0].message.tool_calls[1].function.parsed_arguments == {"place": "Rome"}
    assert world.fake.seen[-1]["tools"] == TOOLS
    assert world.fake.seen[-1]["parallel_tool_calls"] is True


@pytest.mark.parametrize("model", ["plain", "guarded"])
@pytest.mark.parametrize("pieces", [1, 3, 100])
def test_deltas_of_interleaved_tool_calls_put_together_by_hand(
    world: World, client: Caller, pieces: int, model: str
) -> None:
    world.fake.answers[:] = [answers({"tool_calls": TWO_CALLS}, "tool_calls", pieces)]
    chunks, _ = client.streamed(
        lambda c: c.chat.completions.create(model=model, messages=HELLO, tools=TOOLS, stream=True)
    )
    built: dict[int, list[str]] = {}
    for delta in (choice.delta for chunk in chunks for choice in chunk.choices):
        for one in delta.tool_calls or ():
            known = built.setdefault(one.index, ["", "", ""])
            parts = (one.id, one.function.name, one.function.arguments)
            built[one.index] = [a + (b or "") for a, b in zip(known, parts, strict=True)]
    assert [(i, name, json.loads(text)) for i, name, text in built.values()] == BOTH


def test_arguments_of_every_call_are_masked_in_a_stream(world: World, client: Caller) -> None:
    calls = [call(n, "mail", '{"to": "jane.doe@example.com"}') for n in range(3)]
    world.fake.answers[:] = [in_turn(calls)]
    _, final = client.streamed(
        lambda c: c.chat.completions.stream(model="guarded", messages=HELLO),
        "get_final_completion",
    )
    found = [one.function.arguments for one in final.choices[0].message.tool_calls]
    assert found == ['{"to": "[EMAIL]"}'] * 3


def test_a_tools_result_goes_back(world: World, client: Caller) -> None:
    said = {"role": "assistant", "content": None, "tool_calls": TWO_CALLS[:1]}
    turns = [*HELLO, said, {"role": "tool", "tool_call_id": "call_0", "content": "rain"}]
    client.ask(lambda c: c.chat.completions.create(model="plain", messages=turns, tools=TOOLS))
    assert world.fake.seen[-1]["messages"] == turns


def test_parsed_output(world: World, client: Caller) -> None:
    world.fake.answers[:] = [well('{"wo', 'rd": "hi"}')]
    asked = {**PLAIN, "response_format": Greeting}
    whole = client.ask(lambda c: c.chat.completions.parse(**asked))
    events, streamed = client.streamed(
        lambda c: c.chat.completions.stream(**asked), "get_final_completion"
    )
    for answer in (whole, streamed):
        assert answer.choices[0].message.parsed == Greeting(word="hi")
    assert [e.parsed for e in events if e.type == "content.done"] == [Greeting(word="hi")]
    schema = world.fake.seen[-1]["response_format"]["json_schema"]
    assert (schema["name"], schema["strict"]) == ("Greeting", True)


def test_embeddings_are_decoded_from_base64_by_default(world: World, client: Caller) -> None:
    texts = ["ab", "abc"]
    answer = client.ask(lambda c: c.embeddings.create(model=EMBEDDER, input=texts))
    assert [one.embedding for one in answer.data] == vectors_of(texts)
    assert world.fake.seen[-1]["encoding_format"] == "base64"
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (9, 9)
    plain = client.ask(
        lambda c: c.embeddings.create(model=EMBEDDER, input=texts, encoding_format="float")
    )
    assert plain.data == answer.data
    tokens = client.ask(lambda c: c.embeddings.create(model=EMBEDDER, input=[[1, 2], [3]]))
    assert [one.embedding for one in tokens.data] == vectors_of([[1, 2], [3]])


def test_responses(world: World, client: Caller) -> None:
    asked = {"model": "plain", "input": "Say hello."}
    whole = client.ask(lambda c: c.responses.create(**asked))
    assert (whole.output_text, whole.status) == ("Hello world", "completed")
    events, _ = client.streamed(lambda c: c.responses.create(**asked, stream=True))
    assert "".join(e.delta for e in events if e.type.endswith("text.delta")) == "Hello world"
    _, helped = client.streamed(lambda c: c.responses.stream(**asked), "get_final_response")
    assert helped.output_text == "Hello world"
    assert whole.usage == helped.usage == events[-1].response.usage
    world.fake.answers[:] = [well('{"wo', 'rd": "hi"}')]
    parsed = client.ask(lambda c: c.responses.parse(**asked, text_format=Greeting))
    assert parsed.output_parsed == Greeting(word="hi")


def test_tool_calls_of_a_response(world: World, client: Caller) -> None:
    world.fake.answers[:] = [answers({"tool_calls": TWO_CALLS}, "tool_calls")]
    asked = {"model": "plain", "input": "Say hello.", "tools": [{"type": "function", **WEATHER}]}
    whole = client.ask(lambda c: c.responses.create(**asked))
    _, helped = client.streamed(lambda c: c.responses.stream(**asked), "get_final_response")
    for answer in (whole, helped):
        calls = [(one.call_id, one.name, json.loads(one.arguments)) for one in answer.output]
        assert calls == BOTH


def test_text_completions(client: Caller) -> None:
    asked = {"model": "plain", "prompt": "Say hello."}
    assert client.ask(lambda c: c.completions.create(**asked)).choices[0].text == "Hello world"
    chunks, _ = client.streamed(lambda c: c.completions.create(**asked, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Hello world"


def test_models(client: Caller) -> None:
    names = [model.id for model in client.ask(lambda c: c.models.list()).data]
    assert {"plain", "gpt-4o", EMBEDDER} <= set(names)
    assert client.ask(lambda c: c.models.retrieve("gpt-4o")).id == "gpt-4o"


def test_moderations(client: Caller) -> None:
    judged = client.ask(lambda c: c.moderations.create(input="bad words"))
    assert judged.results[0].flagged
    assert judged.results[0].categories.violence
    assert not judged.results[0].categories.self_harm_intent


def test_inputs_of_a_prompt(world: World, client: Caller) -> None:
    asked = {**PLAIN, "model": "prompted", "extra_body": {"headgate": {"inputs": {"name": "Ann"}}}}
    raw = client.ask(lambda c: c.chat.completions.with_raw_response.create(**asked))
    assert world.fake.seen[-1]["messages"][0]["content"] == "Greet Ann."
    assert raw.headers["x-headgate-prompt"].startswith("greet@")


def test_a_closed_stream_reaches_the_upstream(world: World) -> None:
    world.fake.hung_up = threading.Event()
    world.fake.answers[:] = [hangs]
    url = f"{world.server.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(model="plain", messages=HELLO, stream=True)
        next(iter(stream))
        stream.close()
    assert world.fake.hung_up.wait(10)
