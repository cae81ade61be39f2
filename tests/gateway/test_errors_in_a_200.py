"""An error that comes inside a 200 is handled as if it had come with its own status."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from configs import write_config
from in_process import opened
from raw_upstream import Exchange, raw_upstream
from upstream import completion, stream_of

from headgate_gateway.upstream.errors import reported

CONFIG = """\
auth: {{keys: open}}
providers: [{{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}]
pools:
  - name: main
    targets: [{{provider: up, model: small}}]
    fallbacks: {{context_window: [large]}}
  - {{name: large, targets: [{{provider: up, model: large}}]}}
  - {{name: alone, targets: [{{provider: up, model: small}}]}}
"""
TOO_LONG = "This model's maximum context length is 8192 tokens"


def told(error: dict[str, Any]) -> Any:
    async def script(exchange: Exchange) -> None:
        stream = exchange.body.get("stream")
        if exchange.body["model"] == "large":
            if stream:
                await exchange.stream(stream_of(["from the large one"]))
            else:
                await exchange.json(200, orjson.dumps(completion("from the large one")))
            return
        data = orjson.dumps({"error": error})
        if stream:
            await exchange.stream([b"data: " + data + b"\n\n", b"data: [DONE]\n\n"])
        else:
            await exchange.json(200, data)

    return script


def error(message: str, kind: str, code: Any) -> dict[str, Any]:
    return {"message": message, "type": kind, "param": None, "code": code}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        error(TOO_LONG, "invalid_request_error", "context_length_exceeded"),
        error(TOO_LONG, "BadRequestError", "400"),
        error(TOO_LONG, "BadRequestError", 400),
        error(TOO_LONG, "invalid_request_error", None),
    ],
)
def test_a_request_that_is_too_long_goes_to_the_model_that_takes_it(
    tmp_path: Path, said: dict[str, Any], stream: bool
) -> None:
    async def ask() -> None:
        async with (
            raw_upstream(told(said)) as fake,
            opened(write_config(tmp_path, CONFIG.format(url=fake.url))) as place,
        ):
            for _ in range(7):
                answer = await place.chat("main", stream=stream)
                assert b"from the large one" in answer.body
            assert [r["model"] for r in fake.requests] == ["small", "large"] * 7
            assert {t["state"] for t in place.endpoints.gateway.targets()} == {"closed"}

    asyncio.run(ask())


SECRET = "Incorrect API key provided: sk-upstream"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (error(SECRET, "invalid_request_error", "invalid_api_key"), 401),
        (error(SECRET, "authentication_error", None), 401),
        (error(SECRET, "invalid_request_error", None), 401),
        (error(SECRET, "auth", "bad_key"), 401),
        (error(SECRET, "permission_error", "no_such_right"), 403),
        ({"message": SECRET, "status": "PERMISSION_DENIED"}, 403),
    ],
)
def test_the_gateways_own_key_is_in_nobodys_error(
    tmp_path: Path, said: dict[str, Any], meant: int, stream: bool
) -> None:
    async def ask() -> None:
        async with (
            raw_upstream(told(said)) as fake,
            opened(write_config(tmp_path, CONFIG.format(url=fake.url))) as place,
        ):
            answer = await place.chat("alone", stream=stream)
            found = answer.error
            assert found is not None and answer.status == 502
            assert found["upstream_status"] == meant and b"sk-upstream" not in answer.body
            assert found["message"] == f"The upstream refused the gateway's credentials ({meant})."

    asyncio.run(ask())


@pytest.mark.parametrize("error", [[], {}])
@pytest.mark.parametrize("body", [{"choices": []}, {"candidates": []}, {}])
def test_an_empty_error_is_none_beside_an_answer(error: Any, body: dict[str, Any]) -> None:
    failure = reported({**body, "error": error})
    assert (failure is None) == bool(body)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("said", "status", "code", "tries"),
    [
        (error("no", "invalid_request_error", "invalid_value"), 400, "invalid_value", 1),
        (error("slow down", "rate_limit_error", None), 429, "rate_limit_error", 2),
        (error("slow down", "requests", "rate_limit_exceeded"), 429, "rate_limit_exceeded", 2),
        (error("no money", "insufficient_quota", None), 429, "insufficient_quota", 2),
        (error("ouch", "server_error", None), 502, "upstream_error", 2),
        (error("ouch", "overloaded_error", "503"), 502, "upstream_error", 2),
        (error("ouch", "invalid_request_error", "model_crashed"), 502, "upstream_error", 2),
    ],
)
def test_the_caller_gets_the_status_that_it_means(
    tmp_path: Path, said: dict[str, Any], status: int, code: str, tries: int, stream: bool
) -> None:
    async def ask() -> None:
        async with (
            raw_upstream(told(said)) as fake,
            opened(write_config(tmp_path, CONFIG.format(url=fake.url))) as place,
        ):
            answer = await place.chat("alone", stream=stream)
            found = answer.error
            assert found is not None
            assert (answer.status, found["code"]) == (status, code)
            assert found["message"] == said["message"]
            assert len(fake.requests) == tries

    asyncio.run(ask())
