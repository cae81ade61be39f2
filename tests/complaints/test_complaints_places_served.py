"""In-flight caps as a model server sees them: over sockets, over reloads, with several workers."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from configs import write_config
from in_process import Place, eventually, opened
from raw_upstream import CHUNKED, STREAM_HEAD, Exchange, raw_upstream
from running import serving
from upstream import Json, completion, stream_of, upstream

from headgate_core.errors import ConfigurationError
from headgate_core.settings.load import load_settings
from headgate_gateway.http.overrides import overridden

CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}
pools:
  - name: main
    strategy: {strategy}
    targets: [{{provider: up, model: one}}, {{provider: up, model: two}}]
    retries: {{extra_share: 1.0}}
{queue}
"""
QUEUE = "    queue: {{in_flight_per_target: {}, waiting: 500, wait_s: 60}}"
CALLS = 300


class Server:
    """A model server that counts, for each model, the calls that it has at once."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.now: Counter[str] = Counter()
        self.loads: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, exchange: Exchange) -> None:
        """One call; every tenth one of ``one`` fails."""
        model, stream = exchange.body["model"], bool(exchange.body.get("stream"))
        self.now[model] += 1
        self.loads.append(self.now[model])
        await asyncio.sleep(self.draw.random() * 0.01)
        await self.gate.wait()
        if model == "one" and self.draw.random() < 0.1:
            self.now[model] -= 1
            await exchange.json(503, b'{"error": {"message": "no"}}')
            return
        if not stream:
            self.now[model] -= 1
            await exchange.json(200, orjson.dumps(completion("hi")))
            return
        events = stream_of(["hi", " there"])
        await exchange.write(STREAM_HEAD + CHUNKED)
        for event in events[:-1]:
            await exchange.chunk(event)
        self.now[model] -= 1
        await exchange.chunk(events[-1])
        await exchange.write(b"0\r\n\r\n")


def write(folder: Path, url: str, places: int | None, strategy: str = "priority") -> Path:
    queue = "" if places is None else QUEUE.format(places)
    return write_config(folder, CONFIG.format(url=url, queue=queue, strategy=strategy))


async def changed_to(place: Place, config: Path) -> None:
    await place.endpoints.gateway.reload(load_settings(config))


def idle(place: Place) -> bool:
    pool = place.endpoints.gateway._router.pools["main"]
    return (pool.queue.taken, pool.queue.length) == (0, 0)


@pytest.mark.parametrize("strategy", ["priority", "round_robin"])
def test_the_server_never_has_more_calls_of_a_model_than_the_cap(
    tmp_path: Path, strategy: str
) -> None:
    async def run() -> None:
        server = Server(random.Random(3))
        async with (
            raw_upstream(server.answer) as fake,
            opened(write(tmp_path, fake.url, 3, strategy)) as place,
        ):
            answers = await asyncio.gather(
                *(place.chat("main", stream=n % 2 == 0) for n in range(CALLS))
            )
            assert Counter(a.status for a in answers) == {200: CALLS}
            assert max(server.loads) == 3
            assert idle(place)

    asyncio.run(run())


def test_a_reload_that_sets_a_cap_counts_the_calls_that_are_under_way(tmp_path: Path) -> None:
    """From none to 2 with six calls at the server: the next ones wait until all but one ended."""

    async def run() -> None:
        server = Server(random.Random(3))
        server.gate.clear()
        async with (
            raw_upstream(server.answer) as fake,
            opened(write(tmp_path, fake.url, None)) as place,
        ):
            early = [asyncio.ensure_future(place.chat("main")) for _ in range(6)]
            await eventually(lambda: server.now["one"] == 6, "the calls are not there")
            await changed_to(place, write(tmp_path, fake.url, 2))
            server.loads.clear()
            late = [asyncio.ensure_future(place.chat("main")) for _ in range(40)]
            queue = place.endpoints.gateway._router.pools["main"].queue
            await eventually(lambda: queue.length == 38, "not all calls wait")
            await eventually(lambda: server.now["two"] == 2, "the other model is not used")
            assert server.now["one"] == 6
            server.gate.set()
            answers = await asyncio.gather(*early, *late)
            assert {a.status for a in answers} == {200}
            assert max(server.loads) <= 2
            await changed_to(place, write(tmp_path, fake.url, 1))
            server.loads.clear()
            answers = await asyncio.gather(*(place.chat("main") for _ in range(40)))
            assert {a.status for a in answers} == {200} and max(server.loads) == 1
            assert idle(place)

    asyncio.run(run())


def test_two_workers_together_keep_the_cap(tmp_path: Path) -> None:
    now = peak = 0

    async def slow(request: web.Request, body: Json) -> web.StreamResponse:
        nonlocal now, peak
        now += 1
        peak = max(peak, now)
        await asyncio.sleep(0.1)
        now -= 1
        return web.json_response(completion("hi"))

    with upstream(slow) as fake:
        config = write_config(
            tmp_path,
            f"""\
auth: {{keys: open}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{fake.url}"}}}}
pools:
  - name: main
    targets: [{{provider: up, model: one}}]
    queue: {{in_flight_per_target: 5, wait_s: 60}}
""",
        )
        with serving(config, ["--workers", "2"]) as server:
            statuses: list[int] = []
            callers = [
                threading.Thread(target=lambda: statuses.append(server.chat("main", "x")[0]))
                for _ in range(40)
            ]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
        assert Counter(statuses) == {200: 40}
        assert 1 <= peak <= 4, "two places for each of two workers"


def test_a_cap_that_cannot_be_shared_out_among_the_workers_is_refused(tmp_path: Path) -> None:
    config = write(tmp_path, "http://127.0.0.1:1/v1", 2)
    settings = load_settings(config)
    assert overridden(settings, {"workers": 2}).server.workers == 2
    with pytest.raises(ConfigurationError, match=r"pool 'main'.*shared out among 3.*at least 3"):
        overridden(settings, {"workers": 3})
    config.write_text(config.read_text() + "server: {workers: 3}\n")
    with pytest.raises(ConfigurationError, match=r"at least 3, or `server\.workers: 2`"):
        load_settings(config)
