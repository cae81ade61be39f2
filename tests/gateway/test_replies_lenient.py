"""Replies that a strict reader of JSON refuses and the official client does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from aiohttp import web
from dialect_world import World, dialect_world
from upstream import USAGE, Answer, chunk, completion, send_events, sse

from headgate_core.errors import UpstreamMalformed
from headgate_gateway.upstream.errors import parsed, status_error

Json = dict[str, Any]
USER: list[Any] = [{"role": "user", "content": "Hi"}]
HALVES = "Hi \ud83d", "\ude00 there"
"""A face of two halves, as servers send it that cut texts by UTF-16 units."""
LOGPROBS = {"content": [{"token": "Hi", "logprob": float("-inf"), "top_logprobs": []}]}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with dialect_world(tmp_path_factory.mktemp("lenient")) as made:
        yield made


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[openai.OpenAI]:
    url = f"{world.server.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as made:
        yield made


def event(body: Json) -> bytes:
    """An event with halves of pairs and infinite numbers as Python writes them."""
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def halved() -> list[bytes]:
    said = [event(chunk({"content": half})) for half in HALVES]
    said[0] = event(
        {
            "id": "c",
            "choices": [{"index": 0, "delta": {"content": HALVES[0]}, "logprobs": LOGPROBS}],
        }
    )
    return [*said, sse(chunk({}, "stop")), sse(USAGE), b"data: [DONE]\n\n"]


def lenient() -> Answer:
    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        if body.get("stream"):
            return await send_events(request, halved())
        whole = completion("".join(HALVES[:1]))
        whole["choices"][0]["logprobs"] = LOGPROBS
        return web.Response(text=json.dumps(whole), content_type="application/json")

    return answer


def strictly(text: bytes) -> Any:
    """Read as JSON.parse does: numbers are finite, halves of pairs are halves."""

    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} in {text!r}")

    return json.loads(text.decode(), parse_constant=refused)


def test_a_forwarded_stream_is_json_and_its_client_joins_the_halves(
    world: World, client: openai.OpenAI
) -> None:
    world.fake.answers[:] = [lenient()]
    asked: Any = {"model": "plain", "messages": USER, "stream": True}
    with client.chat.completions.with_streaming_response.create(**asked) as raw:
        sent = b"".join(raw.iter_bytes())
    *events, done, end = sent.split(b"\n\n")
    bodies = [strictly(e.removeprefix(b"data: ")) for e in events]
    assert (done, end) == (b"data: [DONE]", b"")
    assert [b["choices"][0]["delta"].get("content") for b in bodies] == [*HALVES, None]
    assert bodies[0]["choices"][0]["logprobs"]["content"][0]["logprob"] is None
    assert events[2] + b"\n\n" == halved()[2]  # what all clients can read stays as it came
    told = client.chat.completions.create(**asked)
    text = "".join(c.choices[0].delta.content or "" for c in told)
    assert text == "".join(HALVES)
    whole = client.chat.completions.with_raw_response.create(model="plain", messages=USER)
    choice = strictly(whole.content)["choices"][0]
    assert choice["message"]["content"] == HALVES[0]
    assert choice["logprobs"]["content"][0]["logprob"] is None


def test_where_a_stream_is_read_halves_become_a_sign_and_the_stream_goes_on(
    world: World, client: openai.OpenAI
) -> None:
    world.fake.answers[:] = [lenient()]
    expected = "Hi \ufffd\ufffd there"
    asked: Any = {"model": "guarded", "messages": USER, "stream": True}
    told = client.chat.completions.create(**asked)
    assert "".join(c.choices[0].delta.content or "" for c in told if c.choices) == expected
    with client.responses.stream(model="plain", input="Hi") as stream:
        assert stream.get_final_response().output_text == expected
    completed = client.completions.create(model="plain", prompt="Hi", stream=True)
    assert "".join(c.choices[0].text for c in completed if c.choices) == expected
    url = world.server.url
    with (
        anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as claude,
        claude.messages.stream(model="plain", max_tokens=9, messages=USER) as blocks,
    ):
        assert blocks.get_final_text() == expected
    whole = client.chat.completions.create(model="guarded", messages=USER)
    assert whole.choices[0].message.content == "Hi \ufffd"


def test_the_member_headgate_is_added_to_a_reply_with_an_infinite_number(world: World) -> None:
    world.fake.answers[:] = [lenient()]
    status, body = world.server.chat("plain", "Hi", headgate={"meta": True})
    assert status == 200 and body["headgate"]["call_id"]
    assert body["choices"][0]["logprobs"]["content"][0]["logprob"] is None


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (rb'{"a": "\ud83d\ude00 \ud83d"}', {"a": "\U0001f600 \ufffd"}),
        (rb'{"\udc00k": [NaN, -Infinity, Infinity, 1e999]}', {"\ufffdk": [None] * 4}),
        (
            b'{"a": NaN, "b": %d, "c": -%d}' % (2**64, 2**62),
            {"a": None, "b": 2.0**64, "c": -(2**62)},
        ),
        (
            b'{"a": NaN, "b": %d, "c": -%d, "d": -%d}' % (2**64 - 1, 2**63, 2**63 + 1),
            {"a": None, "b": 2**64 - 1, "c": -(2**63), "d": -(2.0**63)},
        ),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    ],
)
def test_what_is_no_text_or_no_number_becomes_the_nearest_that_is(data: bytes, value: Json) -> None:
    found = parsed(data)
    assert found == value and [type(v) for v in found.values()] == list(map(type, value.values()))


NO_JSON = [b'{"a": NaN', b'{"a": "\xff"}', b'{"a":' * 5000, b"nan", b""]
NO_UTF_8 = ['{"a": 1}'.encode(code) for code in ("utf-16", "utf-16-le", "utf-32")]


@pytest.mark.parametrize("data", [*NO_JSON, *NO_UTF_8, b'{"a": "\xed\xa0\xbd"}'])
def test_what_is_no_json_is_the_upstreams_fault(data: bytes) -> None:
    with pytest.raises(UpstreamMalformed):
        parsed(data)


def test_an_error_is_read_that_quotes_half_a_pair() -> None:
    error = status_error(
        400, {}, rb'{"error": {"message": "bad \ud83d", "code": "invalid_prompt"}}'
    )
    assert (error.message, error.upstream_code) == ("bad \ufffd", "invalid_prompt")
