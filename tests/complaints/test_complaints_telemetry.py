"""C44: telemetry may fail, requests may not."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson
import pytest
from configs import PRICED, proxy_config, write_config
from in_process import opened
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from raw_upstream import Exchange, raw_upstream
from running import serving
from upstream import completion, says, sse, stream_of, upstream

from headgate_core.context import Context
from headgate_core.telemetry import hook
from headgate_core.telemetry.otlp import OtlpExporter

CONFIG = PRICED + "routes: [{{name: plain, pool: main}}]\n"


class Broken(SpanExporter):
    """Raises whatever it is asked to do."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise RuntimeError("telemetry is broken")

    def shutdown(self) -> None:
        raise RuntimeError("telemetry is broken")

    def force_flush(self, timeout_millis: int = 0) -> bool:
        raise RuntimeError("telemetry is broken")


def never_connects() -> SpanExporter:
    raise RuntimeError("telemetry cannot even begin")


TOOLS = [
    sse(
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}],
        }
    )
    for call in (
        {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": "{}"}},
    )
]


@pytest.mark.parametrize("connect", [Broken, never_connects])
def test_an_exporter_that_raises_on_every_call_fails_no_request(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    connect: Callable[[], SpanExporter],
) -> None:
    monkeypatch.setattr(hook, "OtlpExporter", partial(OtlpExporter, connect=connect))
    caplog.set_level(logging.CRITICAL, "headgate.record")

    def raises(ctx: Context) -> None:
        raise RuntimeError("a hook is broken as well")

    async def tools(exchange: Exchange) -> None:
        end = stream_of(["x"])[2:]
        await exchange.stream([*TOOLS, *end])

    async def whole(exchange: Exchange) -> None:
        await exchange.json(200, orjson.dumps(completion("Hello!")))

    async def run() -> None:
        async with raw_upstream(tools) as fake:
            more = 'telemetry: {otlp: [{endpoint: "http://127.0.0.1:1"}]}\n'
            config = write_config(tmp_path, CONFIG.format(url=fake.url) + more)
            async with opened(config) as place:
                place.endpoints.gateway.parts.hooks.insert(0, raises)
                for script in (tools, whole):
                    fake.script = script
                    for _ in range(50):
                        answer = await place.chat("plain", stream=script is tools)
                        assert answer.status == 200
                        assert answer.done or script is whole
                assert [r["outcome"] for r in place.records] == ["ok"] * 100

    asyncio.run(run())


@contextmanager
def hanging() -> Iterator[str]:
    """A back-end that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for connection in held:
                connection.close()


def test_back_ends_that_hang_or_are_away_fail_no_request_and_no_shutdown(tmp_path: Path) -> None:
    with upstream(says("ok")) as fake, hanging() as silent:
        ends = f'[{{endpoint: "{silent}"}}, {{endpoint: "http://127.0.0.1:1"}}]'
        config = proxy_config(tmp_path, fake.url, more=f"telemetry: {{otlp: {ends}}}\n")
        with serving(config) as server:
            for n in range(100):
                status, body = server.chat("plain", "hi")
                assert status == 200, (n, body)
            assert server.get("/ready")[0] == 200
        assert server.process.returncode == 0, "it had to be killed"
