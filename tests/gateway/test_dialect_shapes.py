"""Replies of unusual shape in every dialect: told if they can be, else an error in its own form."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from aiohttp import web
from dialect_world import World, dialect_world
from upstream import USAGE, Answer, chunk, completion, says, send_events, sse

Json = dict[str, Any]
DONE = b"data: [DONE]\n\n"
USER: list[Any] = [{"role": "user", "content": "Where?"}]
ASKED: dict[str, Json] = {
    "messages": {"messages": USER, "max_tokens": 99},
    "responses": {"input": "Where?"},
    "completions": {"prompt": "Where?"},
}
PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Hmm, "}]},
    {"type": "thinking", "thinking": "France."},
    {"type": "text", "text": "Par"},
    {"type": "reference", "reference_ids": [1]},
    {"type": "text", "text": "is."},
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with dialect_world(tmp_path_factory.mktemp("shapes")) as made:
        yield made


@pytest.fixture(scope="module")
def claude(world: World) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=world.server.url, api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[openai.OpenAI]:
    url = f"{world.server.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as made:
        yield made


def shaped(message: Json, deltas: list[Json], **choice: Any) -> Answer:
    """The message as a whole, or its deltas; ``choice``: other members of the choice."""

    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        if body.get("stream"):
            last = chunk({}, "stop")
            last["choices"][0] |= choice
            events = [*(sse(chunk(delta)) for delta in deltas), sse(last), sse(USAGE), DONE]
            return await send_events(request, events)
        whole = completion("")
        whole["choices"][0] |= {"message": {"role": "assistant", **message}, **choice}
        return web.json_response(whole)

    return answer


def in_parts() -> Answer:
    """Says ``PARTS``: as a list, or a part in a delta."""
    return shaped({"content": PARTS}, [{"content": [part]} for part in PARTS])


@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_a_message_in_parts_is_told_in_anthropics_blocks(
    world: World, claude: anthropic.Anthropic, model: str
) -> None:
    world.fake.answers[:] = [in_parts()]
    whole: Any = claude.messages.create(model=model, max_tokens=99, messages=USER)
    with claude.messages.stream(model=model, max_tokens=99, messages=USER) as stream:
        streamed: Any = stream.get_final_message()
    for message in (whole, streamed):
        assert "".join(b.text for b in message.content if b.type == "text") == "Paris."
        thoughts = [b.thinking for b in message.content if b.type == "thinking"]
        assert "".join(thoughts) == "Hmm, France."


@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_a_message_in_parts_is_told_in_a_response(
    world: World, client: openai.OpenAI, model: str
) -> None:
    world.fake.answers[:] = [in_parts()]
    whole: Any = client.responses.create(model=model, input="Where?")
    with client.responses.stream(model=model, input="Where?") as stream:
        streamed: Any = stream.get_final_response()
    for response in (whole, streamed):
        assert response.output_text == "Paris."
        thoughts = [i.content[0].text for i in response.output if i.type == "reasoning"]
        assert "".join(thoughts) == "Hmm, France."


@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_a_message_in_parts_is_told_in_a_text_completion(
    world: World, client: openai.OpenAI, model: str
) -> None:
    world.fake.answers[:] = [in_parts()]
    whole: Any = client.completions.create(model=model, prompt="Where?")
    assert whole.choices[0].text == "Paris."
    assert whole.choices[0].reasoning_content == "Hmm, France."
    found: list[Any] = list(client.completions.create(model=model, prompt="Where?", stream=True))
    choices = [choice for piece in found for choice in piece.choices]
    assert "".join(choice.text for choice in choices) == "Paris."
    thoughts = [getattr(choice, "reasoning_content", None) or "" for choice in choices]
    assert "".join(thoughts) == "Hmm, France."


@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_arguments_that_came_as_an_object_are_json(
    world: World, claude: anthropic.Anthropic, client: openai.OpenAI, model: str
) -> None:
    function = {"name": "weather", "arguments": {"place": "Oslo"}}
    called = {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": function}]}
    world.fake.answers[:] = [shaped(called, [called])]
    message: Any = claude.messages.create(model=model, max_tokens=99, messages=USER)
    response: Any = client.responses.create(model=model, input="Where?")
    with claude.messages.stream(model=model, max_tokens=99, messages=USER) as stream:
        last: Any = stream.get_final_message()
    assert message.content[-1].input == last.content[-1].input == {"place": "Oslo"}
    assert json.loads(response.output[-1].arguments) == {"place": "Oslo"}


MALFORMED: list[tuple[Json, Json]] = [
    ({"content": "x", "annotations": 5}, {}),
    ({"content": "x", "annotations": [5]}, {}),
    ({"content": "x", "tool_calls": [5]}, {}),
    ({"content": "x", "tool_calls": [{"id": "a", "function": "f"}]}, {}),
    ({"content": "x"}, {"finish_reason": ["stop"]}),
    ({"content": "x"}, {"index": "a"}),
]
CASES = [(path, *one) for path in ("messages", "responses") for one in MALFORMED]


def bytes_of(world: World, path: str, body: Json) -> bytes:
    """All bytes of a stream."""
    data = json.dumps({**body, "stream": True}).encode()
    request = urllib.request.Request(f"{world.server.url}/v1/{path}", data=data)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as response:
        return bytes(response.read())


@pytest.mark.parametrize(
    ("path", "message", "choice"), [*CASES, ("completions", *MALFORMED[-1])], ids=str
)
def test_nonsense_is_the_upstreams_fault_in_the_dialects_own_form(
    world: World, path: str, message: Json, choice: Json
) -> None:
    asked = {"model": "plain", **ASKED[path]}
    world.fake.answers[:] = [shaped(message, [message], **choice)]
    status, body = world.server.post(f"/v1/{path}", asked)
    assert (status, body["error"]["code"]) == (502, "upstream_malformed")
    call_id = body["error"]["call_id"] if path != "messages" else body["request_id"]
    record = world.record(call_id)
    assert (record["outcome"], record["error_code"]) == ("error", "upstream_malformed")
    first = [{"role": "assistant", "content": "Well, "}, message]
    world.fake.answers[:] = [shaped(message, first, **choice)]
    data = bytes_of(world, path, asked)
    last = json.loads(data.rsplit(b"data: ", 1)[1])
    assert not [end for end in (b"[DONE]", b"message_stop", b".completed") if end in data]
    assert last["type"] == "response.failed" if path == "responses" else "error" in last
    assert b"upstream_malformed" in data
    assert "Traceback" not in world.server.log.read_text()


@pytest.mark.parametrize("path", ["messages", "responses"])
def test_nonsense_is_not_kept_for_its_idempotency_key(world: World, path: str) -> None:
    asked = {"model": "plain", **ASKED[path]}
    key = {"Idempotency-Key": f"nonsense-{path}"}
    bad = {"content": "x", "annotations": [5]}
    world.fake.answers[:] = [shaped(bad, [bad]), says("Paris.")]
    assert world.server.post(f"/v1/{path}", asked, key)[0] == 502
    status, body = world.server.post(f"/v1/{path}", asked, key)
    assert status == 200 and "Paris." in json.dumps(body)
