"""Each timer alone fires at its value, says its name and value, and leaves an honest row."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from jumping_clock import run_jumping
from raw_upstream import CHUNKED, STREAM_HEAD, Exchange, raw_upstream
from upstream import chunk, completion, sse, stream_of

from headgate_core.context import Context
from headgate_core.errors import HeadgateError, UpstreamTimeout
from headgate_core.ports import ModelRequest
from headgate_core.records import AttemptRecord
from headgate_core.settings.pools import PoolSettings, TimeoutSettings
from headgate_core.types import Principal, Purpose, Usage
from headgate_gateway.providers.openai_compatible import OpenaiCompatible
from headgate_gateway.routing.attempts import Attempts
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.router import Router

WHO = Principal(key_id="k")
Script = Callable[[Exchange], Awaitable[None]]


@dataclass
class Price:
    pico: int | None
    text: str = "1 pico-dollar a token"


class Prices:
    def price(self, usage: Usage, provider: str, model: str, tier: str = "") -> Price:
        return Price(usage.input_tokens + usage.output_tokens)

    def worst_case(self, most: Usage, provider: str, model: str, tier: str = "") -> int | None:
        return most.input_tokens + most.output_tokens


@dataclass
class Outcome:
    """How one call ended: after so many seconds, with which error, and its row."""

    after_s: float
    error: HeadgateError | None
    attempt: AttemptRecord


async def called(
    url: str,
    *,
    stream: bool,
    targets: int = 1,
    leaves_s: float | None = None,
    **timeouts: float,
) -> Outcome:
    """One try in a pool with these timers; the others are at their defaults.

    ``leaves_s`` is when the caller hangs up.
    """
    provider = OpenaiCompatible(url)
    settings = PoolSettings.model_validate(
        {
            "name": "p",
            "targets": [{"provider": "up", "model": "m"}] * targets,
            "timeouts": timeouts,
            "retries": {"attempts": 1},
        }
    )
    pool = Pool.build(settings, {"up": provider}, lambda target: None)
    router = Router({"p": pool}, Attempts(lambda line: None, Prices()), "hash")
    ctx = Context(route="r", request={}, principal=WHO)
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Count to a million."}]}
    request = ModelRequest({**body, "stream": stream}, stream, context=ctx)
    loop = asyncio.get_running_loop()
    begun, error = loop.time(), None
    try:
        async with asyncio.timeout(leaves_s):
            reply = await router.call("p", request, Purpose.SERVE, WHO, ctx)
            async for _ in reply.events:
                pass
    except HeadgateError as failure:
        error = failure
    except TimeoutError:
        pass  # the caller has left
    finally:
        await provider.close()
    return Outcome(loop.time() - begun, error, ctx.attempts[0])


def outcome(script: Script, *, stream: bool, targets: int = 1, **timeouts: float) -> Outcome:
    async def work() -> Outcome:
        async with raw_upstream(script) as fake:
            return await called(fake.url, stream=stream, targets=targets, **timeouts)

    return run_jumping(work())


async def silence(exchange: Exchange) -> None:
    await exchange.gone()


async def no_content(exchange: Exchange) -> None:
    """Headers, a role and comments, which are no content."""
    await exchange.write(STREAM_HEAD + CHUNKED)
    await exchange.chunk(sse(chunk({"role": "assistant", "content": ""})))
    while True:
        await asyncio.sleep(10)
        await exchange.chunk(b": working\n\n")


async def first_words(exchange: Exchange) -> None:
    await exchange.write(STREAM_HEAD + CHUNKED)
    await exchange.chunk(sse(chunk({"content": "one, two, three"})))
    await exchange.gone()


def every(pause_s: float) -> Script:
    """A word at a time, for ever."""

    async def drip(exchange: Exchange) -> None:
        await exchange.write(STREAM_HEAD + CHUNKED)
        while True:
            await exchange.chunk(sse(chunk({"content": "word "})))
            await asyncio.sleep(pause_s)

    return drip


def fired(found: Outcome, timer: str, value: float) -> None:
    """The timer ended the call within 10 % of its value, and the error and the row say so."""
    error = found.error
    assert isinstance(error, UpstreamTimeout), error
    assert f"{timer} = {value:g}" in error.message
    assert (error.http_status, error.error_code) == (504, "upstream_timeout")
    assert value <= found.after_s <= 1.1 * value
    assert f"{timer} = {value:g}" in found.attempt["error"]


def estimated(found: Outcome, *, output: bool) -> None:
    """The model was at work: what it may charge is booked as an estimate."""
    usage = found.attempt["usage"]
    assert usage is not None and usage["estimated"] and usage["input_tokens"] > 0
    assert bool(usage["output_tokens"]) == output
    assert found.attempt["cost_pico"] == usage["input_tokens"] + usage["output_tokens"]


def test_the_defaults_are_sane() -> None:
    timers = TimeoutSettings()
    assert (timers.connect_s, timers.first_token_s, timers.between_tokens_s) == (5, 60, 60)
    assert (timers.answer_s, timers.total_s) == (None, 600)


@contextmanager
def unanswered() -> Iterator[str]:
    """An address where connections are never accepted: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        try:
            for _ in range(8):
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(listener.getsockname())
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            for one in waiting:
                one.close()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("value", [5, 7.5])
def test_connect_s(stream: bool, value: float) -> None:
    with unanswered() as url:
        found = run_jumping(called(url, stream=stream, connect_s=value))
    fired(found, "connect_s", value)
    assert (found.attempt["usage"], found.attempt["cost_pico"]) == (None, 0)  # nothing was sent


@pytest.mark.parametrize("stream", [True, False])
def test_a_timer_that_fires_before_a_connection_stands_costs_nothing(stream: bool) -> None:
    with unanswered() as url:
        found = run_jumping(called(url, stream=stream, connect_s=100, total_s=8))
    fired(found, "total_s", 8)
    assert (found.attempt["usage"], found.attempt["cost_pico"]) == (None, 0)


@pytest.mark.parametrize("stream", [True, False])
def test_a_caller_who_leaves_before_a_connection_stands_pays_nothing(stream: bool) -> None:
    with unanswered() as url:
        found = run_jumping(called(url, stream=stream, leaves_s=2))
    assert (found.after_s, found.attempt["outcome"]) == (2, "cancelled")
    assert (found.attempt["usage"], found.attempt["cost_pico"]) == (None, 0)


def test_a_caller_who_leaves_while_the_model_is_at_work_pays_for_that() -> None:
    async def work() -> Outcome:
        async with raw_upstream(silence) as fake:
            return await called(fake.url, stream=False, leaves_s=2)

    found = run_jumping(work())
    assert found.attempt["outcome"] == "cancelled"
    estimated(found, output=False)


@pytest.mark.parametrize("script", [silence, no_content])
@pytest.mark.parametrize("value", [60, 12])
def test_first_token_s(script: Script, value: float) -> None:
    found = outcome(script, stream=True, first_token_s=value)
    fired(found, "first_token_s", value)
    estimated(found, output=False)


@pytest.mark.parametrize("value", [60, 3])
def test_between_tokens_s(value: float) -> None:
    found = outcome(first_words, stream=True, between_tokens_s=value)
    fired(found, "between_tokens_s", value)
    estimated(found, output=True)


@pytest.mark.parametrize("value", [600, 90])
def test_total_s_ends_a_stream_that_never_ends(value: float) -> None:
    found = outcome(every(20), stream=True, total_s=value)
    fired(found, "total_s", value)
    estimated(found, output=True)


@pytest.mark.parametrize("value", [600, 90])
def test_total_s_is_all_that_ends_an_answer_in_one_piece(value: float) -> None:
    found = outcome(silence, stream=False, total_s=value, first_token_s=1, between_tokens_s=1)
    fired(found, "total_s", value)
    estimated(found, output=False)


def test_answer_s_bounds_an_answer_in_one_piece_where_it_is_set() -> None:
    found = outcome(silence, stream=False, answer_s=30)
    fired(found, "answer_s", 30)
    estimated(found, output=False)


def test_an_answer_in_one_piece_may_take_as_long_as_the_call() -> None:
    async def after_minutes(exchange: Exchange) -> None:
        await asyncio.sleep(590)
        await exchange.json(200, orjson.dumps(completion("1, 2, 3, …")))

    found = outcome(after_minutes, stream=False)
    assert found.error is None and 590 <= found.after_s < 600
    assert found.attempt["outcome"] == "ok"


def test_no_timer_ends_a_slow_stream_that_keeps_to_all_of_them() -> None:
    async def slow(exchange: Exchange) -> None:
        await exchange.write(STREAM_HEAD + CHUNKED)
        for n, event in enumerate(stream_of(["one", "two", "three", "four", "five"])):
            await asyncio.sleep(50 if n < 7 else 0)  # the usage and [DONE] come with the finish
            await exchange.chunk(event)
        await exchange.write(b"0\r\n\r\n")

    found = outcome(slow, stream=True, first_token_s=101)
    assert found.error is None and found.after_s > 300
