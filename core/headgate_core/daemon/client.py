"""The asking side: connect, starting the helper where there is none, ask, once more if it died."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headgate_core.daemon.launch import START_S, Launch
from headgate_core.daemon.places import Places
from headgate_core.daemon.wire import error_from_json, frame, read_frame
from headgate_core.errors import ServiceError


class DaemonClient:
    """Asks the helper ``name`` of ``data_dir``; one object serves many tasks of one event loop.

    ``factory`` is ``package.module:factory`` of its handler and gets ``(data_dir, args)``; ``env``
    is added to the environment of a helper that this client starts. A request whose connection
    broke is sent once more to a new process: operations must bear being carried out twice.
    """

    def __init__(
        self,
        name: str,
        data_dir: Path,
        factory: str,
        args: Mapping[str, Any] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        idle_s: float = 60.0,
    ) -> None:
        self.name = name
        self._data_dir = data_dir
        self._launch = Launch(name, data_dir, factory, args or {}, env or {}, idle_s)
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    async def request(self, op: str, args: Mapping[str, Any], timeout_s: float = 60.0) -> Any:
        """The helper's answer to ``op``.

        Raises the ``HeadgateError`` that the helper raised, or ``ServiceError`` when it cannot be
        started, died twice, or did not answer within ``timeout_s`` seconds.
        """
        for again in (True, False):
            connection = await self._connected()
            try:
                async with asyncio.timeout(timeout_s):
                    return await connection.ask(op, args)
            except TimeoutError:
                raise ServiceError(
                    f"The {self.name} process did not answer {op!r} within {timeout_s:g} s."
                ) from None
            except ConnectionError as error:
                await self._drop(connection)
                if not again:
                    raise ServiceError(
                        f"The {self.name} process died twice while answering {op!r}. "
                        + self._launch.log_tail()
                    ) from error
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Close the connection; a later request opens a new one."""
        if self._connection is not None:
            await self._drop(self._connection)

    async def _drop(self, connection: _Connection) -> None:
        if self._connection is connection:
            self._connection = None
        await connection.close()

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._connection is None or self._connection.lost:
                self._connection = await self._connect()
            return self._connection

    async def _connect(self) -> _Connection:
        places = await asyncio.to_thread(Places.of, self.name, self._data_dir)
        clock = asyncio.get_running_loop().time
        deadline = clock() + START_S
        while True:
            with contextlib.suppress(OSError):
                return await _Connection.open(places.socket)
            if clock() > deadline:
                raise ServiceError(
                    f"The {self.name} process (pid {_owner(places.lock)}) holds {places.lock} but "
                    f"has not answered for {START_S:g} s. End it, then try again. "
                    + self._launch.log_tail()
                )
            await self._launch.start(places.log)
            await asyncio.sleep(0.01)


def _owner(lock: Path) -> str:
    with contextlib.suppress(OSError):
        return lock.read_text().strip() or "unknown"
    return "unknown"


class _Connection:
    """One open socket; replies find their requests by number and may come in any order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._task = asyncio.create_task(self._receive())

    @classmethod
    async def open(cls, path: Path) -> _Connection:
        return cls(*await asyncio.open_unix_connection(path))

    @property
    def lost(self) -> bool:
        return self._task.done()

    async def ask(self, op: str, args: Mapping[str, Any]) -> Any:
        number = next(self._numbers)
        data = frame({"id": number, "op": op, "args": args})
        if self.lost:
            raise ConnectionError("the connection is closed")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(data)
            await self._writer.drain()
            return await answer
        finally:
            self._waiting.pop(number, None)
            answer.cancel()

    async def _receive(self) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                while (message := await read_frame(self._reader)) is not None:
                    self._settle(message)
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ConnectionError("the process went away"))
            self._writer.close()

    def _settle(self, message: dict[str, Any]) -> None:
        answer = self._waiting.get(message["id"])
        if answer is None or answer.done():
            return  # nobody waits any more: a timeout or a cancelled caller
        if "error" in message:
            answer.set_exception(error_from_json(message["error"]))
        else:
            answer.set_result(message["ok"])

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
