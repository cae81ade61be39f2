"""The helper's side: own the name, listen, answer, end when idle."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from headgate_core.daemon.places import Places
from headgate_core.daemon.wire import error_to_json, frame, read_frame

LOCK_WAIT_S = 30.0
"""How long a starting process waits for one that is ending."""


class Handler(Protocol):
    """Answers requests. Many run at once; an optional ``async close()`` is called at the end."""

    async def handle(self, op: str, args: dict[str, Any]) -> Any:
        """The JSON-able answer to ``op``; a ``HeadgateError`` is raised again at the client."""
        ...


class Taken(Exception):
    """Another process owns the name and answers."""


async def serve(
    name: str,
    data_dir: Path,
    handler: Handler,
    idle_s: float = 60.0,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve ``name`` for ``data_dir`` until idle for ``idle_s`` seconds, or SIGTERM.

    ``ready`` is called once the socket accepts. Raises ``Taken`` when another process serves.
    """
    places = Places.of(name, data_dir)
    lock = await _own(places)
    try:
        await _Server(handler, idle_s).run(places.socket, ready)
    finally:
        os.close(lock)


async def _own(places: Places) -> int:
    """The locked file; it belongs to this process until it is closed, whatever happens."""
    loop = asyncio.get_running_loop()
    file = os.open(places.lock, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = loop.time() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            owner = os.pread(file, 20, 0).decode(errors="replace").strip()
            if await _answers(places.socket) or loop.time() > deadline:
                os.close(file)
                raise Taken(f"process {owner} holds {places.lock}") from None
        await asyncio.sleep(0.05)
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    return file


async def _answers(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


def _bound(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # a stale one: we hold the lock
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)  # before listen(), so that nobody else ever gets in
    except OSError:
        listener.close()
        raise
    return listener


class _Server:
    """Connections, their requests, and the idle clock."""

    def __init__(self, handler: Handler, idle_s: float) -> None:
        self._handler = handler
        self._idle_s = idle_s
        self._stop = asyncio.Event()
        self._connections: set[asyncio.Task[Any]] = set()
        self._clock: asyncio.TimerHandle | None = None

    async def run(self, path: Path, ready: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_unix_server(self._connection, sock=_bound(path))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._wind()
        try:
            ready()
            await self._stop.wait()
        finally:
            path.unlink(missing_ok=True)
            server.close()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            await self._end()

    async def _end(self) -> None:
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        close = getattr(self._handler, "close", None)
        if close is not None:
            await close()

    def _wind(self) -> None:
        """Start the idle clock while nobody is connected, stop it otherwise."""
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        if not self._connections:
            self._clock = asyncio.get_running_loop().call_later(self._idle_s, self._stop.set)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        this = asyncio.current_task()
        assert this is not None
        self._connections.add(this)
        self._wind()
        requests: set[asyncio.Task[None]] = set()
        try:
            with contextlib.suppress(ConnectionError):  # the client went away
                while (message := await read_frame(reader)) is not None:
                    task = asyncio.create_task(self._answer(message, writer))
                    requests.add(task)
                    task.add_done_callback(requests.discard)
            await asyncio.gather(*requests)
        finally:
            for task in requests:
                task.cancel()
            writer.close()
            self._connections.discard(this)
            self._wind()

    async def _answer(self, message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        number = message["id"]
        try:
            value = await self._handler.handle(message["op"], message["args"])
            data = frame({"id": number, "ok": value})
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the one who asked
            data = frame({"id": number, "error": error_to_json(error)})
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
