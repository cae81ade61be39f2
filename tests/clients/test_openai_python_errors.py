"""Which exception the official ``openai`` client raises, and when it tries again by itself."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from aiohttp import web
from clients_world import Async, Caller, Sync, World, clients_world, well
from dialect_world import ATTACK
from upstream import Answer, fails, says

HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]
PLAIN: dict[str, Any] = {"model": "plain", "messages": HELLO}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with clients_world(tmp_path_factory.mktemp("errors")) as made:
        yield made


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def client(request: pytest.FixtureRequest, world: World) -> Caller:
    world.fake.answers[:] = [well()]
    made: Caller = request.param(f"{world.server.url}/v1")
    return made


async def silent(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


def tries(caplog: pytest.LogCaptureFixture) -> list[float]:
    said = [re.search(r"in ([\d.]+) seconds", r.getMessage()) for r in caplog.records]
    return [float(match[1]) for match in said if match]


def caught(client: Caller, **body: Any) -> openai.APIStatusError:
    options = body.pop("options", {})
    with pytest.raises(openai.APIStatusError) as raised:
        client.ask(lambda c: c.chat.completions.create(**{**PLAIN, **body}), **options)
    return raised.value


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ({"temperature": 9}, openai.BadRequestError, (400, "invalid_request", "temperature")),
        (
            {"model": "strict", "messages": [{"role": "user", "content": ATTACK}]},
            openai.BadRequestError,
            (400, "guardrail_blocked", "messages"),
        ),
        ({"model": "none"}, openai.NotFoundError, (404, "model_not_found", "model")),
        (
            {"messages": [{"role": "user", "content": "x" * 300_000}]},
            openai.APIStatusError,
            (413, "request_too_large", None),
        ),
        ({"model": "lost"}, openai.InternalServerError, (502, "upstream_unreachable", None)),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_refused_call_is_a_typed_exception(
    client: Caller,
    body: dict[str, Any],
    kind: type[openai.APIStatusError],
    said: tuple[int, str, str | None],
    stream: bool,
) -> None:
    error = caught(client, **body, stream=stream)
    assert isinstance(error, kind)
    assert (error.status_code, error.code, error.param) == said
    assert error.type
    assert error.message


@pytest.mark.parametrize(
    ("answer", "kind", "status"),
    [
        (fails(400, "too long"), openai.BadRequestError, 400),
        (fails(404, "no such model"), openai.NotFoundError, 404),
        (fails(422, "not so"), openai.UnprocessableEntityError, 422),
        (fails(429, "slow down"), openai.RateLimitError, 429),
        (fails(401, "bad key"), openai.InternalServerError, 502),
        (fails(500), openai.InternalServerError, 502),
        (fails(503), openai.InternalServerError, 502),
    ],
)
def test_an_upstreams_failure_is_a_typed_exception(
    world: World, client: Caller, answer: Answer, kind: type[Exception], status: int
) -> None:
    world.fake.answers[:] = [answer]
    error = caught(client)
    assert isinstance(error, kind)
    assert error.status_code == status
    assert isinstance(error.body, dict)
    assert error.request_id == error.body["call_id"]
    assert world.record(error.body["call_id"])["status"] == status


def test_an_unknown_key_and_a_model_that_a_key_may_not_use(world: World, client: Caller) -> None:
    unknown = caught(client, options={"api_key": "hg-wrong"})
    assert isinstance(unknown, openai.AuthenticationError)
    assert unknown.code == "invalid_api_key"
    narrow = world.key("--model", "guarded")
    forbidden = caught(client, options={"api_key": narrow})
    assert isinstance(forbidden, openai.PermissionDeniedError)
    assert forbidden.code == "model_not_allowed"


def test_a_timer_that_fires_is_a_504(world: World, client: Caller) -> None:
    world.fake.answers[:] = [silent]
    error = caught(client, model="hasty")
    assert isinstance(error, openai.InternalServerError)
    assert (error.status_code, error.code) == (504, "upstream_timeout")


def test_a_limit_of_the_key_is_a_rate_limit_error_that_says_when(
    world: World, client: Caller
) -> None:
    key = world.key("--requests-per-minute", "1")
    client.ask(lambda c: c.chat.completions.create(**PLAIN), api_key=key)
    error = caught(client, options={"api_key": key})
    assert isinstance(error, openai.RateLimitError)
    assert error.code == "rate_limit_exceeded"
    assert 0 < int(error.response.headers["retry-after"]) <= 60


def test_a_conflicting_idempotency_key_is_not_tried_again(
    world: World, client: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="openai._base_client")
    headers = {"Idempotency-Key": f"k-{type(client).__name__}"}
    client.ask(lambda c: c.chat.completions.create(**PLAIN, extra_headers=headers))
    error = caught(client, extra_headers=headers, temperature=1, options={"max_retries": 2})
    assert isinstance(error, openai.ConflictError)
    assert error.code == "idempotency_conflict"
    assert error.response.headers["x-should-retry"] == "false"
    assert tries(caplog) == []


def test_the_client_tries_again_after_a_failure_and_gets_the_answer(
    world: World, client: Caller
) -> None:
    world.fake.answers[:] = [fails(503), well()]
    raw = client.ask(lambda c: c.chat.completions.with_raw_response.create(**PLAIN), max_retries=2)
    assert raw.parse().choices[0].message.content == "Hello world"
    assert raw.retries_taken == 1


def test_the_client_waits_as_long_as_the_gateway_says(
    world: World, client: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="openai._base_client")
    world.fake.answers[:] = [fails(429, "slow down", {"retry-after": "1"}), well()]
    raw = client.ask(lambda c: c.chat.completions.with_raw_response.create(**PLAIN), max_retries=2)
    assert raw.retries_taken == 1
    assert len(tries(caplog)) == 1
    assert 0 < tries(caplog)[0] <= 1


def test_a_stream_that_breaks_off_is_an_api_error_and_is_not_tried_again(
    world: World, client: Caller
) -> None:
    world.fake.answers[:] = [says("Hello", done=False, finish=False)]
    before = len(world.fake.seen)
    with pytest.raises(openai.APIError) as raised:
        client.streamed(lambda c: c.chat.completions.create(**PLAIN, stream=True))
    assert raised.value.code == "upstream_truncated"
    assert len(world.fake.seen) == before + 1


def test_a_path_that_is_not_served_is_a_not_found_error(client: Caller) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.ask(lambda c: c.batches.retrieve("batch_1"))
    assert raised.value.code == "endpoint_not_served"
