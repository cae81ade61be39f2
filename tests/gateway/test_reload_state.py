"""What a reload keeps: health, load, queues, cached answers; and what it lets go."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from configs import write_config
from in_process import Place, opened
from upstream import fails, says, upstream

from headgate_core.errors import ConfigurationError
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.load import load_settings
from headgate_gateway.build import Gateway
from headgate_gateway.reload import reloader, retiring
from headgate_gateway.reload.reloader import Refused, Reloader
from headgate_gateway.reload.source import Source, Stamp
from headgate_gateway.routing.target_state import TargetState

CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}"{more}}}}}
pools:
  - name: main
    targets: [{{provider: up, model: one, weight: {weight}}}, {{provider: up, model: two}}]
    strategy: weighted
    retries: {{attempts: 1}}
    queue: {{in_flight_per_target: {places}}}
routes:
  - {{name: plain, pool: main, aliases: [{alias}]}}
  - {{name: cached, pool: main, cache: exact, aliases: [{cached}]}}
"""
NAMES = {"alias": "a", "cached": "c", "weight": "1", "places": "8", "more": ""}


def write(folder: Path, url: str, **changed: str) -> Path:
    return write_config(folder, CONFIG.format(url=url, **{**NAMES, **changed}))


async def changed_over(place: Place, folder: Path, url: str, **changed: str) -> None:
    await place.endpoints.gateway.reload(load_settings(write(folder, url, **changed)))


def states(place: Place) -> dict[str, TargetState]:
    pool = place.endpoints.gateway._router.pools["main"]
    return {state.target.model: state for state in pool.states}


def test_an_open_breaker_stays_open_unless_its_provider_is_another_one(tmp_path: Path) -> None:
    async def story(url: str) -> None:
        async with opened(write(tmp_path, url)) as place:
            for _ in range(40):
                await place.chat("plain")
            assert {s.breaker.state for s in states(place).values()} == {"open"}
            await changed_over(place, tmp_path, url, alias="b", weight="3")
            assert {s.breaker.state for s in states(place).values()} == {"open"}
            assert states(place)["one"].target.weight == 3
            await changed_over(place, tmp_path, url, more=", headers: {x: why}")
            assert {s.breaker.state for s in states(place).values()} == {"closed"}

    with upstream(fails(500)) as fake:
        asyncio.run(story(fake.url))


def test_calls_of_both_configurations_count_as_one_load(tmp_path: Path) -> None:
    async def story(url: str, waits: Any, release: asyncio.Event) -> None:
        async with opened(write(tmp_path, url)) as place:
            first = asyncio.create_task(place.chat("plain"))
            async with asyncio.timeout(10):
                await waits.wait()
            await changed_over(place, tmp_path, url, alias="b")
            assert sum(s.in_flight for s in states(place).values()) == 1
            release.set()
            assert (await first).status == 200
            assert sum(s.in_flight for s in states(place).values()) == 0
            assert place.endpoints.gateway.settings.hash != place.records[0]["config_hash"]

    async def main() -> None:
        waits, release = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        async def held(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            loop.call_soon_threadsafe(waits.set)
            while not release.is_set():
                await asyncio.sleep(0.01)
            return await says("ok")(request, body)

        with upstream(held) as fake:
            await story(fake.url, waits, release)

    asyncio.run(main())


def test_cached_answers_stay_where_nothing_that_makes_them_has_changed(tmp_path: Path) -> None:
    async def story(url: str) -> None:
        async with opened(write(tmp_path, url)) as place:

            async def cache() -> str:
                answer = await place.chat("cached")
                assert answer.status == 200
                return answer.headers["x-headgate-cache"]

            assert [await cache(), await cache()] == ["miss", "hit"]
            await changed_over(place, tmp_path, url, alias="b")
            assert await cache() == "hit"
            await changed_over(place, tmp_path, url, alias="b", more=", headers: {x: why}")
            assert await cache() == "miss"

    with upstream(says("ok")) as fake:
        asyncio.run(story(fake.url))


def test_reloads_leave_no_task_behind(tmp_path: Path) -> None:
    async def story(url: str) -> None:
        async with opened(write(tmp_path, url)) as place:
            await place.chat("plain")
            await changed_over(place, tmp_path, url, alias="b")
            before = await quiet_tasks()
            for n in range(20):
                await changed_over(
                    place, tmp_path, url, alias=f"n{n}", more=f", headers: {{x: n{n}}}"
                )
                assert (await place.chat(f"n{n}")).status == 200
            assert await quiet_tasks() <= before
            assert len(place.endpoints.gateway.in_flight()) == 1

    with upstream(says("ok")) as fake:
        asyncio.run(story(fake.url))


async def quiet_tasks() -> int:
    """How many tasks there are once their number has come to rest."""
    count = -1
    while count != (count := len(asyncio.all_tasks())):
        await asyncio.sleep(0.2)
    gc.collect()
    return count


def test_a_configuration_that_cannot_be_compiled_changes_nothing(tmp_path: Path) -> None:
    async def story(url: str) -> None:
        async with opened(write(tmp_path, url)) as place:
            gateway = place.endpoints.gateway
            before, tasks = gateway.settings.hash, len(asyncio.all_tasks())
            settings = load_settings(write(tmp_path, url, alias="b"))
            broken = settings.routes[0].model_copy(update={"prompt": "nobody@production"})
            routes = [broken, *settings.routes[1:]]
            with pytest.raises(ConfigurationError, match="nobody"):
                await gateway.reload(settings.model_copy(update={"routes": routes}))
            assert gateway.settings.hash == before
            assert len(asyncio.all_tasks()) == tasks
            assert (await place.chat("a")).status == 200
            assert (await place.chat("b")).status == 404

    with upstream(says("ok")) as fake:
        asyncio.run(story(fake.url))


class FakeGateway:
    """Serves what it is told."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.refused: Refused | None = None
        self.reloaded = asyncio.Event()

    async def reload(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.reloaded.set()

    def speaks(self) -> bool:
        return True


def test_folders_that_go_while_they_are_looked_at_do_not_end_the_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prompts").mkdir()
    path = write(tmp_path, "http://127.0.0.1:1/v1")
    source = Source(path, lambda: load_settings(path))
    source.load()
    assert not source.changed(source.stamps())

    def gone(folder: Path, pattern: str) -> Iterator[Path]:
        yield folder / "one"
        raise FileNotFoundError(folder / "sub")

    with monkeypatch.context() as now:
        now.setattr(Path, "glob", gone)
        assert source.changed(source.stamps()), "what cannot be seen may be another one"
    assert not source.changed(source.stamps())


def test_a_fault_in_one_look_at_the_files_is_logged_once_and_the_next_look_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, "http://127.0.0.1:1/v1")
    source = Source(path, lambda: load_settings(path))
    gateway = FakeGateway(source.load())
    looks: list[int] = []

    def broken() -> Mapping[Path, Stamp]:
        looks.append(1)
        if len(looks) <= 3:
            raise PermissionError("not now")
        return Source.stamps(source)

    async def story() -> None:
        asked = asyncio.Event()
        task = asyncio.create_task(Reloader(gateway, source, asked, lambda settings: None).run())
        async with asyncio.timeout(30):
            while len(looks) <= 3:
                await asyncio.sleep(0.01)
            write(tmp_path, "http://127.0.0.1:1/v1", alias="fresh")
            await gateway.reloaded.wait()
            gateway.reloaded.clear()
            asked.set()
            await gateway.reloaded.wait()
        task.cancel()

    monkeypatch.setattr(source, "stamps", broken)
    monkeypatch.setattr(reloader, "EVERY_S", 0.01)
    asyncio.run(story())
    assert gateway.settings.routes[0].aliases == ["fresh"]
    assert caplog.text.count("the files cannot be looked at") == 1


def test_a_configuration_that_takes_too_long_to_close_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(url: str) -> None:
        async with opened(write(tmp_path, url)) as place:
            gateway = place.endpoints.gateway

            async def never(others: object) -> None:
                await asyncio.Event().wait()

            monkeypatch.setattr(gateway._now, "close", never)
            await changed_over(place, tmp_path, url, alias="b")
            async with asyncio.timeout(30):
                await gateway.close()

    monkeypatch.setattr(retiring, "CLOSING_S", 0.05)
    with upstream(says("ok")) as fake:
        asyncio.run(story(fake.url))
    assert "takes longer than 0.05 s to close" in caplog.text


@dataclass
class Unmade:
    """A provider that cannot be made."""

    def __post_init__(self) -> None:
        raise ConfigurationError("it cannot be made")

    async def chat(self, request: object, model: str) -> None:
        """Never asked."""


def test_a_gateway_that_cannot_be_opened_leaves_no_journal_and_no_open_file(tmp_path: Path) -> None:
    config = write(tmp_path, "http://127.0.0.1:1/v1")
    settings = load_settings(config)
    providers = [
        p.model_copy(update={"use": f"{__name__}:Unmade", "options": {}})
        for p in settings.providers
    ]
    broken = settings.model_copy(update={"providers": providers})

    async def story() -> None:
        for _ in range(6):
            with pytest.raises(ConfigurationError, match="it cannot be made"):
                await Gateway.open(broken)
            counts.append(len(os.listdir("/proc/self/fd")))

    counts: list[int] = []
    asyncio.run(story())
    assert counts[-1] <= counts[1]
    assert list((settings.data_dir / "journal").glob("*.jsonl")) == []
