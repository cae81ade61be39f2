"""The two ends of what ``make bench-wire`` measures: the client's side and the upstream."""

from __future__ import annotations

import asyncio
import time

import orjson
from raw_upstream import CHUNKED, STREAM_HEAD, Exchange
from upstream import chunk, completion, sse

CHUNKS = 50
PACE_S = 0.002
SLOW_S = 0.2
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"


class Wire:
    """One place to send calls to: the upstream itself or the gateway before it."""

    def __init__(self, port: int, model: str, path: str = "/v1/chat/completions") -> None:
        self.port = port
        self.model = model
        self.path = path

    async def send(
        self, *, stream: bool = True
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A fresh connection with one call on it."""
        messages = [{"role": "user", "content": "x" * 200}]
        body = orjson.dumps({"model": self.model, "stream": stream, "messages": messages})
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return reader, writer

    async def timed(self) -> tuple[float, list[float]]:
        """Seconds to the first content, and how long each chunk was on its way."""
        begun = time.perf_counter()
        reader, writer = await self.send()
        ways: list[float] = []
        first = 0.0
        while b"[DONE]" not in (line := await reader.readline()):
            said = line.partition(b'"content":"')[2].partition(b'"')[0]
            if not said:
                continue
            now = time.perf_counter()
            first = first or now - begun
            ways.append(now - float(said))
        writer.close()
        return first, ways[1:]

    async def outcome(self, *, stream: bool) -> tuple[bool, float]:
        """Whether a call got its whole answer, and its seconds."""
        begun = time.perf_counter()
        reader, writer = await self.send(stream=stream)
        answer = await reader.read()
        writer.close()
        whole = not stream or b"[DONE]" in answer
        return whole and answer.startswith(b"HTTP/1.1 200"), time.perf_counter() - begun


class Fake:
    """The upstream; ``left`` gets the time at which a held connection was closed."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.left: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.phase = "paced"
        self.held = 0
        self.pooled = 0
        """Requests that reached the targets of a pool of three."""

    async def answer(self, exchange: Exchange) -> None:
        """By the model's name, or by the phase in which the caller will leave."""
        model = exchange.body["model"]
        self.pooled += model in ("hangs", "slow")
        if model == "hangs":
            await exchange.gone()
        elif model == "held":
            self.asked.set()
            self.held += 1
            await exchange.gone()
        elif model == "slow" and exchange.body.get("stream"):
            await asyncio.sleep(SLOW_S)
            text = [sse(chunk({"content": "slow"})), sse(chunk({}, "stop")), b"data: [DONE]\n\n"]
            await exchange.stream(text)
        elif model == "slow":
            await asyncio.sleep(SLOW_S)
            await exchange.json(200, orjson.dumps(completion("slow")))
        elif self.phase == "paced":
            await self._paced(exchange)
        else:
            await self._held(exchange)

    async def _paced(self, exchange: Exchange) -> None:
        await exchange.write(STREAM_HEAD + CHUNKED)
        for n in range(CHUNKS):
            if n:
                await asyncio.sleep(PACE_S)
            await exchange.chunk(sse(chunk({"content": repr(time.perf_counter())})))
        await exchange.chunk(sse(chunk({}, "stop")) + b"data: [DONE]\n\n")
        await exchange.write(b"0\r\n\r\n")

    async def _held(self, exchange: Exchange) -> None:
        if self.phase == "mid-stream":
            await exchange.write(STREAM_HEAD + CHUNKED)
            await exchange.chunk(sse(chunk({"content": "first"})))
        elif self.phase == "non-stream body":
            await exchange.write(LENGTH + b"{")
        self.asked.set()
        await exchange.gone()
        self.left.set_result(time.perf_counter())
