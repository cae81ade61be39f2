"""At every endpoint, whole and streamed: what stands behind an escape in JSON is found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from aiohttp import web
from configs import PRICED, write_config
from running import Server, serving
from upstream import USAGE, Upstream, chunk, completion, send_events, sse, upstream

SECRET = "AKIA" + "Q3EGRXKJ2ZMV7WTB"
ADDRESS = "jane.doe@example.com"
DONE = b"data: [DONE]\n\n"
Json = dict[str, Any]
POLICY = """\
name: house
checks:
  - {name: personal, use: pii, at: [input, tool_results, output, tool_calls], action: mask}
  - {name: keys, use: secrets, at: [input, output, tool_calls], action: block}
"""
CONFIG = (
    PRICED
    + """\
routes:
  - {{name: plain, pool: main}}
  - {{name: guarded, pool: main, guards: [house]}}
"""
)
TOOLS = [{"type": "function", "function": {"name": "send", "parameters": {"type": "object"}}}]
ENDPOINTS: dict[str, Json] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}], "tools": TOOLS},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
    "/v1/responses": {"input": "hi"},
    "/v1/completions": {"prompt": "hi"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Upstream]]:
    folder = tmp_path_factory.mktemp("json")
    (folder / "guardrails").mkdir()
    (folder / "guardrails" / "house.yaml").write_text(POLICY)
    with upstream() as fake, serving(write_config(folder, CONFIG.format(url=fake.url))) as server:
        yield server, fake


def ask(server: Server, path: str, **members: Any) -> str:
    body = {"model": "guarded", **ENDPOINTS[path], **members}
    data = json.dumps(body).encode()
    request = Request(server.url + path, data, {"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


def says(text: str, *, tool: bool, size: int = 3) -> Any:
    """Answers with ``text`` as content or as a tool's arguments, in pieces of ``size``."""

    def holder(piece: str) -> Json:
        if not tool:
            return {"content": piece}
        function = {"name": "send", "arguments": piece}
        return {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": function}]}

    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        finish = "tool_calls" if tool else "stop"
        if not body.get("stream"):
            whole = completion("")
            message = {"role": "assistant", "content": None, **holder(text)}
            whole["choices"][0] |= {"message": message, "finish_reason": finish}
            return web.json_response(whole)
        pieces = [text[n : n + size] for n in range(0, len(text), size)]
        events = [sse(chunk(holder(p))) for p in pieces] + [
            sse(chunk({}, finish)),
            sse(USAGE),
            DONE,
        ]
        return await send_events(request, events)

    return answer


@pytest.mark.parametrize("tool", [True, False], ids=["arguments", "content"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_key_on_a_line_of_its_own_does_not_leave(
    place: tuple[Server, Upstream], path: str, stream: bool, tool: bool
) -> None:
    server, fake = place
    text = json.dumps({"body": f"Your key:\n{SECRET}\nBye", "u": "\u00e9"})
    fake.answers[:] = [says(text, tool=tool)]
    assert SECRET not in ask(server, path, stream=stream)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_masked_arguments_reach_clients_as_json(
    place: tuple[Server, Upstream], stream: bool
) -> None:
    server, fake = place
    text = json.dumps({"mail": f"Hello\n{ADDRESS}", "card": 4111111111111111})
    wanted = {"mail": "Hello\n[EMAIL]", "card": "[CREDIT_CARD]"}
    fake.answers[:] = [says(text, tool=True)]
    got = ask(server, "/v1/messages", stream=stream)
    if not stream:
        assert json.loads(got)["content"][0]["input"] == wanted
        return
    events = [json.loads(line[6:]) for line in got.splitlines() if line.startswith("data: ")]
    deltas = [e["delta"] for e in events if e["type"] == "content_block_delta"]
    assert json.loads("".join(d["partial_json"] for d in deltas)) == wanted


def test_tool_results_reach_the_model_masked_and_as_json(place: tuple[Server, Upstream]) -> None:
    server, fake = place
    fake.answers[:] = [says("ok", tool=False)]
    results = json.dumps({"rows": [f"nr\n{ADDRESS}", 4111111111111111]})
    turns = [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t", "content": results}],
        },
    ]
    ask(server, "/v1/messages", messages=turns)
    told = fake.seen[-1]["messages"][-1]["content"]
    assert json.loads(told) == {"rows": ["nr\n[EMAIL]", "[CREDIT_CARD]"]}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_a_short_text_comes_before_the_call_that_follows_it(
    place: tuple[Server, Upstream], path: str
) -> None:
    server, fake = place
    function = {"name": "send", "arguments": "{}"}
    call = {"index": 0, "id": "c", "type": "function", "function": function}

    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        pieces = [
            chunk({"content": "Sure."}),
            chunk({"tool_calls": [call]}),
            chunk({}, "tool_calls"),
        ]
        return await send_events(request, [*map(sse, pieces), sse(USAGE), DONE])

    orders = []
    for model in ("plain", "guarded"):
        fake.answers[:] = [answer]
        lines = ask(server, path, model=model, stream=True).splitlines()
        events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        begun = [e.get("content_block") or e.get("item") for e in events]
        orders.append([b["type"] for e, b in zip(events, begun, strict=True) if b and _begins(e)])
    assert orders[0] == orders[1]
    assert len(orders[0]) == 2


def _begins(event: Json) -> bool:
    return event["type"] in ("content_block_start", "response.output_item.added")


def test_a_last_chunk_with_the_whole_message_does_not_double_the_text(
    place: tuple[Server, Upstream],
) -> None:
    server, fake = place
    whole = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hello"},
        "finish_reason": "stop",
    }

    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        last = {**chunk({}), "object": "chat.completion", "choices": [whole]}
        pieces = [chunk({"content": "Hel"}), chunk({"content": "lo"}), last]
        return await send_events(request, [*map(sse, pieces), sse(USAGE), DONE])

    fake.answers[:] = [answer]
    for model in ("plain", "guarded"):
        lines = ask(server, "/v1/messages", model=model, stream=True).splitlines()
        events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        said = [e["delta"]["text"] for e in events if e["type"] == "content_block_delta"]
        assert "".join(said) == "Hello"
