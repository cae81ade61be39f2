"""A gateway that is told to end says so, ends what it has begun, and explains what it cuts off."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import web
from asking import client_of, user
from configs import proxy_config
from in_process import opened
from running import SOON_S, Server, headgate, serving, until
from upstream import Answer, says, upstream
from upstream import chunk as chunk_of
from upstream import sse as sse_of

from headgate_core.context import Context
from headgate_core.settings.load import load_settings
from headgate_gateway.http.ending import drain
from headgate_gateway.in_flight import InFlight

WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


class Held:
    """An answer whose end is held back until ``release`` is set."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if not body.get("stream"):
            await self._wait()
            return await says("late")(request, body)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(sse_of(chunk_of({"role": "assistant", "content": "first"})))
        await self._wait()
        for event in (chunk_of({"content": " last"}), chunk_of({}, "stop")):
            await response.write(sse_of(event))
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _wait(self) -> None:
        self.begun.set()
        while not self.release.is_set():
            await asyncio.sleep(0.02)


@contextmanager
def gateway(folder: Path, answer: Answer, drain_s: float, workers: str) -> Iterator[Server]:
    with upstream(answer) as fake:
        config = proxy_config(folder, fake.url, more=f"server: {{drain_s: {drain_s}}}\n")
        with serving(config, ["--workers", workers]) as server:
            yield server


def ended(server: Server) -> int:
    return server.process.wait(SOON_S)


def last_call(folder: Path) -> dict[str, Any]:
    done = headgate("traces", "list", "--json", "--config", str(folder / "gateway.yaml"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (call,) = found["calls"] if isinstance(found, dict) else found
    return dict(call)


@WORKERS
def test_a_call_in_flight_ends_well_while_new_ones_are_sent_elsewhere(
    tmp_path: Path, workers: str
) -> None:
    held = Held()
    with gateway(tmp_path, held, 60, workers) as server, client_of(server.url) as client:
        messages = user("go")
        stream = client.chat.completions.create(model="plain", messages=messages, stream=True)
        assert held.begun.wait(SOON_S)
        server.process.terminate()
        until(lambda: server.get("/ready") == (503, {"status": "draining"}))
        assert server.get("/health")[0] == 200
        refused = pytest.raises(openai.InternalServerError)
        with client_of(server.url) as another, refused as told:
            another.chat.completions.create(model="plain", messages=messages)
        assert told.value.status_code == 503
        assert told.value.code == "shutting_down"
        headers = told.value.response.headers
        assert (headers["x-should-retry"], headers["retry-after"]) == ("true", "1")
        assert headers["connection"] == "close"
        status, body = server.post(
            "/v1/messages", {"model": "plain", "max_tokens": 5, "messages": messages}
        )
        assert (status, body["type"]) == (503, "error"), "in the dialect of the endpoint"
        held.release.set()
        assert "".join(c.choices[0].delta.content or "" for c in stream) == "first last"
        assert ended(server) == 0
    assert last_call(tmp_path)["outcome"] == "ok"


@WORKERS
def test_a_call_that_has_no_more_time_is_told_to_try_again(tmp_path: Path, workers: str) -> None:
    held = Held()
    with gateway(tmp_path, held, 0.3, workers) as server, client_of(server.url) as client:
        threading.Thread(target=terminate_once_begun, args=(held, server)).start()
        with pytest.raises(openai.InternalServerError) as told:
            client.chat.completions.create(model="plain", messages=user("go"))
        assert (told.value.status_code, told.value.code) == (503, "shutting_down")
        assert told.value.response.headers["retry-after"] == "1"
        assert isinstance(told.value.body, dict)
        assert told.value.body["retry_after_s"] == 1.0
        assert ended(server) == 0
    call = last_call(tmp_path)
    assert (call["outcome"], call["status"], call["error_code"]) == ("error", 503, "shutting_down")


def test_a_stream_that_is_cut_off_ends_with_an_error_and_without_done(tmp_path: Path) -> None:
    held = Held()
    with gateway(tmp_path, held, 0.3, "1") as server, client_of(server.url) as client:
        threading.Thread(target=terminate_once_begun, args=(held, server)).start()
        with client.chat.completions.with_streaming_response.create(
            model="plain", messages=user("go"), stream=True
        ) as response:
            events = [line for line in response.iter_lines() if line.startswith("data: ")]
        error = json.loads(events[-1].removeprefix("data: "))["error"]
        assert (error["code"], error["retry_after_s"]) == ("shutting_down", 1.0)
        assert "first" in events[0]
        assert ended(server) == 0
    call = last_call(tmp_path)
    assert (call["outcome"], call["status"], call["error_code"]) == ("error", 503, "shutting_down")


def terminate_once_begun(held: Held, server: Server) -> None:
    assert held.begun.wait(SOON_S)
    server.process.terminate()


@WORKERS
def test_an_idle_gateway_ends_at_once_and_well(tmp_path: Path, workers: str) -> None:
    with gateway(tmp_path, says("hi"), 60, workers) as server:
        assert server.chat("plain", "hi")[0] == 200
        server.process.terminate()
        assert ended(server) == 0


def test_a_call_of_an_earlier_configuration_is_waited_for_and_the_process_ends(
    tmp_path: Path,
) -> None:
    held = Held()

    async def story(url: str) -> None:
        async with opened(proxy_config(tmp_path, url)) as place:
            gateway = place.endpoints.gateway
            call = asyncio.create_task(place.chat("plain", stream=True))
            assert await asyncio.to_thread(held.begun.wait, SOON_S)
            more = "server: {drain_s: 61}\n"
            await gateway.reload(load_settings(proxy_config(tmp_path, url, more=more)))
            draining = asyncio.create_task(drain(gateway, asyncio.Event()))
            for _ in range(5):  # the reload and the end both wait for the call now
                await asyncio.sleep(0)
            held.release.set()
            async with asyncio.timeout(SOON_S):
                assert (await call).text == "first last"
                await draining
                await gateway.close()

    with upstream(held) as fake:
        asyncio.run(story(fake.url))


def test_everybody_who_waits_for_the_calls_of_one_configuration_is_told() -> None:
    async def story() -> None:
        calls, ctx = InFlight(), Context(route="r", request={})
        calls.enter(ctx)
        waiting = []
        for _ in range(3):
            waiting.append(asyncio.create_task(calls.over()))
            await asyncio.sleep(0)
        calls.leave(ctx)
        async with asyncio.timeout(SOON_S):
            await asyncio.gather(*waiting)

    asyncio.run(story())


def test_a_call_goes_on_until_its_record_is_written() -> None:
    async def story() -> None:
        calls, ctx, release = InFlight(), Context(route="r", request={}), asyncio.Event()

        async def recorded() -> None:
            await release.wait()

        ctx.finishing = asyncio.create_task(recorded())
        calls.enter(ctx)
        calls.leave(ctx)  # whoever asked is gone
        over = asyncio.create_task(calls.over())
        await asyncio.sleep(0)
        assert (len(calls), over.done()) == (1, False)
        release.set()
        async with asyncio.timeout(SOON_S):
            await over

    asyncio.run(story())


def interrupt(server: Server) -> None:
    """Ctrl-C, as a terminal sends it: to all processes at once."""
    os.killpg(server.process.pid, signal.SIGINT)


@WORKERS
def test_ctrl_c_ends_well(tmp_path: Path, workers: str) -> None:
    with gateway(tmp_path, says("hi"), 60, workers) as server:
        assert server.chat("plain", "hi")[0] == 200
        interrupt(server)
        assert ended(server) == 0
        assert "Traceback" not in server.log.read_text()


@WORKERS
def test_a_second_ctrl_c_cuts_off_at_once_and_still_ends_well(tmp_path: Path, workers: str) -> None:
    held = Held()
    with gateway(tmp_path, held, 600, workers) as server, client_of(server.url) as client:
        messages = user("go")
        stream = client.chat.completions.create(model="plain", messages=messages, stream=True)
        assert held.begun.wait(SOON_S)
        interrupt(server)
        until(lambda: server.get("/ready")[0] == 503)
        interrupt(server)
        with pytest.raises(openai.APIError, match="shutting down"):
            list(stream)
        assert ended(server) == 0
        said = server.log.read_text()
    assert "1 calls are cut off: at once, as asked" in said
    assert "Traceback" not in said and "Unclosed" not in said and "drain_s" not in said
    call = last_call(tmp_path)
    assert (call["outcome"], call["status"], call["error_code"]) == ("error", 503, "shutting_down")


class Flood:
    """A stream without an end; ``stalled`` is set when nobody takes it any more."""

    def __init__(self) -> None:
        self.stalled = threading.Event()

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        data = sse_of(chunk_of({"content": "x" * 60_000}))
        while True:
            writing = asyncio.ensure_future(response.write(data))
            if not (await asyncio.wait({writing}, timeout=1))[0]:
                self.stalled.set()
            await writing


@pytest.mark.slow
def test_a_client_that_reads_nothing_is_cut_off_with_a_line_and_no_traceback(
    tmp_path: Path,
) -> None:
    flood = Flood()
    asked = {"model": "plain", "stream": True, "messages": user("go")}
    body = json.dumps(asked).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with gateway(tmp_path, flood, 0.3, "1") as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.sendall(head + body)
        assert flood.stalled.wait(SOON_S)
        server.process.terminate()
        assert ended(server) == 0
        said = server.log.read_text()
    assert said.count("was cut off while it waited for its client") == 1
    assert "Traceback" not in said
    call = last_call(tmp_path)
    assert (call["outcome"], call["error_code"]) == ("error", "shutting_down")
