"""A model server of bare sockets: the test says which bytes go out, and sees each connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

Json = dict[str, Any]

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass
class Exchange:
    """One request, and the way to answer it."""

    body: Json
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        """One chunk of a chunked body; the reader gets a chance to see it alone."""
        await self.write(b"%x\r\n%s\r\n" % (len(data), data))
        for _ in range(3):
            await asyncio.sleep(0)

    async def json(self, status: int, body: bytes, headers: str = "") -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}"
        await self.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def stream(self, pieces: list[bytes], *, end: bool = True) -> None:
        """An event stream in these pieces; ``end`` says whether the body is ended properly."""
        await self.write(STREAM_HEAD + CHUNKED)
        for piece in pieces:
            if piece:
                await self.chunk(piece)
        if end:
            await self.write(b"0\r\n\r\n")

    async def gone(self) -> None:
        """Return once the client has closed its side."""
        try:
            while await self.reader.read(4096):
                pass
        except ConnectionError:
            return

    def reset(self) -> None:
        """RST instead of an orderly end."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Exchange], Awaitable[None]]


@dataclass
class RawUpstream:
    """``script`` answers each request; it may be replaced between calls."""

    script: Script
    url: str = ""
    accepted: int = 0
    """Connections so far."""
    open: int = 0
    """Connections that are open now."""
    requests: list[Json] = field(default_factory=list)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        self.open += 1
        try:
            while (request := await _request(reader)) is not None:
                body, headers = request
                self.requests.append(body)
                await self.script(Exchange(body, headers, reader, writer))
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


async def _request(reader: asyncio.StreamReader) -> tuple[Json, dict[str, str]] | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    lines = [line.partition(":") for line in head.split("\r\n")[1:] if line]
    headers = {name.lower(): value.strip() for name, _, value in lines}
    headers[":path"] = head.split(" ", 2)[1]
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return orjson.loads(body) if body else {}, headers


@asynccontextmanager
async def raw_upstream(script: Script) -> AsyncIterator[RawUpstream]:
    """A server on a free port of loopback, in the running event loop."""
    fake = RawUpstream(script)
    server = await asyncio.start_server(fake.handle, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield fake
    finally:
        server.close()
        await fake.stop()
        await server.wait_closed()
