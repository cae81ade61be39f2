"""The helper processes of a data directory: one a kind, started on need, gone when idle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from headgate_core.daemon import DaemonClient, Taken, serve
from headgate_core.daemon.places import Places
from headgate_core.errors import ConfigurationError, RateLimited, ServiceError

pytestmark = pytest.mark.slow

Body = Callable[[DaemonClient], Awaitable[None]]


def client_of(folder: Path, factory: str = "create", idle_s: float = 60.0) -> DaemonClient:
    return DaemonClient(
        "tester", folder, f"daemon_helper:{factory}", {"colour": "blue"}, idle_s=idle_s
    )


@contextlib.asynccontextmanager
async def running(folder: Path, idle_s: float = 60.0) -> AsyncIterator[DaemonClient]:
    client = client_of(folder, idle_s=idle_s)
    try:
        yield client
    finally:
        await client.close()
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):
            os.kill(int((folder / "run/tester.lock").read_text()), signal.SIGKILL)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def run(folder: Path, body: Body, idle_s: float = 60.0) -> None:
    async def whole() -> None:
        async with running(folder, idle_s) as client:
            await body(client)

    asyncio.run(whole())


def test_the_helper_gets_the_arguments_it_was_started_with(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        assert await client.request("args", {}) == {"colour": "blue"}

    run(tmp_path, body)


def test_a_later_request_may_be_answered_first(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        slow = asyncio.create_task(client.request("wait", {}))
        assert isinstance(await client.request("pid", {}), int)
        assert not slow.done()
        await client.request("release", {})
        assert await slow == "released"

    run(tmp_path, body)


def test_errors_of_ours_arrive_as_what_they_are(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        with pytest.raises(RateLimited, match="too many") as limited:
            await client.request("limited", {})
        assert limited.value.retry_after_s == 2.5
        assert limited.value.error_code == "rate_limit_exceeded"
        with pytest.raises(ConfigurationError, match="a line is wrong") as wrong:
            await client.request("misconfigured", {})
        assert wrong.value.problems == ()

    run(tmp_path, body)


def test_any_other_error_arrives_as_a_service_error_and_the_helper_goes_on(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        with pytest.raises(ServiceError, match="KeyError: 'no such operation'"):
            await client.request("nonsense", {})
        assert isinstance(await client.request("pid", {}), int)
        assert "KeyError" in (tmp_path / "logs/tester.log").read_text()

    run(tmp_path, body)


def test_clients_that_race_to_start_it_all_reach_the_same_process(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        others = [client_of(tmp_path) for _ in range(4)]
        pids = await asyncio.gather(*(c.request("pid", {}) for c in [client, *others]))
        assert len(set(pids)) == 1
        for other in others:
            await other.close()

    run(tmp_path, body)


def test_many_tasks_share_one_client(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        pids = await asyncio.gather(*(client.request("pid", {}) for _ in range(50)))
        assert len(set(pids)) == 1

    run(tmp_path, body)


def test_after_kill_9_the_next_request_starts_another(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        first = await client.request("pid", {})
        os.kill(first, signal.SIGKILL)
        pids = await asyncio.gather(*(client.request("pid", {}) for _ in range(5)))
        assert set(pids) != {first}
        assert len(set(pids)) == 1

    run(tmp_path, body)


def test_a_request_in_flight_when_it_dies_is_carried_out_by_the_next(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        first = await client.request("pid", {})
        second = await client.request("die_once", {"file": str(tmp_path / "died")})
        assert second != first

    run(tmp_path, body)


def test_a_request_that_always_kills_it_ends_with_one_clear_error(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        with pytest.raises(ServiceError, match="died twice while answering 'die'"):
            await client.request("die", {})

    run(tmp_path, body)


def test_a_helper_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    async def body(_: DaemonClient) -> None:
        with pytest.raises(ServiceError, match="flux capacitor is missing") as failed:
            await client_of(tmp_path, "refuse").request("pid", {})
        assert "tester.log" in str(failed.value)

    run(tmp_path, body)


def test_an_answer_that_never_comes_is_given_up_and_named(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        with pytest.raises(ServiceError, match=r"did not answer 'wait' within 0\.2 s"):
            await client.request("wait", {}, timeout_s=0.2)
        assert isinstance(await client.request("pid", {}), int)

    run(tmp_path, body)


def test_a_cancelled_request_leaves_the_connection_usable(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        pid = await client.request("pid", {})
        waiting = asyncio.create_task(client.request("wait", {}))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert await client.request("pid", {}) == pid

    run(tmp_path, body)


def test_it_ends_when_nobody_is_connected_and_comes_back_on_need(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        first = await client.request("pid", {})
        await client.close()
        await until(lambda: not (tmp_path / "run/tester.sock").exists())
        assert await client.request("pid", {}) != first

    run(tmp_path, body, idle_s=0.2)


def test_it_stays_while_somebody_is_connected(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        pid = await client.request("pid", {})
        other = client_of(tmp_path)
        await other.request("pid", {})
        await other.close()
        waiting = asyncio.create_task(client.request("wait", {}))
        await asyncio.wait([waiting], timeout=0.5)  # more than the idle time
        assert await client.request("pid", {}) == pid
        await client.request("release", {})
        await waiting

    run(tmp_path, body, idle_s=0.2)


def test_only_its_user_may_connect(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        await client.request("pid", {})
        socket = (tmp_path / "run/tester.sock").stat()
        assert stat.S_ISSOCK(socket.st_mode)
        assert stat.S_IMODE(socket.st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700

    run(tmp_path, body)


def test_a_path_too_long_for_a_socket_works_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 20) / "data"
    folder.mkdir(parents=True)

    async def body(client: DaemonClient) -> None:
        other = client_of(folder)
        assert await client.request("pid", {}) == await other.request("pid", {})
        await other.close()

    run(folder, body)
    short = Places.of("tester", folder).socket.parent
    assert stat.S_IMODE(short.stat().st_mode) == 0o700
    for file in short.iterdir():
        file.unlink()
    short.rmdir()


def test_a_short_folder_that_others_could_enter_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 20) / "data"
    folder.mkdir(parents=True)
    short = Places.of("tester", folder).socket.parent
    short.chmod(0o777)
    try:
        with pytest.raises(ServiceError, match="belongs to this user alone"):
            Places.of("tester", folder)
    finally:
        short.rmdir()


def test_a_second_server_for_the_same_folder_gives_way(tmp_path: Path) -> None:
    async def body(client: DaemonClient) -> None:
        pid = await client.request("pid", {})

        class Never:
            async def handle(self, op: str, args: dict[str, object]) -> None:
                raise AssertionError("it must not be asked")

        with pytest.raises(Taken, match=str(pid)):
            await serve("tester", tmp_path, Never())

    run(tmp_path, body)
