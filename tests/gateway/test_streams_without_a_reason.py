"""Streams whose end is told in one of two ways: a finish_reason, or ``[DONE]``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from aiohttp import web
from dialect_world import World, dialect_world
from upstream import USAGE, Answer, chunk, send_events, sse

Json = dict[str, Any]
USER: list[Any] = [{"role": "user", "content": "Hi"}]
DONE = b"data: [DONE]\n\n"
SAID = [sse(chunk({"role": "assistant", "content": "Hel"})), sse(chunk({"content": "lo."}))]
WELL = {
    "terminator": [*SAID, DONE],
    "terminator, usage": [*SAID, sse(USAGE), DONE],
    "terminator, an empty reason": [*SAID, sse(chunk({}, "")), DONE],
    "reason": [*SAID, sse(chunk({}, "stop")), sse(USAGE)],
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with dialect_world(tmp_path_factory.mktemp("reasons")) as made:
        yield made


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[openai.OpenAI]:
    url = f"{world.server.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as made:
        yield made


def sends(events: list[bytes]) -> Answer:
    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        return await send_events(request, events)

    return answer


@pytest.mark.parametrize("how", WELL)
@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_a_stream_that_tells_its_end_either_way_ends_well(
    world: World, client: openai.OpenAI, how: str, model: str
) -> None:
    world.fake.answers[:] = [sends(WELL[how])]
    asked: Any = {"model": model, "messages": USER, "stream": True}
    with client.chat.completions.with_streaming_response.create(**asked) as raw:
        sent = b"".join(raw.iter_bytes())
        call_id = raw.headers["x-request-id"]
    assert sent.endswith(DONE) and b'"error"' not in sent
    assert (b'"headgate"' in sent) == (model == "guarded")
    record = world.record(call_id)
    assert record["status"] == 200 and [a["outcome"] for a in record["attempts"]] == ["ok"]
    options: Any = {"stream_options": {"include_usage": True}}
    with client.chat.completions.stream(model=model, messages=USER, **options) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "Hello." and final.usage is not None


@pytest.mark.parametrize("how", WELL)
@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_each_dialect_ends_as_it_ends_where_nothing_more_is_known(
    world: World, client: openai.OpenAI, how: str, model: str
) -> None:
    world.fake.answers[:] = [sends(WELL[how])]
    with client.responses.stream(model=model, input="Hi") as stream:
        response = stream.get_final_response()
    assert (response.status, response.output_text) == ("completed", "Hello.")
    url = world.server.url
    with (
        anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as claude,
        claude.messages.stream(model=model, max_tokens=9, messages=USER) as blocks,
    ):
        message = blocks.get_final_message()
    assert message.stop_reason == "end_turn" and blocks.get_final_text() == "Hello."
    told = list(client.completions.create(model=model, prompt="Hi", stream=True))
    assert "".join(c.choices[0].text for c in told if c.choices) == "Hello."
    assert told[-1].model_dump()["headgate"]["call_id"]


def test_the_usage_stays_the_last_chunk_where_no_reason_came(
    world: World, client: openai.OpenAI
) -> None:
    world.fake.answers[:] = [sends(WELL["terminator, usage"])]
    options: Any = {"stream_options": {"include_usage": True}}
    for model in ("plain", "guarded"):
        stream = client.chat.completions.create(model=model, messages=USER, stream=True, **options)
        *_, last = stream
        assert last.usage is not None and last.choices == []


ROLE = sse(chunk({"role": "assistant", "content": ""}))


def calls(arguments: str, **own: Any) -> bytes:
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f"}}
    call["function"] = {"name": "f", "arguments": arguments}
    return sse(chunk({"role": "assistant", "tool_calls": [call | own]}))


FREE = {"type": "custom", "custom": {"name": "f", "input": "as you "}}
WHOLE_CALLS = {
    "a call": [calls('{"x":'), sse(chunk({"tool_calls": [{"index": 0, "function": {
        "arguments": "1}"}}]})), DONE],
    "a free text": [sse(chunk({"role": "assistant", "tool_calls": [{"index": 0, "id": "a"} | FREE]
        })), DONE],
    "a reason": [calls('{"x":'), sse(chunk({}, "length"))],
}  # fmt: skip
CUT_OFF = {
    "no end": SAID,
    "no choice": [DONE],
    "usage alone": [sse(USAGE), DONE],
    "nothing said": [ROLE, DONE],
    "a call cut in two": [calls('{"x":'), DONE],
    "a call without arguments": [calls(""), DONE],
}


@pytest.mark.parametrize("how", WHOLE_CALLS)
@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_a_call_that_can_be_read_or_has_a_reason_is_an_answer(
    world: World, client: openai.OpenAI, how: str, model: str
) -> None:
    world.fake.answers[:] = [sends(WHOLE_CALLS[how])]
    chunks = list(client.chat.completions.create(model=model, messages=USER, stream=True))
    assert any(c.choices[0].delta.tool_calls for c in chunks if c.choices)


@pytest.mark.parametrize("how", CUT_OFF)
@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_a_stream_that_tells_its_end_in_no_way_or_says_nothing_is_truncated(
    world: World, model: str, how: str
) -> None:
    world.fake.answers[:] = [sends(CUT_OFF[how])]
    url = f"{world.server.url}/v1"
    with (
        openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client,
        pytest.raises(openai.APIError) as told,
    ):
        list(client.chat.completions.create(model=model, messages=USER, stream=True))
    assert told.value.code == "upstream_truncated"
