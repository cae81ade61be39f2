"""Several workers change over together, and one that dies meanwhile ends no other."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from configs import proxy_config
from reload_world import BROKEN, Site, site
from running import SOON_S, Server, serving, until
from upstream import says, upstream

from headgate_core.settings.load import load_settings
from headgate_gateway.operations.live import workers


def test_all_workers_change_over_and_none_is_replaced(tmp_path: Path) -> None:
    with site(tmp_path, "--workers", "2", reload="signal") as place:
        data_dir = load_settings(place.config).data_dir
        until(lambda: len(workers(data_dir)) == 2)
        pids = {w["pid"] for w in workers(data_dir)}
        wanted = place.change("aliases: [gpt-4o]", "aliases: [gpt-4o, second]")
        place.hup()
        until(lambda: {w["config"] for w in workers(data_dir)} == {wanted})
        assert {w["pid"] for w in workers(data_dir)} == pids
        assert {place.server.chat("second", "hi")[0] for _ in range(8)} == {200}


def test_a_worker_that_dies_while_the_file_is_broken_does_not_end_the_others(
    tmp_path: Path,
) -> None:
    with site(tmp_path, "--workers", "2") as place:
        data_dir = load_settings(place.config).data_dir
        until(lambda: len(workers(data_dir)) == 2)
        place.write(place.good + BROKEN)
        until(lambda: all(w["refused"] for w in workers(data_dir)))
        victim = workers(data_dir)[0]["pid"]
        os.kill(victim, signal.SIGKILL)
        until(lambda: "waits for what it can serve" in place.log())
        assert {place.server.chat("plain", "hi")[0] for _ in range(8)} == {200}
        wanted = place.change("aliases: [gpt-4o]", "aliases: [gpt-4o, again]")
        until(lambda: [w["config"] for w in workers(data_dir)] == [wanted, wanted])
        assert victim not in {w["pid"] for w in workers(data_dir)}


FAULTY = """\
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Faulty:
    \"""A provider that cannot be made.\"""

    def __post_init__(self) -> None:
        with Path(__file__).with_name("tries").open("a") as tries:
            tries.write("x")
        raise {error}

    async def chat(self, request, model):
        \"""Never asked.\"""
"""


@pytest.mark.parametrize(
    "error",
    [
        "RuntimeError('it burns')",
        "__import__('headgate_core.errors').errors.ConfigurationError('it burns')",
    ],
    ids=["a-fault", "an-error"],
)
def test_a_worker_that_dies_while_a_plugin_is_broken_does_not_end_the_others(
    tmp_path: Path, error: str
) -> None:
    (tmp_path / "faulty_plugin.py").write_text(FAULTY.replace("{error}", error))
    tries = tmp_path / "tries"
    modules = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    with upstream(says("hi")) as fake:
        config = proxy_config(tmp_path, fake.url)
        with serving(config, ["--workers", "2"], env={"PYTHONPATH": modules}) as server:
            place = Site(server, fake, config)
            data_dir = load_settings(config).data_dir
            until(lambda: len(workers(data_dir)) == 2)
            place.write(place.good.replace("use: echo}", "use: 'faulty_plugin:Faulty'}"))
            until(lambda: all(w["refused"] for w in workers(data_dir)))
            os.kill(workers(data_dir)[0]["pid"], signal.SIGKILL)
            until(lambda: "waits for what it can serve" in place.log())
            seen = len(tries.read_text())
            until(lambda: len(tries.read_text()) >= seen + 4)
            assert {server.chat("plain", "hi")[0] for _ in range(8)} == {200}
            # One of the worker that serves, and the dead one's where it is not recovered yet.
            assert len(list((data_dir / "journal").glob("*.jsonl"))) <= 2
            assert place.log().count("waits for what it can serve") == 1
            place.write(place.good)
            until(lambda: len([w for w in workers(data_dir) if not w["refused"]]) == 2)
            assert ended(server) == 0


def ended(server: Server) -> int:
    server.process.terminate()
    return server.process.wait(SOON_S)
