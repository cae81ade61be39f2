"""C42: one envelope, never wrapped twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from asking import client_of, user
from configs import proxy_config
from running import Server, serving
from upstream import Upstream, fails, send_events, sse, stream_of, upstream

Json = dict[str, Any]


@contextmanager
def chain(folder: Path) -> Iterator[tuple[Server, Upstream]]:
    """A gateway whose upstream is a gateway whose upstream is scripted."""
    for name in ("inner", "outer"):
        (folder / name).mkdir()
    with upstream() as fake, serving(proxy_config(folder / "inner", fake.url)) as inner:
        outer = proxy_config(folder / "outer", f"{inner.url}/v1")
        outer.write_text(outer.read_text().replace("fake", "plain"))
        with serving(outer) as server:
            yield server, fake


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Upstream]]:
    with chain(tmp_path_factory.mktemp("chain")) as made:
        yield made


def is_one_envelope(body: Any) -> None:
    """All four members, the message a sentence and not another envelope."""
    assert isinstance(body, dict)
    assert {"message", "type", "param", "code"} <= set(body)
    assert body["message"] and isinstance(body["message"], str)
    assert isinstance(body["type"], str) and body["type"]
    assert body["param"] is None or isinstance(body["param"], str)
    assert body["code"] is None or isinstance(body["code"], str)
    assert "error" not in body and "detail" not in body
    assert '"error"' not in body["message"] and "'error'" not in body["message"]


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.InternalServerError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_gateway_behind_a_gateway_wraps_nothing_twice(
    chained: tuple[Server, Upstream], sent: int, kind: type[openai.APIStatusError], stream: bool
) -> None:
    server, fake = chained
    fake.answers[:] = [fails(sent, "because of the weather")]
    with client_of(server.url) as client, pytest.raises(kind) as caught:
        client.chat.completions.create(model="plain", messages=user("hi"), stream=stream)
    is_one_envelope(caught.value.body)
    if sent not in (401,):  # of a refused credential nothing is passed on
        assert caught.value.message.count("because of the weather") == 1
    assert caught.value.request_id
    assert caught.value.response.json() == {"error": caught.value.body}


def test_an_error_in_mid_stream_is_wrapped_once_too(chained: tuple[Server, Upstream]) -> None:
    server, fake = chained

    async def breaks(request: Any, body: Json) -> Any:
        told = {"error": {"message": "out of luck", "type": "x", "param": None, "code": "y"}}
        return await send_events(request, [*stream_of(["Hel"])[:2], sse(told)])

    fake.answers[:] = [breaks]
    with (
        client_of(server.url) as client,
        client.chat.completions.create(model="plain", messages=user("hi"), stream=True) as stream,
        pytest.raises(openai.APIError) as caught,
    ):
        list(stream)
    is_one_envelope(caught.value.body)
    assert caught.value.message.count("out of luck") == 1


LITELLM = {
    "rate limit": (
        429,
        {
            "error": {
                "message": "litellm.RateLimitError: RateLimitError: OpenAIException - slow down",
                "type": "throttling_error",
                "param": None,
                "code": "429",
            }
        },
    ),
    "context": (
        400,
        {
            "error": {
                "message": "litellm.ContextWindowExceededError: too many tokens",
                "type": None,
                "param": None,
                "code": "400",
            }
        },
    ),
    "wrapped by its framework": (
        400,
        {"detail": {"error": {"message": "no such team", "type": "x", "param": "team"}}},
    ),
    "wrapped by itself": (
        500,
        {"error": {"error": {"message": "deep down", "type": "x", "code": None}}},
    ),
    "an envelope in its message": (
        400,
        {
            "error": {
                "message": 'OpenAIException - {"error": {"message": "bad tool", "code": null}}',
                "type": "invalid_request_error",
                "param": None,
                "code": "400",
            }
        },
    ),
    "a detail": (403, {"detail": "Not for you."}),
    "a list of details": (422, {"detail": [{"loc": ["body", "n"], "msg": "not a number"}]}),
    "no words": (503, {"error": {"message": "", "type": "None", "param": "None", "code": 503}}),
    "not an object": (502, {"error": ["a", "b"]}),
}


@pytest.mark.parametrize("name", LITELLM)
def test_the_envelopes_of_other_gateways_become_ours(
    chained: tuple[Server, Upstream], name: str
) -> None:
    server, fake = chained
    status, body = LITELLM[name]

    async def answer(request: Any, asked: Json) -> Any:
        from aiohttp import web

        return web.json_response(body, status=status)

    fake.answers[:] = [answer]
    with client_of(server.url) as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="plain", messages=user("hi"))
    is_one_envelope(caught.value.body)
    said = caught.value.message
    for words in ("slow down", "too many tokens", "no such team", "deep down", "bad tool"):
        if words in json.dumps(body):
            assert said.count(words) == 1, said
