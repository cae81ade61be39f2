"""Members of a chat request: published ones are checked, and all of them arrive as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from aiohttp import web
from asking import client_of, user
from configs import proxy_config
from openai.types.chat import ChatCompletionMessageParam
from running import Server, serving
from upstream import Upstream, says, upstream

from headgate_core.context import Context
from headgate_gateway.http.sdk_headers import heed

USER: Any = user("Say hello.")
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
PICTURE = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture(scope="module")
def fake() -> Iterator[Upstream]:
    with upstream(says("Hello")) as made:
        yield made


@pytest.fixture(scope="module")
def server(fake: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(proxy_config(tmp_path_factory.mktemp("members"), fake.url)) as made:
        yield made


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with client_of(server.url) as made:
        yield made


def parts(*listed: object) -> dict[str, object]:
    """A body whose only message has these parts."""
    return {"messages": [{"role": "user", "content": list(listed)}]}


def called(**more: object) -> dict[str, object]:
    """A body with an answer that called a tool, in which ``more`` is changed."""
    answer = {"role": "assistant", "content": None, "tool_calls": [{**CALL, **more}]}
    return {"messages": [*USER, answer, {"role": "tool", "tool_call_id": "c", "content": "1"}]}


WRONG: list[tuple[dict[str, object], str]] = [
    ({"seed": "abc"}, "seed"),
    ({"seed": 1.5}, "seed"),
    ({"seed": True}, "seed"),
    ({"n": 2.5}, "n"),
    ({"top_logprobs": "x"}, "top_logprobs"),
    ({"logprobs": 1}, "logprobs"),
    ({"stop": 5}, "stop"),
    ({"stop": ["a", 5]}, "stop[1]"),
    ({"user": ["x"]}, "user"),
    ({"reasoning_effort": 7}, "reasoning_effort"),
    ({"service_tier": {}}, "service_tier"),
    ({"modalities": [7]}, "modalities[0]"),
    ({"audio": {"voice": 1}}, "audio.voice"),
    ({"logit_bias": {"50256": "x"}}, "logit_bias.50256"),
    ({"metadata": ["a"]}, "metadata"),
    ({"prediction": {"type": "content"}}, "prediction.content"),
    ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
    ({"response_format": "json"}, "response_format"),
    ({"response_format": {}}, "response_format.type"),
    (
        {"response_format": {"type": "json_schema"}},
        "response_format.json_schema",
    ),
    (
        {"messages": [*USER, {"role": "tool", "content": "1"}]},
        "messages[1].tool_call_id",
    ),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": 1}}},
        "response_format.json_schema.name",
    ),
    ({"tools": {}}, "tools"),
    ({"tools": [5]}, "tools[0]"),
    ({"tools": [{}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [TOOL, {"type": "function", "function": {}}]}, "tools[1].function.name"),
    ({"tools": [{"function": {"name": 1}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].custom.name"),
    ({"tool_choice": 5}, "tool_choice"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
    ({"tool_choice": {"type": "function", "function": {}}}, "tool_choice.function.name"),
    ({"functions": [{}]}, "functions[0].name"),
    ({"messages": {}}, "messages"),
    ({"messages": [5]}, "messages[0]"),
    ({"messages": [*USER, {"role": "user"}]}, "messages[1].content"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": "x", "name": 1}]}, "messages[0].name"),
    (parts(5), "messages[0].content[0]"),
    (parts({}), "messages[0].content[0].type"),
    (parts({"type": 5}), "messages[0].content[0].type"),
    (parts({"type": "text"}), "messages[0].content[0].text"),
    (parts({"type": "image_url"}), "messages[0].content[0].image_url"),
    (
        parts({"type": "text", "text": "x"}, {"type": "image_url", "image_url": 5}),
        "messages[0].content[1].image_url",
    ),
    (parts({"type": "image_url", "image_url": {}}), "messages[0].content[0].image_url.url"),
    (
        parts({"type": "input_audio", "input_audio": {"format": "wav"}}),
        "messages[0].content[0].input_audio.data",
    ),
    (parts({"type": "file", "file": {"file_id": 5}}), "messages[0].content[0].file.file_id"),
    (parts({"type": "refusal", "refusal": 5}), "messages[0].content[0].refusal"),
    (called(id=None), "messages[1].tool_calls[0].id"),
    (called(function=None), "messages[1].tool_calls[0].function"),
    (
        called(function={"name": "f", "arguments": {}}),
        "messages[1].tool_calls[0].function.arguments",
    ),
    (
        {"messages": [*USER, {"role": "assistant", "tool_calls": 5}]},
        "messages[1].tool_calls",
    ),
]


@pytest.mark.parametrize(("more", "param"), WRONG, ids=lambda one: str(one)[:60])
def test_a_wrong_member_is_named_by_its_path_and_nothing_is_sent(
    server: Server, fake: Upstream, more: dict[str, object], param: str
) -> None:
    before = len(fake.seen)
    status, body = server.post("/v1/chat/completions", {"model": "plain", "messages": USER, **more})
    assert (status, body["error"]["param"]) == (400, param)
    assert body["error"]["message"].startswith(f"`{param}` ")
    assert body["error"]["type"] == "invalid_request_error"
    assert len(fake.seen) == before


PASSED: list[dict[str, object]] = [
    {"reasoning_effort": "xhigh", "service_tier": "flex", "verbosity": "low"},
    {"reasoning_effort": None, "stop": None, "tools": None, "seed": None},
    {"response_format": {"type": "structural_tag", "format": {"type": "tag"}}},
    {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "array"}}}},
    {"tools": [{"type": "web_search", "max_uses": 2}, {"googleSearch": {}}], "tool_choice": "any"},
    {"tool_choice": {"type": "tool", "name": "f"}, "tools": [TOOL]},
    {"top_logprobs": -1, "guided_regex": "a+", "thinking": {"budget_tokens": 5}},
    {"stream_options": {"continuous_usage_stats": True}},
    {"messages": [{"role": "user", "content": "x", "cache": {"ttl": 5}, "reasoning_content": "y"}]},
    parts({"type": "video_url", "video_url": {"url": "https://v.example/a.mp4"}}),
    parts({"type": "image_url", "image_url": "https://i.example/a.png"}),
    parts({"type": "image_url", "image_url": None, "uuid": "picture-1"}),
    parts({"text": "no type"}, {"type": "text", "text": "x", "cache_control": {"type": "a"}}),
    called(index=0, extra_content={"google": {"thought_signature": "s"}}),
    {"numbers": [18446744073709551615, -9223372036854775808, 100000000000000000000, 1e300]},
]


@pytest.mark.parametrize("more", PASSED, ids=lambda one: str(one)[:60])
def test_what_other_servers_add_arrives_untouched(
    server: Server, fake: Upstream, more: dict[str, object]
) -> None:
    body = {"model": "plain", "messages": USER, "max_tokens": 9, **more}
    status, answer = server.post("/v1/chat/completions", body)
    assert status == 200, answer
    assert fake.seen[-1] == {**body, "model": "fake"}


def test_what_the_official_client_sends_arrives_equal(
    client: openai.OpenAI, fake: Upstream
) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "Look and listen."},
                {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                {"type": "file", "file": {"file_data": "JVBERg==", "filename": "a.pdf"}},
            ],
        },
    ]
    sent: dict[str, Any] = {
        "logprobs": True,
        "top_logprobs": 3,
        "n": 2,
        "seed": 2**63,
        "reasoning_effort": "high",
        "stop": ["a", "b"],
        "logit_bias": {"50256": -100},
        "user": "ann",
        "modalities": ["text", "audio"],
        "audio": {"format": "wav", "voice": "alloy"},
        "prediction": {"type": "content", "content": "Hello"},
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
        "tools": [TOOL, {"type": "custom", "custom": {"name": "c"}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "web_search_options": {"search_context_size": "low"},
    }
    unknown = {"made_up": {"deep": [1, None, {"x": 0.1}]}, "top_k": 5}
    client.chat.completions.create(model="plain", messages=messages, extra_body=unknown, **sent)
    arrived = fake.seen[-1]
    assert arrived.pop("max_tokens") == 2048
    assert arrived == {"model": "fake", "messages": messages, **sent, **unknown}


@pytest.mark.parametrize(
    ("member", "param"),
    [
        ('"seed": 1180591620717411303425', "seed"),
        ('"made_up": {"deep": [0, -9223372036854775809]}', "made_up.deep[1]"),
    ],
)
def test_a_number_that_would_be_rounded_is_refused(
    server: Server, fake: Upstream, member: str, param: str
) -> None:
    before = len(fake.seen)
    body = f'{{"model": "plain", "messages": [{{"role": "user", "content": "x"}}], {member}}}'
    status, answer = server.post("/v1/chat/completions", body.encode())
    assert (status, answer["error"]["param"]) == (400, param)
    assert member.rstrip("]}").split()[-1] in answer["error"]["message"]
    assert len(fake.seen) == before


def test_digits_in_a_text_are_no_number(server: Server, fake: Upstream) -> None:
    text = "1180591620717411303425 and -9223372036854775809"
    assert server.chat("plain", text)[0] == 200
    assert fake.seen[-1]["messages"][0]["content"] == text


def test_long_digits_in_a_body_that_is_too_deep_are_an_error_of_the_caller(server: Server) -> None:
    body = b'{"model": "plain", "x": "%s", "y": %s}' % (b"1" * 30, b"[" * 1000 + b"]" * 1000)
    status, answer = server.post("/v1/chat/completions", body)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("headers", "waits_s"),
    [
        ({}, None),
        ({b"x-stainless-read-timeout": b"2.5"}, 2.5),
        ({b"x-stainless-timeout": b"2"}, 3.0),  # as whole seconds: the client waits 2 to 3 s
        ({b"x-stainless-timeout": b"0"}, None),
        ({b"x-stainless-timeout": b"soon"}, None),
        ({b"x-stainless-timeout": b"600", b"x-stainless-read-timeout": b"5"}, 5.0),
    ],
)
def test_a_call_lasts_no_longer_than_its_client_waits(
    headers: dict[bytes, bytes], waits_s: float | None
) -> None:
    scope = {"headers": list(headers.items())}
    ctx, streamed = Context("plain", {}), Context("plain", {}, stream=True)
    heed(ctx, scope)
    heed(streamed, scope)
    assert ctx.notes.get("waits_s") == waits_s
    assert "waits_s" not in streamed.notes


def test_the_wait_that_the_client_for_node_states_ends_a_call(
    server: Server, fake: Upstream
) -> None:
    async def hangs(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    fake.answers[:] = [hangs]
    try:
        body = {"model": "plain", "messages": USER}
        status, answer = server.post("/v1/chat/completions", body, {"X-Stainless-Timeout": "1"})
    finally:
        fake.answers[:] = [says("Hello")]
    assert (status, answer["error"]["code"]) == (504, "upstream_timeout")
    assert fake.hung_up.wait(5)
