"""What is Claude's own: signed thoughts go out and come back, and so do marks for its cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import orjson
import pytest
from aiohttp import web
from asking import client_of, user
from configs import write_config
from running import Server, serving
from upstream import Answer, Upstream, replies, says, send_events, upstream

Json = dict[str, Any]
CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: sdk, use: litellm, options: {{api_key: "env:TEST_KEY", api_base: "{base}"}}}}
  - {{name: plain, use: openai_compatible, options: {{base_url: "{base}/v1"}}}}
pools:
  - name: claude
    targets: [{{provider: sdk, model: anthropic/claude-haiku-4-5}}]
    retries: {{attempts: 1}}
  - {{name: other, targets: [{{provider: plain, model: m}}]}}
  - name: both
    targets: [{{provider: sdk, model: anthropic/claude-haiku-4-5}}]
    retries: {{attempts: 1}}
    fallbacks: [other]
routes:
  - {{name: guarded, pool: claude, guards: [addresses]}}
"""
POLICY = """name: addresses
checks:
  - {name: personal, use: pii, at: [output, tool_calls], action: mask, options: {types: [email]}}
"""
THOUGHT: Json = {"type": "thinking", "thinking": "Rain, so an umbrella.", "signature": "c2ln"}
CALL: Json = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
MESSAGE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [THOUGHT, CALL],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 11, "output_tokens": 7},
}
ASKED: dict[str, Any] = {
    "max_tokens": 5000,
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
}
USER: Any = {"role": "user", "content": "What do I need?"}
RESULT: Any = {"type": "tool_result", "tool_use_id": "t1", "content": "rain"}
SAID = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 11, "output_tokens": 7},
}
MARK: Any = {"type": "ephemeral"}
MARKED: dict[str, Any] = {
    "max_tokens": 50,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": MARK}],
    "tools": [
        {"name": "f", "input_schema": {"type": "object"}},
        {"name": "g", "input_schema": {"type": "object"}, "cache_control": MARK},
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": MARK}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "text", "text": "rain"}],
                    "cache_control": MARK,
                },
            ],
        },
    ],
}


def claude() -> Answer:
    """Thinks, then calls: as a whole, or in Anthropic's events."""

    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        if not body.get("stream"):
            return web.json_response(MESSAGE)
        return await send_events(request, [named(e) for e in events()])

    return answer


def events() -> Iterator[Json]:
    start = {**MESSAGE, "content": [], "stop_reason": None}
    yield {"type": "message_start", "message": start}
    empty = {"type": "thinking", "thinking": "", "signature": ""}
    deltas: list[Json] = [
        *({"type": "thinking_delta", "thinking": t} for t in ("Rain, ", "so an umbrella.")),
        {"type": "signature_delta", "signature": "c2ln"},
    ]
    arguments = [{"type": "input_json_delta", "partial_json": '{"a": 1}'}]
    for index, block, said in ((0, empty, deltas), (1, {**CALL, "input": {}}, arguments)):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for delta in said:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ends = {"stop_reason": "tool_use", "stop_sequence": None}
    yield {"type": "message_delta", "delta": ends, "usage": {"output_tokens": 7}}
    yield {"type": "message_stop"}


def named(body: Json) -> bytes:
    return f"event: {body['type']}\ndata: ".encode() + orjson.dumps(body) + b"\n\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Upstream]]:
    folder = tmp_path_factory.mktemp("claude")
    (folder / "guardrails").mkdir()
    (folder / "guardrails" / "addresses.yaml").write_text(POLICY)
    with upstream(claude()) as fake:
        config = write_config(folder, CONFIG.format(base=fake.url.removesuffix("/v1")))
        with serving(config, env={"TEST_KEY": "test-key"}) as server:
            yield server, fake


@pytest.mark.parametrize("stream", [False, True])
def test_a_signed_thought_goes_out_and_comes_back(
    place: tuple[Server, Upstream], stream: bool
) -> None:
    server, fake = place
    fake.answers[:] = [claude()]
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        if stream:
            with client.messages.stream(model="claude", messages=[USER], **ASKED) as streamed:
                message = streamed.get_final_message()
        else:
            message = client.messages.create(model="claude", messages=[USER], **ASKED)
        said = [block.model_dump(exclude_none=True) for block in message.content]
        assert said[0] == THOUGHT and (said[1]["name"], said[1]["input"]) == ("f", {"a": 1})
        turns = [
            USER,
            {"role": "assistant", "content": said},
            {"role": "user", "content": [RESULT]},
        ]
        raw = client.messages.with_raw_response.create(model="claude", messages=turns, **ASKED)
    assert "x-headgate-dropped" not in raw.headers
    assert fake.seen[-1]["messages"][1]["content"][0] == THOUGHT


CACHES = {"cache_creation_input_tokens": 3, "cache_read_input_tokens": 7}


def caching() -> Answer:
    """Says of 21 tokens in that 3 were written to the cache and 7 read from it."""
    usage = {"input_tokens": 11, "output_tokens": 7, **CACHES}

    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        if not body.get("stream"):
            return web.json_response({**MESSAGE, "usage": usage})
        told = list(events())
        told[0]["message"]["usage"] = {**usage, "output_tokens": 1}
        return await send_events(request, [named(e) for e in told])

    return answer


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_of_caches_are_told_as_claude_told_them(
    place: tuple[Server, Upstream], stream: bool
) -> None:
    server, fake = place
    fake.answers[:] = [caching()]
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        if stream:
            with client.messages.stream(model="claude", messages=[USER], **ASKED) as streamed:
                message = streamed.get_final_message()
        else:
            message = client.messages.create(model="claude", messages=[USER], **ASKED)
    told = message.usage.model_dump()
    assert {name: told[name] for name in CACHES} == CACHES
    assert (told["input_tokens"], told["output_tokens"]) == (11, 7)


@pytest.mark.parametrize("model", ["claude", "guarded"])
def test_the_usage_of_a_stream_comes_last_and_without_choices(
    place: tuple[Server, Upstream], model: str
) -> None:
    server, fake = place
    fake.answers[:] = [caching()]
    with client_of(server.url) as client:
        chunks = list(
            client.chat.completions.create(
                model=model,
                messages=user("What do I need?"),
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    *before, last = chunks
    assert last.choices == [] and last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (21, 7)
    assert all(c.choices and c.usage is None for c in before)
    assert before[-1].choices[0].finish_reason == "tool_calls"


def test_a_signature_is_named_where_nobody_reads_it(place: tuple[Server, Upstream]) -> None:
    server, fake = place
    fake.answers[:] = [says("An umbrella.")]
    turns: Any = [USER, {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "Hm"}]}]
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        raw = client.messages.with_raw_response.create(
            model="other", max_tokens=50, messages=[*turns, USER]
        )
    assert raw.headers["x-headgate-dropped"] == "signature"
    assert "c2ln" not in str(fake.seen[-1])
    assert fake.seen[-1]["messages"][1]["reasoning_content"] == THOUGHT["thinking"]


def asked(server: Server, model: str) -> Any:
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        return client.messages.with_raw_response.create(model=model, **MARKED)


def test_marks_arrive_at_claude_where_they_stood(place: tuple[Server, Upstream]) -> None:
    server, fake = place
    fake.answers[:] = [replies(SAID)]
    raw = asked(server, "claude")
    assert raw.parse().content[0].text == "Hello"
    assert "x-headgate-dropped" not in raw.headers
    assert fake.paths[-1] == "/v1/messages"
    sent = fake.seen[-1]
    assert sent["system"][0]["cache_control"] == MARK
    assert [t.get("cache_control") for t in sent["tools"]] == [None, MARK]
    assert sent["messages"][0]["content"][0]["cache_control"] == MARK
    [result] = sent["messages"][2]["content"]
    assert (result["type"], result["cache_control"]) == ("tool_result", MARK)


@pytest.mark.parametrize("model", ["other", "both"])
def test_marks_are_named_where_one_who_may_answer_takes_none(
    place: tuple[Server, Upstream], model: str
) -> None:
    server, fake = place
    fake.answers[:] = [says("Hello") if model == "other" else replies(SAID)]
    raw = asked(server, model)
    assert raw.headers["x-headgate-dropped"] == "cache_control"
    assert "cache_control" not in str(fake.seen[-1])
    if model == "other":
        assert fake.seen[-1]["messages"][0] == {"role": "system", "content": "Be brief."}
