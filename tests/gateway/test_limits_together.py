"""Several limits of one call: it takes of all of them, or of none."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from configs import proxy_config
from running import Server, run, serving
from upstream import says, upstream

from headgate_gateway.limits.state import LimitsUnknown, SharedWindow
from headgate_gateway.limits.window import SlidingWindow

CHAT = "/v1/chat/completions"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def made(config: Path, name: str, *options: str) -> str:
    return run("keys", "create", "--name", name, *options, "--config", str(config)).stdout.strip()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    folder = tmp_path_factory.mktemp("limits")
    teams = "teams: [{name: crowd, limits: {requests_per_minute: 10}}]\n"
    with upstream(says("ok")) as fake:
        config = proxy_config(folder, fake.url, keys="required", more=teams)
        text = config.read_text().replace(
            "{name: safe, pool: guarded}",
            "{name: safe, pool: guarded, team: crowd}\n"
            "  - {name: narrow, pool: main, team: crowd, limits: {requests_per_minute: 2}}",
        )
        config.write_text(text.replace("aliases: [gpt-4o],", "aliases: [gpt-4o], team: crowd,"))
        with serving(config) as server:
            yield server, config


def test_a_call_that_the_routes_limit_refuses_takes_nothing_of_the_teams(
    site: tuple[Server, Path],
) -> None:
    server, config = site
    eager, quiet = (made(config, n, "--team", "crowd") for n in ("eager", "quiet"))
    body = {"model": "narrow", "messages": [{"role": "user", "content": "hi"}]}
    first = [server.post(CHAT, body, bearer(eager))[0] for _ in range(30)]
    assert first == [200] * 2 + [429] * 28
    others = [server.post(CHAT, {**body, "model": "plain"}, bearer(quiet)) for _ in range(9)]
    assert [status for status, _ in others] == [200] * 8 + [429]
    assert "of team crowd" in others[-1][1]["error"]["message"]


def test_nothing_is_taken_where_one_has_no_room() -> None:
    window = SlidingWindow(lambda: 0.0)
    assert window.take_now([("a", 2), ("b", 1)]) is None
    for _ in range(5):
        assert window.take_now([("a", 2), ("b", 1)]) == ("b", 60.0)
    assert window.take_now([("a", 2)]) is None
    assert window.take_now([("a", 2)]) == ("a", 60.0)


def test_the_process_that_counts_for_all_workers_takes_together_too(tmp_path: Path) -> None:
    async def take() -> None:
        shared = SharedWindow(tmp_path)
        try:
            assert await shared.take([("a", 2), ("b", 1)]) is None
            full = await shared.take([("a", 2), ("b", 1)])
            assert full is not None and full[0] == "b"
            assert 0 < full[1] <= 60
        finally:
            await shared.close()

    asyncio.run(take())


def test_where_that_process_hangs_a_call_is_refused_soon_and_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate_gateway.limits.state.WAIT_S", 0.2)

    async def take() -> None:
        shared = SharedWindow(tmp_path)
        pid = 0
        try:
            await shared.take([("a", 2)])
            (lock,) = (tmp_path / "run").glob("*state*.lock")
            pid = int(lock.read_text())
            os.kill(pid, signal.SIGSTOP)
            with pytest.raises(LimitsUnknown) as caught:
                await shared.take([("a", 2)])
            assert (caught.value.http_status, caught.value.error_code) == (
                503,
                "limits_unavailable",
            )
        finally:
            if pid:
                os.kill(pid, signal.SIGCONT)
            await shared.close()

    asyncio.run(take())
