"""What the gateway says is what OpenAI and Anthropic have published that it looks like."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from clients_world import EMBEDDER, World, clients_world, well
from demo import copy_demo
from dialect_world import ATTACK, SECRET, call, events_of
from published import FILES, check, check_events, literals, typed
from pydantic import BaseModel
from running import Server, run, serving
from upstream import Answer, completion, says, send_events

MORE = """\
  - {name: kept, pool: words, cache: {use: exact, options: {ttl_s: 60}}}
"""
MESSAGES = [{"role": "user", "content": "Say hello."}]
SAYS = {"content": "I look.", "reasoning_content": "Two.", "refusal": None}
CALLS = [call(0, "weather", '{"place": "Oslo"}'), call(1, "weather", '{"place": "Rome"}')]
REFUSED = {"content": None, "refusal": "No."}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with clients_world(tmp_path_factory.mktemp("schemas"), MORE) as made:
        yield made


def published(message: dict[str, Any], finish: str = "stop") -> Answer:
    """An upstream's answer with all members that are published, whole or streamed."""

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body.get("stream"):
            return await send_events(request, events_of(message, finish, 4))
        whole = completion("")
        own = {"role": "assistant", **message}
        whole["choices"] = [{"index": 0, "message": own, "logprobs": None, "finish_reason": finish}]
        return web.json_response(whole)

    return answer


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo with one page of its documents."""
    folder = tmp_path_factory.mktemp("demo")
    config = copy_demo(folder)
    for page in (folder / "docs").rglob("*.md"):
        if page.name != "clients.md":
            page.unlink()
    done = run("ingest", "docs", "--config", str(config))
    assert done.returncode == 0, done.stdout + done.stderr
    with serving(config) as server:
        yield server


ANSWERS: dict[str, Answer] = {
    "text": published(SAYS),
    "calls": published({**SAYS, "tool_calls": CALLS}, "tool_calls"),
    "refusal": published(REFUSED),
    "cut": published(SAYS, "length"),
    "secret": published({**SAYS, "content": f"The key is {SECRET}, keep it."}),
}
BODIES: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": MESSAGES},
    "completions": {"prompt": "Say hello."},
    "responses": {"input": "Say hello."},
    "messages": {"messages": MESSAGES, "max_tokens": 100},
}
ASKED = [
    *((model, answer) for model in ("plain", "guarded") for answer in ANSWERS),
    ("spoken", "text"),
    ("kept", "text"),
    ("kept", "text"),
]


def events(server: Server, path: str, body: dict[str, Any]) -> list[Any]:
    """The data of a stream's events; ``[DONE]`` stays a text."""
    data = json.dumps({**body, "stream": True}).encode()
    request = urllib.request.Request(f"{server.url}/v1/{path}", data=data)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        lines = response.read().decode().splitlines()
    found = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [x if x == "[DONE]" else json.loads(x) for x in found]


def check_whole(path: str, answer: Any) -> None:
    if path == "responses":
        check(answer, "responses", "response")
    elif path == "messages":
        check(answer, "anthropic", "message")
    else:
        check(answer, "openai", {"completions": "text_completion"}.get(path, "chat_completion"))


def check_stream(path: str, found: list[Any]) -> None:
    if path in ("responses", "messages"):
        check_events(found, "anthropic" if path == "messages" else path)
        return
    assert found.pop() == "[DONE]"
    for chunk in found:
        check(chunk, "openai", "text_completion" if path == "completions" else "chat_chunk")
    assert len({(c["id"], c["model"]) for c in found}) == 1
    assert len({c["created"] for c in found if c["choices"]}) == 1


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(("model", "answer"), ASKED)
def test_an_answer_is_what_is_published_whole_and_streamed(
    world: World, path: str, model: str, answer: str
) -> None:
    if (path, answer) == ("completions", "calls"):
        return  # a text completion cannot be asked with tools
    body = {"model": model, **BODIES[path]}
    world.fake.answers[:] = [ANSWERS[answer]]
    status, whole = world.server.post(f"/v1/{path}", body)
    assert status == 200, whole
    check_whole(path, whole)
    check_stream(path, events(world.server, path, body))


def test_usage_that_was_asked_for_and_the_member_headgate_keep_a_chunk_a_chunk(
    world: World,
) -> None:
    world.fake.answers[:] = [ANSWERS["text"]]
    for model in ("plain", "guarded", "spoken"):
        body = {"model": model, "messages": MESSAGES, "headgate": {"meta": True}}
        body["stream_options"] = {"include_usage": True}
        found = events(world.server, "chat/completions", body)
        assert [c["usage"]["total_tokens"] > 0 for c in found[:-1] if c.get("usage")] == [True]
        assert any("headgate" in chunk for chunk in found[:-1])
        check_stream("chat/completions", found)


def test_vectors_judgements_and_models(world: World) -> None:
    world.fake.answers[:] = [well()]
    _, vectors = world.server.post("/v1/embeddings", {"model": EMBEDDER, "input": ["a", "b"]})
    check(vectors, "openai", "embeddings")
    _, judged = world.server.post("/v1/moderations", {"input": "bad words"})
    check(judged, "openai", "moderation")
    _, listed = world.server.get("/v1/models")
    check(listed, "openai", "models")
    _, one = world.server.get("/v1/models/gpt-4o")
    check(one, "openai", "model")


@pytest.mark.parametrize("path", BODIES)
def test_a_stream_that_breaks_off_says_so_in_the_published_form(world: World, path: str) -> None:
    world.fake.answers[:] = [says("Hello", done=False, finish=False)]
    found = events(world.server, path, {"model": "plain", **BODIES[path]})
    if path in ("responses", "messages"):
        check_stream(path, found)
        assert "error" in [event["type"] for event in found]
    else:
        check(found[-1], "openai", "error")
        for chunk in found[:-1]:
            check(chunk, "openai", "text_completion" if path == "completions" else "chat_chunk")


TYPES = sorted(
    {(cls.__module__, cls.__name__): cls for cls, _ in typed(list(FILES.values()))}.items()
)


@pytest.mark.parametrize("cls", [cls for _, cls in TYPES], ids=[name for (_, name), _ in TYPES])
def test_the_schemas_agree_with_the_official_clients(cls: type[BaseModel]) -> None:
    fields = {field.alias or name: field for name, field in cls.model_fields.items()}
    must = {name for name, field in fields.items() if field.is_required()}
    for schema in (s for c, s in typed(list(FILES.values())) if c is cls):
        required = set(schema.get("required", ()))
        assert must <= required, "the client counts on more than the schema requires"
        assert required | set(schema.get("properties", ())) <= set(fields)
        for name, member in schema.get("properties", {}).items():
            if "enum" in member:
                allowed = literals(fields[name].annotation)
                assert {x for x in member["enum"] if x is not None} <= allowed


def test_a_reply_that_lacks_a_member_does_not_pass() -> None:
    whole = completion("Hello")
    with pytest.raises(AssertionError, match="'logprobs' is a required property"):
        check(whole, "openai", "chat_completion")
    with pytest.raises(AssertionError, match="nothing"):
        check({"type": "nothing"}, "responses", "nothing")


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["How is a key sent?", ATTACK])
def test_answers_with_citations_and_refusals_of_the_demo_are_what_is_published(
    demo: Server, asked: str
) -> None:
    messages = [{"role": "user", "content": asked}]
    own: dict[str, dict[str, Any]] = {
        "chat/completions": {"messages": messages},
        "completions": {"prompt": asked},
        "responses": {"input": asked},
        "messages": {"messages": messages, "max_tokens": 500},
    }
    for path, members in own.items():
        body = {"model": "headgate-docs", **members}
        status, whole = demo.post(f"/v1/{path}", body)
        assert status == 200, whole
        assert bool(whole["headgate"]["citations"]) is (asked != ATTACK)
        check_whole(path, whole)
        check_stream(path, events(demo, path, body))
