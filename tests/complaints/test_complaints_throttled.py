"""C21 and C45: a target that is throttled or refused takes no calls of one that works with it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from outage_world import good
from raw_upstream import Exchange
from throttled_world import World, in_world, refusal

from headgate_core.settings.load import load_settings

ASKED_FOR_PEACE = refusal(429, "Retry-After: 30\r\n")
STRATEGIES = [
    "priority",
    "round_robin",
    "weighted",
    "least_busy",
    "lowest_latency",
    "lowest_cost",
]


@pytest.fixture(autouse=True)
def provider_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys that the configuration names."""
    monkeypatch.setenv("UP_ONE", "one")
    monkeypatch.setenv("UP_TWO", "two")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_call_is_lost_to_a_throttled_target_whatever_the_strategy(
    tmp_path: Path, strategy: str
) -> None:
    async def work(world: World) -> None:
        world.refused = ASKED_FOR_PEACE
        assert await world.calls("both", 200) == {200: 200}
        assert world.sent("big") == 1, "it asked for 30 seconds of peace, and 10 are over"

    in_world(tmp_path, work, strategy=strategy)


@pytest.mark.parametrize("keys", [0, 1, 2])
@pytest.mark.parametrize(
    ("status", "headers", "code"),
    [
        (429, "", "rate_limit_exceeded"),
        (429, "", "insufficient_quota"),
        (429, "Retry-After: 0.01\r\n", "x"),
        (401, "", "invalid_api_key"),
        (402, "", "x"),
        (403, "", "model_not_found"),
    ],
)
def test_no_call_is_lost_whatever_the_refusal(
    tmp_path: Path, keys: int, status: int, headers: str, code: str
) -> None:
    """In 20 seconds the target is asked as often as its rests and the budget allow."""
    calls = 200

    async def work(world: World) -> None:
        world.refused = refusal(status, headers, code)
        assert await world.calls("both", calls, every_s=0.1) == {200: calls}
        assert world.sent("big") <= max(1, keys) + (0 if status in (401, 402) else 20)
        assert len(world.fake.requests) <= 1.1 * calls + 10

    in_world(tmp_path, work, keys=keys)


@pytest.mark.parametrize("keys", [0, 1, 2])
def test_it_is_used_again_when_the_time_that_it_asked_for_is_over(
    tmp_path: Path, keys: int
) -> None:
    async def work(world: World) -> None:
        world.refused = ASKED_FOR_PEACE
        await world.calls("both", 20)
        asked, world.refused = world.sent("big"), None
        assert asked == max(1, keys)
        world.now += 28.9
        await world.calls("both", 1, every_s=0)
        assert world.sent("big") == asked
        world.now += 1.2
        assert await world.calls("both", 50) == {200: 50}
        assert world.sent("big") == asked + 50
        assert world.states("both")[0].shown() == "closed"

    in_world(tmp_path, work, keys=keys)


def test_calls_under_way_at_a_target_that_becomes_throttled_all_move(tmp_path: Path) -> None:
    """Many more than the retry budget holds; what it does not cover is paid back by later calls."""
    burst = 100

    async def work(world: World) -> None:
        gate = asyncio.Event()

        async def held(exchange: Exchange) -> None:
            await gate.wait()
            await ASKED_FOR_PEACE(exchange)

        world.refused = held
        under_way = [asyncio.ensure_future(world.place.chat("both")) for _ in range(burst)]
        async with asyncio.timeout(30):
            while world.sent("big") < burst:
                await asyncio.sleep(0.005)
        gate.set()
        assert [a.status for a in await asyncio.gather(*under_way)] == [200] * burst
        assert (world.sent("big"), world.sent("spare")) == (burst, burst)
        world.now += 31
        await world.calls("both", 10)
        assert world.sent("big") == burst, "asked again before the moves are paid for"
        world.now += 60
        await world.calls("both", 1)
        assert world.sent("big") == burst + 1, "not asked though the rest is long over"

    in_world(tmp_path, work)


@pytest.mark.parametrize("keys", [0, 1, 2])
@pytest.mark.parametrize("status", [429, 403])
def test_the_last_target_is_never_taken_away(tmp_path: Path, keys: int, status: int) -> None:
    """A limit or a filter may concern one call alone: the others reach the target."""

    async def work(world: World) -> None:
        async def one_in_two(exchange: Exchange) -> None:
            refused = world.sent("big") % 2
            await (refusal(status, "Retry-After: 60\r\n") if refused else good)(exchange)

        world.refused = one_in_two
        statuses = await world.calls("alone", 40)
        assert statuses[200] >= 20
        assert world.sent("big") >= 40, "a call was refused untried"

    in_world(tmp_path, work, keys=keys)


def test_a_refusal_of_one_model_leaves_the_key_to_all_others(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        world.refused = refusal(403, code="model_not_found")
        assert await world.calls("alone", 3) == {502: 3}
        assert await world.calls("small", 20) == {200: 20}

    in_world(tmp_path, work)


def test_a_limit_of_one_model_leaves_the_key_to_all_others(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        world.refused, world.keys = ASKED_FOR_PEACE, {"Bearer one"}
        assert await world.calls("alone", 20) == {200: 20}
        assert world.asked["big", "Bearer one"] == 1
        assert await world.calls("small", 20) == {200: 20}
        assert world.asked["small", "Bearer one"] == 10

    in_world(tmp_path, work, keys=2)


def test_when_all_keys_are_dead_the_error_says_so_until_one_is_mended(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        world.refused, world.models = refusal(401), {"big", "huge", "small"}
        for pool in ("out", "alone", "small"):
            answer = await world.place.chat(pool)
            assert answer.error is not None
            found: tuple[int, Any] = (answer.status, answer.error["code"])
            assert found == (502, "upstream_credentials_exhausted"), pool
        made = [a for record in world.place.records for a in record["attempts"]]
        assert len(world.fake.requests) == 2, "a dead key is tried again and again"
        assert len(made) == 2, "an attempt is on record that was not sent"
        await world.calls("small", 200, every_s=0.5)
        assert 18 <= len(world.fake.requests) <= 2 + 2 * 10
        world.refused = None
        world.now += 10
        assert await world.calls("small", 5) == {200: 5}
        assert await world.calls("alone", 5) == {200: 5}

    in_world(tmp_path, work, keys=2)


def test_people_see_that_a_target_rests(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        world.refused = ASKED_FOR_PEACE
        await world.calls("both", 2)
        rows = world.place.endpoints.gateway.targets()
        row = next(r for r in rows if (r["pool"], r["target"]) == ("both", "a/big"))
        assert (row["state"], row["last_fault"]) == ("resting", "x 429")
        world.now += 31
        rows = world.place.endpoints.gateway.targets()
        assert {r["state"] for r in rows} == {"closed", "half_open"}

    in_world(tmp_path, work)


def test_a_reload_is_no_reason_to_ask_before_the_time(tmp_path: Path) -> None:
    async def work(world: World) -> None:
        world.refused = ASKED_FOR_PEACE
        await world.calls("both", 2)
        file = tmp_path / "gateway.yaml"
        assert file.is_file(), list(tmp_path.iterdir())
        file.write_text(file.read_text().replace("model: spare", "model: spare, weight: 2"))
        await world.place.endpoints.gateway.reload(load_settings(file))
        assert world.states("both")[1].target.weight == 2
        assert await world.calls("both", 20) == {200: 20}
        assert world.sent("big") == 1

    in_world(tmp_path, work, strategy="weighted")
