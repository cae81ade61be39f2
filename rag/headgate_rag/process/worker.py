"""The one thread in which everything heavy happens, so that the socket stays answerable."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Runs jobs one at a time: urgent ones first, otherwise in the order in which they came."""

    def __init__(self) -> None:
        self._order = itertools.count()
        self._jobs: queue.PriorityQueue[tuple[int, int, Callable[[], Any], Future[Any]]]
        self._jobs = queue.PriorityQueue()
        threading.Thread(target=self._work, name="worker", daemon=True).start()

    async def run(self, job: Callable[[], T], urgent: bool = False) -> T:
        """The job's result, or what it raised. A job whose waiter has gone is not begun."""
        future: Future[T] = Future()
        self._jobs.put((0 if urgent else 1, next(self._order), job, future))
        return await asyncio.wrap_future(future)

    def _work(self) -> None:
        while True:
            _, _, job, future = self._jobs.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001 - it is raised where the job is awaited
                future.set_exception(error)
