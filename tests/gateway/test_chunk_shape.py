"""Streams that the gateway writes itself look like OpenAI's, whatever the upstream wrote."""

from __future__ import annotations

import copy
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from dialect_world import World, dialect_world
from upstream import USAGE, Answer, chunk, says, send_events, sse

from headgate_gateway.replies.later_calls import LaterCalls

Json = dict[str, Any]
USER: list[Any] = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with dialect_world(tmp_path_factory.mktemp("shape")) as made:
        yield made


def sends(*events: Json) -> Answer:
    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        return await send_events(request, [*(sse(e) for e in events), b"data: [DONE]\n\n"])

    return answer


def chunks(url: str, model: str, path: str = "chat/completions", **members: Any) -> list[Any]:
    """The chunks of a stream as they came, with what ended it."""
    asked: Json = {"prompt": "Hi"} if path == "completions" else {"messages": USER}
    body = json.dumps({"model": model, "stream": True, **asked, **members}).encode()
    request = urllib.request.Request(f"{url}/v1/{path}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        events = reply.read().decode().split("\n\n")
    lines = [event[6:] for event in events if event]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


@pytest.mark.parametrize("role", [{"role": "assistant"}, {}])
def test_a_choice_begins_with_its_role_and_an_empty_text(world: World, role: Json) -> None:
    usage = {**USAGE, "choices": []}
    world.fake.answers[:] = [
        sends(
            chunk({"content": "Hel", **role}), chunk({"content": "lo."}), chunk({}, "stop"), usage
        )
    ]
    first, second, *rest = chunks(world.server.url, "guarded")
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "role" not in second["choices"][0]["delta"]
    told = [c["choices"][0]["delta"].get("content", "") for c in (second, *rest[:-1])]
    assert "".join(told) == "Hello." and rest[-1] == "[DONE]"
    assert (first["id"], first["model"]) == (second["id"], second["model"])


def test_a_first_delta_without_text_stays_as_it_is(world: World) -> None:
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    delta = {"role": "assistant", "content": None, "tool_calls": [call]}
    world.fake.answers[:] = [sends(chunk(delta), chunk({}, "tool_calls"))]
    first, *_ = chunks(world.server.url, "guarded")
    assert first["choices"][0]["delta"]["tool_calls"][0]["function"]["name"] == "f"


def test_every_chunk_says_that_the_usage_is_yet_to_come_where_it_was_asked_for(
    world: World,
) -> None:
    world.fake.answers[:] = [says("Hello", " world")]
    options = {"include_usage": True}
    *said, last, done = chunks(world.server.url, "guarded", stream_options=options)
    assert done == "[DONE]" and last["choices"] == [] and last["usage"]["total_tokens"] == 18
    assert len(said) > 2 and all(c["usage"] is None for c in said)
    world.fake.answers[:] = [says("Hello", " world")]
    assert all("usage" not in c for c in chunks(world.server.url, "guarded")[:-1])


@pytest.mark.parametrize("switched", [False, True])
def test_done_follows_an_error_only_where_the_operator_says_so(
    tmp_path: Path, switched: bool
) -> None:
    more = "server: {done_after_error: true}\n" if switched else ""
    with dialect_world(tmp_path, more) as world:
        for path in ("chat/completions", "completions"):
            for model in ("plain", "guarded"):
                world.fake.answers[:] = [says("Hello", " world", done=False, finish=False)]
                said = chunks(world.server.url, model, path)
                assert (said[-1] == "[DONE]") == switched
                error = said[-2] if switched else said[-1]
                assert error["error"]["code"] == "upstream_truncated"


def test_parallel_calls_go_out_as_they_come_where_no_check_looks_at_calls() -> None:
    def piece(index: int, arguments: str, name: str = "") -> Json:
        function = {"arguments": arguments, **({"name": name} if name else {})}
        return chunk({"tool_calls": [{"index": index, "function": function}]})

    coming = [piece(0, "", "f"), piece(0, "{}"), piece(1, '{"x":', "g"), piece(1, "1}")]
    for free, told in ((True, ["", "{}", '{"x":', "1}"]), (False, ["", "{}", "", ""])):
        later = LaterCalls(free=free)
        gone = []
        for body in copy.deepcopy(coming):
            later.set_aside(body)
            calls = body["choices"][0]["delta"].get("tool_calls", ())
            gone.append("".join(call["function"]["arguments"] for call in calls))
        assert gone == told
        assert [len(later.taken(0))] == [0 if free else 1]
