"""C21, C45: callers who wait little find a hanging target out, and blame no slow one; simulated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import web
from configs import write_config
from jumping_clock import run_jumping
from running import serving
from scripted_pool import WHO, Acted, hangs_for_ever, pool_of, router_of, works
from upstream import says, upstream

from headgate_core.context import Context
from headgate_core.errors import UpstreamError
from headgate_core.ports import ModelRequest
from headgate_core.types import Purpose
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.router import Router

HASTY_S, PATIENT_S = 2.0, 100.0


def loops_pool(providers: dict[str, Acted], **members: Any) -> Pool:
    """A pool whose breakers go by the clock of the loop."""
    return pool_of(providers, lambda: asyncio.get_running_loop().time(), **members)


def takes(seconds: float) -> Callable[[], Awaitable[None]]:
    """The target answers after so long."""

    async def act() -> None:
        await asyncio.sleep(seconds)

    return act


async def asked(router: Router, waits_s: float) -> bool:
    """A call for an answer in one piece by a caller who waits so long; whether he got it."""
    ctx = Context(route="r", request={}, principal=WHO)
    ctx.notes["waits_s"] = waits_s
    request = ModelRequest({"messages": []}, context=ctx)
    try:
        async for _ in (await router.call("p", request, Purpose.SERVE, WHO, ctx)).events:
            pass
    except UpstreamError:
        return False
    return True


async def many(router: Router, calls: int, waits_s: float, at_once: int = 8) -> list[bool]:
    """So many calls, so many of them at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one() -> bool:
        async with gate:
            return await asked(router, waits_s)

    return await asyncio.gather(*(one() for _ in range(calls)))


def test_a_target_that_hangs_from_the_beginning_is_found_out_by_callers_who_wait_little() -> None:
    async def run() -> None:
        hung, healthy = Acted(hangs_for_ever), Acted(works)
        both = loops_pool({"a": hung, "b": healthy})
        assert all(await many(router_of(both), 120, HASTY_S))
        assert both.states[0].breaker.state == "open"
        assert (hung.sent, healthy.sent) == (8, 120)

    run_jumping(run())


def test_a_target_that_begins_to_hang_is_found_out_by_one_caller_who_waits_little() -> None:
    async def run() -> None:
        hung, healthy = Acted(takes(0.1)), Acted(works)
        both = loops_pool({"a": hung, "b": healthy})
        router = router_of(both)
        assert all(await many(router, 30, HASTY_S, at_once=1))
        hung.act, hung.sent = hangs_for_ever, 0
        assert all(await many(router, 30, HASTY_S, at_once=1))
        assert (hung.sent, healthy.sent) == (5, 30)

    run_jumping(run())


def test_a_target_that_was_found_out_is_tried_by_one_call_at_a_time_and_comes_back() -> None:
    async def run() -> None:
        hung, healthy = Acted(hangs_for_ever), Acted(works)
        both = loops_pool({"a": hung, "b": healthy})
        router = router_of(both)
        await many(router, 20, HASTY_S)
        for _ in range(3):
            hung.sent = 0
            await asyncio.sleep(15)
            assert all(await many(router, 20, HASTY_S))
            assert hung.sent == 1, "its silence to the one that tries it is enough"
        hung.act, hung.sent = takes(0.5), 0
        await asyncio.sleep(15)
        assert await asked(router, HASTY_S)
        assert both.states[0].breaker.state == "closed"
        assert all(await many(router, 20, HASTY_S))
        assert hung.sent == 21

    run_jumping(run())


def test_a_slow_target_is_not_taken_out_by_callers_who_wait_little() -> None:
    async def run() -> None:
        slow, other = Acted(takes(3)), Acted(works)
        both = loops_pool({"a": slow, "b": other})
        router = router_of(both)
        assert all(await many(router, 3, PATIENT_S))
        slow.sent = other.sent = 0
        assert all(await many(router, 100, HASTY_S))
        assert both.states[0].breaker.state == "closed"
        assert (slow.sent, other.sent) == (100, 100)

    run_jumping(run())


def test_a_target_that_answers_others_meanwhile_is_not_taken_out() -> None:
    """Short answers come all the time; the long ones are more than their callers wait for."""

    async def run() -> None:
        turns = iter(range(10_000))

        async def mixed() -> None:
            await asyncio.sleep(20 if next(turns) % 2 else 0.3)

        both = loops_pool({"a": Acted(mixed), "b": Acted(works)})
        assert all(await many(router_of(both), 200, HASTY_S))
        assert both.states[0].breaker.state == "closed"

    run_jumping(run())


def test_one_callers_haste_alone_takes_no_unknown_target_out_and_fails_no_call() -> None:
    async def run() -> None:
        hung, healthy = Acted(hangs_for_ever), Acted(works)
        both = loops_pool({"a": hung, "b": healthy}, retries={"extra_share": 0})
        assert all(await many(router_of(both), 40, HASTY_S, at_once=1))
        assert both.states[0].breaker.state == "closed"
        assert healthy.sent == 40

    run_jumping(run())


@pytest.mark.parametrize("known", [True, False])
def test_where_no_target_keeps_up_the_calls_are_not_doubled(known: bool) -> None:
    calls = 400

    async def run() -> None:
        providers = {name: Acted(takes(3)) for name in "ab"}
        both = loops_pool(providers, strategy="round_robin")
        router = router_of(both)
        if known:
            await many(router, 6, PATIENT_S)
        for provider in providers.values():
            provider.sent = 0
        assert not any(await many(router, calls, HASTY_S))
        if known:
            assert [s.breaker.state for s in both.states] == ["closed", "closed"]
        assert sum(p.sent for p in providers.values()) <= 1.1 * calls + 10

    run_jumping(run())


CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: a, use: openai_compatible, options: {{base_url: "{hung}"}}}}
  - {{name: b, use: openai_compatible, options: {{base_url: "{healthy}"}}}}
pools:
  - {{name: main, targets: [{{provider: a, model: m}}, {{provider: b, model: m}}]}}
"""


def test_with_the_official_client_and_the_defaults_every_call_is_answered(tmp_path: Path) -> None:
    async def hangs(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(300)
        return await says("never")(request, body)

    async def work(url: str) -> None:
        client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="x", timeout=2, max_retries=0)
        gate = asyncio.Semaphore(8)

        async def one() -> str | None:
            async with gate:
                answer = await client.chat.completions.create(
                    model="main", messages=[{"role": "user", "content": "hi"}]
                )
            return answer.choices[0].message.content

        assert await asyncio.gather(*(one() for _ in range(60))) == ["b"] * 60
        await client.close()

    with upstream(hangs) as hung, upstream(says("b")) as healthy:
        config = write_config(tmp_path, CONFIG.format(hung=hung.url, healthy=healthy.url))
        with serving(config) as gateway:
            asyncio.run(work(gateway.url))
        # Those of the first second, and those that began before the last of them was given up.
        assert 5 <= len(hung.seen) <= 16 and len(healthy.seen) == 60


def test_the_log_is_told_when_a_target_is_left_alone_and_when_it_is_used_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        hung, healthy = Acted(hangs_for_ever), Acted(works)
        router = router_of(loops_pool({"a": hung, "b": healthy}))
        await many(router, 40, HASTY_S)
        hung.act = works
        await asyncio.sleep(15)
        await many(router, 40, HASTY_S)

    run_jumping(run())
    assert [one.getMessage() for one in caplog.records if one.name == "headgate.targets"] == [
        "a/a is left alone, its breaker has opened: upstream_timeout",
        "a/a is used again, its breaker has closed",
    ]
