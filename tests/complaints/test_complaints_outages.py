"""C21 and C45: outages, sick targets and hasty or idle clients, in front of real sockets."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any, cast

import pytest
from in_process import Place
from outage_world import answers, asked, good, hangs, with_gateway
from raw_upstream import CHUNKED, STREAM_HEAD, Exchange, RawUpstream
from upstream import chunk, sse

from headgate_gateway.http import event_stream
from headgate_gateway.http.endpoints import Endpoints
from headgate_gateway.routing.pools import Pool


def test_a_target_comes_back_by_a_probe_and_the_last_one_is_never_taken_away(
    tmp_path: Path,
) -> None:
    async def work(place: Place, fake: RawUpstream) -> None:
        sick = {"first"}

        async def script(exchange: Exchange) -> None:
            await (answers(500) if exchange.body["model"] in sick else good)(exchange)

        fake.script = script
        for _ in range(30):
            assert (await place.chat("two")).status == 200
        assert asked(fake).count("first") < 10
        sick.add("second")
        for _ in range(10):
            answer = await place.chat("two")
            assert answer.status == 502 and answer.error is not None
            assert answer.error["upstream_status"] == 500, "a call was refused untried"
        sick.clear()
        fake.requests.clear()
        assert (await place.chat("two")).status == 200
        while "first" not in asked(fake)[-3:]:  # open_s is over soon; a call is the probe
            assert len(fake.requests) < 5000
            assert (await place.chat("two")).status == 200

    with_gateway(tmp_path, work)


def test_an_outage_raises_the_upstreams_load_by_a_tenth_at_most(tmp_path: Path) -> None:
    calls = 200

    async def work(place: Place, fake: RawUpstream) -> None:
        for script in (good, answers(503), good):
            fake.script = script
            for _ in range(0, calls, 20):
                done = await asyncio.gather(*(place.chat("two") for _ in range(20)))
                assert {a.status for a in done} <= {200 if script is good else 502}
        assert len(fake.requests) <= 1.1 * 3 * calls

    with_gateway(tmp_path, work)


@pytest.mark.parametrize("model", ["one", "refused"])
@pytest.mark.parametrize("header", ["x-stainless-read-timeout", "x-stainless-timeout"])
def test_a_callers_own_haste_opens_no_breaker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, header: str
) -> None:
    monkeypatch.setattr("headgate_gateway.http.sdk_headers._CUT_OFF_S", 0)

    async def work(place: Place, fake: RawUpstream) -> None:
        fake.script = hangs
        body = {"model": model, "messages": [{"role": "user", "content": "x"}]}
        for _ in range(8):
            answer = await place.ask(body, headers={header: "0.05"})
            assert answer.status == 504
        pool: Pool = place.endpoints.gateway._router.pools[model]
        assert pool.states[-1].breaker.state == "closed"

    with_gateway(tmp_path, work)


def test_a_client_that_takes_nothing_holds_its_place_until_total_s_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "LAST_S", 0.05)

    async def talks(exchange: Exchange) -> None:
        if not exchange.body.get("stream"):
            await good(exchange)
            return
        await exchange.write(STREAM_HEAD + CHUNKED)
        await exchange.chunk(sse(chunk({"content": "Once upon a time"})))
        await exchange.chunk(sse(chunk({"content": "there was"})))
        await exchange.gone()

    async def work(place: Place, fake: RawUpstream) -> None:
        async def stalls(scope: Any, receive: Any, send: Any) -> None:
            async def taken(message: Any) -> None:
                await send(message)
                if message.get("body"):
                    await asyncio.Event().wait()

            await place.endpoints(scope, receive, taken)

        fake.script = talks
        stalled = Place(cast("Endpoints", stalls))
        answer = await asyncio.wait_for(stalled.chat("narrow", stream=True), 20)
        assert (len(answer.pieces), answer.ends, fake.open) == (1, 0, 0)
        assert [r["outcome"] for r in place.records] == ["cancelled"]
        assert (await place.chat("narrow")).status == 200, "the place in the queue is not free"

    with_gateway(tmp_path, work)


def test_a_pool_of_three_with_one_that_works_fails_no_call(tmp_path: Path) -> None:
    """One target refuses connections, one never says a word, one is slow; all else is default."""
    calls, at_once = 400, 30

    async def script(exchange: Exchange) -> None:
        if exchange.body["model"] == "hangs":
            await exchange.gone()
            return
        await asyncio.sleep(0.02)
        await good(exchange)

    async def work(place: Place, fake: RawUpstream) -> None:
        fake.script = script
        gate = asyncio.Semaphore(at_once)
        streams = itertools.cycle((False, True))

        async def one(stream: bool) -> bool:
            async with gate:
                answer = await place.chat("three", stream=stream)
            return answer.status == 200 and (answer.done or not stream)

        done = await asyncio.gather(*(one(next(streams)) for _ in range(calls)))
        failed = [r["attempts"] for r in place.records if r["outcome"] != "ok"]
        assert (failed, done) == ([], [True] * calls)
        assert len(fake.requests) <= 1.1 * calls
        three: Pool = place.endpoints.gateway._router.pools["three"]
        assert [s.breaker.state for s in three.states] == ["open", "open", "closed"]
        assert three.settings.retries.attempts == 3

    with_gateway(tmp_path, work)
