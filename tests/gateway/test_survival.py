"""What is recorded survives: kill -9 between two calls, and in the middle of one."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from pathlib import Path

import pytest
from aiohttp import web
from configs import proxy_config
from in_process import opened
from running import Server, headgate, serving
from upstream import chunk, says, sse, upstream

JsonList = list[dict[str, object]]


def calls(config: Path) -> JsonList:
    done = headgate("traces", "list", "--json", "--config", str(config))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    rows: JsonList = found["calls"] if isinstance(found, dict) else found
    return rows


def begin_stream(server: Server) -> socket.socket:
    """Start a streamed call and return once its first content has arrived."""
    body = json.dumps(
        {"model": "plain", "stream": True, "messages": [{"role": "user", "content": "go"}]}
    ).encode()
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    received = b""
    while b"first words" not in received:
        piece = connection.recv(65536)
        assert piece, received
        received += piece
    return connection


def test_kill_9_loses_no_call(tmp_path: Path) -> None:
    with upstream(says("done")) as fake:
        config = proxy_config(tmp_path, fake.url)
        release = threading.Event()

        async def hangs(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(sse(chunk({"role": "assistant", "content": "first words"})))
            while not release.is_set():
                await asyncio.sleep(0.05)
            return response

        with serving(config) as server:
            assert server.chat("plain", "one")[0] == 200
            assert server.chat("plain", "two")[0] == 200
            server.kill()  # between two calls: the writer may not have moved them yet
        fake.answers[:] = [hangs]
        with serving(config) as server:
            connection = begin_stream(server)
            server.kill()  # in the middle of a call
            connection.close()
            release.set()
        fake.answers[:] = [says("done")]
        with serving(config) as server:
            assert server.chat("plain", "four")[0] == 200
        found = calls(config)
    outcomes = sorted(str(c["outcome"]) for c in found)
    assert outcomes == ["interrupted", "ok", "ok", "ok"]


def test_a_hang_up_closes_the_upstream_and_is_recorded_as_cancelled(tmp_path: Path) -> None:
    async def slow(request: web.Request, body: dict[str, object]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(sse(chunk({"role": "assistant", "content": "first words"})))
        await asyncio.sleep(60)
        return response

    with upstream(slow) as fake:
        config = proxy_config(tmp_path, fake.url)
        with serving(config) as server:
            connection = begin_stream(server)
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()
            assert fake.hung_up.wait(10)
        found = calls(config)
    assert [c["outcome"] for c in found] == ["cancelled"]
    assert found[0]["status"] == 499


class SlowMasker:
    """Masks when it is let."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.release = asyncio.Event()

    async def mask(self, text: str) -> str:
        self.begun.set()
        await self.release.wait()
        return text.replace("secret", "[SECRET]")


@pytest.mark.parametrize("stream", [False, True])
def test_who_leaves_while_the_call_is_being_recorded_has_its_record_and_its_cost(
    tmp_path: Path, stream: bool
) -> None:
    async def story(config: Path) -> None:
        async with opened(config) as place:
            plan = place.endpoints.gateway.parts.models["plain"]
            plan.masker = masker = SlowMasker()
            hangup = asyncio.Event()
            messages = [{"role": "user", "content": "my secret"}]
            body = {"model": "plain", "messages": messages, "stream": stream}
            call = asyncio.create_task(place.ask(body, hangup=hangup))
            async with asyncio.timeout(30):
                await masker.begun.wait()
                hangup.set()
                while not call.cancelling():
                    await asyncio.sleep(0)
                masker.release.set()
                answer = await call
            assert answer.ends == 0, "the client has left"
            (record,) = place.records
            assert (record["outcome"], record["cost_pico"]) == ("ok", 15_600_000)
            assert record["content"]["messages"][0]["content"] == "my [SECRET]"

    with upstream(says("done")) as fake:
        config = proxy_config(tmp_path, fake.url, more="defaults: {capture: masked}\n")
        asyncio.run(story(config))
        assert [c["cost_pico"] for c in calls(config)] == [15_600_000]
