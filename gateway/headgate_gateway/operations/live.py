"""What each worker tells about itself: a small file that is replaced, beside a lock that it holds.

``DATA_DIR/run/worker-PID-XXXXXX.json`` is the state, and the ``.lock`` beside it is held as long
as the process lives: the system lets go of it even when the process is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import orjson

from headgate_core.context import Context
from headgate_core.ids import uuid7
from headgate_core.types import Json
from headgate_gateway.ledger import segments
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.target_state import TargetState

log = logging.getLogger("headgate.live")

EVERY_S = 1.0


def target_rows(pools: Iterable[Pool]) -> list[Json]:
    """Every target of every pool as this process sees it."""
    return [_row(pool, state) for pool in pools for state in pool.states]


def _row(pool: Pool, state: TargetState) -> Json:
    return {
        "pool": pool.name,
        "target": state.target.name,
        "state": state.shown(),
        "in_flight": state.in_flight,
        "first_token_s": state.first_token_s,
        "last_fault": state.last_fault,
        "last_fault_unix_ns": state.last_fault_unix_ns,
        "probe": state.probe,
    }


class LiveFile:
    """The background service that publishes what ``snapshot`` says of this process."""

    def __init__(self, data_dir: Path, snapshot: Callable[[], Json]) -> None:
        name = f"worker-{os.getpid()}-{uuid7()[-6:]}"
        self._file = data_dir / "run" / f"{name}.json"
        self._snapshot = snapshot
        self._lock = -1
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take the lock, publish, and go on publishing. Raises ``OSError``."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = segments.create(self._file.with_suffix(".lock"))
        await self.publish()
        self._task = asyncio.create_task(self._go_on(), name="live state")

    async def stop(self) -> None:
        """This worker is gone."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        _remove(self._file)
        os.close(self._lock)

    def on_record(self, context: Context) -> None:
        """Calls are none of its business."""

    async def _go_on(self) -> None:
        failing = False
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.publish()
            except OSError as error:
                if not failing:
                    log.warning("`headgate targets` will show old numbers: %s", error)
                failing = True
            else:
                failing = False

    async def publish(self) -> None:
        """Write what there is to tell now. Raises ``OSError``."""
        async with self._writing:
            data = orjson.dumps({**self._snapshot(), "written_unix_ns": time.time_ns()})
            writing = asyncio.ensure_future(asyncio.to_thread(_replace, self._file, data))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                # A thread cannot be taken back: it must not bring a removed file back later.
                await asyncio.wait([writing])
                raise


def workers(data_dir: Path) -> list[Json]:
    """What the living workers of this machine published last; dead ones' files are removed."""
    found = []
    for lock in sorted((data_dir / "run").glob("worker-*.lock")):
        if _dead(lock):
            _remove(lock.with_suffix(".json"))
            continue
        with contextlib.suppress(FileNotFoundError):  # it ended, or has not published yet
            found.append(orjson.loads(lock.with_suffix(".json").read_bytes()))
    return found


def _dead(lock: Path) -> bool:
    try:
        fd = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        return segments.lock(fd)
    finally:
        os.close(fd)


def _replace(file: Path, data: bytes) -> None:
    fresh = file.with_suffix(".tmp")
    fresh.write_bytes(data)
    fresh.replace(file)


def _remove(file: Path) -> None:
    for suffix in (".json", ".tmp", ".lock"):
        file.with_suffix(suffix).unlink(missing_ok=True)
