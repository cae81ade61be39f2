"""What the operator sees of targets and workers, and takes out of use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from configs import write_config
from running import Server, free_port, headgate, serving, until
from upstream import Upstream, says, upstream

from headgate_core.errors import NotFound, UpstreamStatus, UpstreamUnreachable
from headgate_core.ports import ModelRequest, Target
from headgate_core.reply import Reply
from headgate_core.settings.pools import BreakerSettings, PoolSettings
from headgate_core.store import Store
from headgate_gateway.operations import disabled as operation
from headgate_gateway.operations.probes import probe
from headgate_gateway.providers.openai_compatible import OpenaiCompatible
from headgate_gateway.routing.breaker import Breaker
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.target_state import TargetState

CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}
  - {{name: dead, use: openai_compatible, options: {{base_url: "http://127.0.0.1:{dead}/v1"}}}}
pools:
  - name: main
    targets: [{{provider: up, model: one}}, {{provider: up, model: two}}]
  - {{name: lone, targets: [{{provider: dead, model: gone}}], probe: {{every_s: 1}}}}
routes:
  - {{name: plain, pool: main}}
  - {{name: broken, pool: lone}}
"""


@dataclass
class Site:
    server: Server
    fake: Upstream
    config: Path

    def command(self, *arguments: str) -> str:
        done = headgate(*arguments, "--config", str(self.config))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.command("targets", "--json"))
        return found

    def states(self, target: str) -> set[str]:
        return {row["state"] for row in self.targets() if row["target"] == target}

    def ready(self) -> dict[str, Any]:
        status, body = self.server.get("/ready")
        assert status == 200
        return {row["target"]: row for row in body["targets"]}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("targets")
    with upstream(says("ok")) as fake:
        config = write_config(folder, CONFIG.format(url=fake.url, dead=free_port()))
        with serving(config, ["--workers", "2"]) as server:
            yield Site(server, fake, config)


def test_every_worker_shows_every_target(site: Site) -> None:
    rows = until(lambda: found if len(found := site.targets()) == 6 else None)
    assert len({row["pid"] for row in rows}) == 2
    assert {(row["pool"], row["target"]) for row in rows} == {
        ("main", "up/one"),
        ("main", "up/two"),
        ("lone", "dead/gone"),
    }


def test_a_disabled_target_gets_no_call_until_it_is_enabled(site: Site) -> None:
    site.command("targets", "disable", "up/one", "--for", "2h", "--why", "new weights")
    until(lambda: site.ready()["up/one"]["state"] == "disabled")
    row = next(r for r in site.targets() if r["target"] == "up/one")
    assert (row["state"], row["why"]) == ("disabled", "new weights")
    status = json.loads(site.command("status", "--json"))
    assert [(d["target"], d["why"]) for d in status["disabled"]] == [("up/one", "new weights")]
    assert "up/one until" in site.command("status")
    # Workers obey one after the other: only what all obey counts.
    until(lambda: all(site.ready()["up/one"]["state"] == "disabled" for _ in range(20)))
    site.fake.seen.clear()
    for _ in range(6):
        assert site.server.chat("plain", "hi")[0] == 200
    assert {body["model"] for body in site.fake.seen} == {"two"}

    site.command("targets", "enable", "up/one")
    until(lambda: all(site.ready()["up/one"]["state"] == "closed" for _ in range(20)))
    until(
        lambda: site.server.chat("plain", "hi")[0] == 200 and site.fake.seen[-1]["model"] == "one"
    )


def test_a_dead_target_is_shown_with_its_fault_and_does_not_make_the_gateway_unready(
    site: Site,
) -> None:
    assert site.server.chat("broken", "hi")[0] == 502
    faults = until(
        lambda: [r for r in site.targets() if r["target"] == "dead/gone" and r["last_fault"]]
    )
    assert faults[0]["last_fault"] == "upstream_unreachable"
    assert until(lambda: site.ready()["dead/gone"]["probe"]) == "upstream_unreachable"


def test_status_shows_version_store_and_workers(site: Site) -> None:
    status = until(
        lambda: (
            found
            if len((found := json.loads(site.command("status", "--json")))["workers"]) == 2
            else None
        )
    )
    assert status["store"] == "ok"
    assert {w["config"] for w in status["workers"]} == {status["config"]}
    assert status["scores_dropped"] == 0


def test_the_only_target_of_a_pool_is_named_as_such(site: Site) -> None:
    arguments = ("--for", "1m", "--why", "x", "--config", str(site.config))
    done = headgate("targets", "disable", "dead/gone", *arguments)
    assert "Pool lone has no other target: it is still used" in done.stderr
    site.command("targets", "enable", "dead/gone")


def test_disabling_the_only_target_of_a_pool_with_fallbacks_says_that_they_are_used(
    tmp_path: Path,
) -> None:
    pools = """\
        providers: [{name: e, use: echo}]
        pools:
          - {name: main, targets: [{provider: e, model: one}], fallbacks: [spare]}
          - {name: spare, targets: [{provider: e, model: two}]}
        """
    config = write_config(tmp_path, pools)
    arguments = ("--for", "1m", "--why", "x", "--config", str(config))
    done = headgate("targets", "disable", "e/one", *arguments)
    assert "Pool main has no other target: its fallbacks are used" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("up/onee", "--for", "2h", "--why", "x"), "up/one"),
        (("up/one", "--for", "soon", "--why", "x"), "is no duration"),
        (("up/one", "--for", "2h", "--why", " "), "Say why"),
        (("up/one", "--for", "2h", "--why", "a\nb"), "in one line"),
    ],
)
def test_what_cannot_be_disabled_says_what_to_write(
    site: Site, arguments: tuple[str, ...], said: str
) -> None:
    done = headgate("targets", "disable", *arguments, "--config", str(site.config))
    assert done.returncode == 2
    assert said in done.stderr


def test_a_killed_gateway_is_not_alive_and_leaves_nothing_behind(tmp_path: Path) -> None:
    config = write_config(tmp_path, CONFIG.format(url="http://127.0.0.1:1/v1", dead=1))
    with serving(config) as server:
        server.kill()
        done = headgate("status", "--json", "--config", str(config))
        assert json.loads(done.stdout)["workers"] == []
    assert list((tmp_path / "var" / "run").glob("worker-*")) == []
    rows = json.loads(headgate("targets", "--json", "--config", str(config)).stdout)
    assert {row["state"] for row in rows} == {"no worker"}


def test_a_target_comes_back_by_itself(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'headgate.db'}")
    operation.disable(store, "up", "one", 3600, "for an hour")
    operation.disable(store, "up", "two", 0, "over already")
    assert [row.name for row in operation.disabled(store)] == ["up/one"]
    operation.disable(store, "up", "one", 0, "the later word counts")
    assert operation.disabled(store) == []
    with pytest.raises(NotFound):
        operation.enable(store, "up/three")
    store.close()


# Probes, on a provider and a clock of the test's own.


@dataclass
class Answering:
    fault: UpstreamUnreachable | None = None
    asked: int = 0

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        raise AssertionError("a probe is no call")

    async def probe(self) -> None:
        self.asked += 1
        if self.fault is not None:
            raise self.fault


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Probing:
    provider: Answering = field(default_factory=Answering)
    clock: Clock = field(default_factory=Clock)

    def pool(self) -> Pool:
        target = {"provider": "up", "model": "m"}
        settings = PoolSettings.model_validate({"name": "main", "targets": [target, target]})
        pool = Pool.build(settings, {"up": self.provider}, lambda _: None)
        for state in pool.states:
            state.breaker = Breaker(BreakerSettings(least_calls=1, open_s=60), self.clock)
        return pool


def test_a_good_probe_lets_an_open_breaker_be_tried_at_once_and_never_opens_one() -> None:
    world = Probing()
    pool = world.pool()
    pool.states[0].faulted(UpstreamUnreachable("gone"))
    assert pool.states[0].breaker.state == "open"
    asyncio.run(probe(pool))
    assert world.provider.asked == 1  # two targets, one provider
    assert [s.breaker.state for s in pool.states] == ["half_open", "closed"]
    assert {s.probe for s in pool.states} == {"ok"}
    world.provider.fault = UpstreamUnreachable("gone")
    asyncio.run(probe(pool))
    assert [s.breaker.state for s in pool.states] == ["half_open", "closed"]
    assert {s.probe for s in pool.states} == {"upstream_unreachable"}


def test_a_probe_asks_for_the_models_with_the_key() -> None:
    async def scenario() -> list[str]:
        seen: list[str] = []

        async def models(request: web.Request) -> web.Response:
            seen.append(request.headers["Authorization"])
            return web.json_response({"data": []}, status=200 if len(seen) == 1 else 500)

        app = web.Application()
        app.router.add_get("/v1/models", models)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        provider = OpenaiCompatible(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", ["key"])
        await provider.probe()
        with pytest.raises(UpstreamStatus):
            await provider.probe()
        await provider.close()
        await runner.cleanup()
        return seen

    assert asyncio.run(scenario()) == ["Bearer key", "Bearer key"]


def test_a_state_names_its_target() -> None:
    target = Target("up", "m")
    state = TargetState.make(target, Answering(), BreakerSettings())
    state.faulted(UpstreamStatus("no", upstream_status=401))
    assert state.last_fault == "upstream_error 401"
    assert state.breaker.state == "closed"
