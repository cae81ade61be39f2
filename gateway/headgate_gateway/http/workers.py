"""Several worker processes behind one socket, and who looks after them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from headgate_core.errors import Internal
from headgate_core.settings.server import LogSettings
from headgate_gateway.http.app import App
from headgate_gateway.http.doors import Doors
from headgate_gateway.http.draining import DrainingServer
from headgate_gateway.http.logs import set_up_logging
from headgate_gateway.http.overrides import source_of

log = logging.getLogger("headgate.server")


@dataclass(frozen=True, slots=True)
class WorkerApp:
    """Makes the application inside a worker process; picklable."""

    path: Path
    overrides: Mapping[str, Any]
    logging: LogSettings
    failed: Any
    """A ``multiprocessing.Event`` that tells the parent why it is being stopped."""
    served: Any
    """A ``multiprocessing.Event``: some worker has served already."""
    doors: Doors
    parent: int
    """The process that looks after the workers."""

    @classmethod
    def of(
        cls, path: Path, overrides: Mapping[str, Any], logging: LogSettings, doors: Doors
    ) -> WorkerApp:
        """One for all workers, made by the process that will look after them."""
        new = multiprocessing.get_context("spawn").Event
        return cls(path, overrides, logging, new(), new(), doors, os.getpid())

    def __call__(self) -> App:
        """An application that reads the configuration itself.

        A worker that takes a dead one's place waits for files that can be served: the others do
        so meanwhile.
        """
        set_up_logging(self.logging)
        source = source_of(self.path, self.overrides)
        return App(
            source,
            self._stop_all,
            self.served.set,
            patient=self.served.is_set,
            doors=self.doors,
            tell=self._tell_all,
        )

    def _tell_all(self) -> None:
        """Have every worker read the configuration again. Raises ``Internal``."""
        if os.getppid() != self.parent:
            raise Internal("The process that looks after the workers is gone: restart the gateway.")
        os.kill(self.parent, signal.SIGHUP)

    def _stop_all(self, error: Exception) -> None:
        log.error("a worker cannot open the gateway: %s", error)
        self.failed.set()
        os.kill(os.getppid(), signal.SIGTERM)


class Worker(Process):
    """One worker process."""

    @property
    def server(self) -> uvicorn.Server:
        """The server that runs in it."""
        if self._server is None:
            self._server = DrainingServer(self.config)
        return self._server


class Workers(Multiprocess):
    """Starts the workers, replaces those that die, and passes SIGHUP on to all of them."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    def init_processes(self) -> None:
        """Start them all."""
        self.processes = [self._started() for _ in range(self.processes_num)]

    def keep_subprocess_alive(self) -> None:
        """Replace workers that are gone or hang."""
        for place, worker in enumerate(self.processes):
            if worker.is_alive(timeout=self.config.timeout_worker_healthcheck):
                continue
            worker.kill()
            worker.join()
            if worker.exitcode == STARTUP_FAILURE:
                self.should_exit.set()
            if self.should_exit.is_set():
                return
            log.error("worker %s died; another one takes its place", worker.pid)
            self.processes[place] = self._started()

    def handle_hup(self) -> None:
        """Have every worker read the configuration again."""
        for worker in self.processes:
            if worker.pid is not None and worker.exitcode is None:
                os.kill(worker.pid, signal.SIGHUP)

    def handle_ttin(self) -> None:
        """Their number is part of the configuration."""
        log.warning("SIGTTIN is ignored: server.workers says how many workers there are")

    def handle_ttou(self) -> None:
        """Their number is part of the configuration."""
        log.warning("SIGTTOU is ignored: server.workers says how many workers there are")

    def _started(self) -> Worker:
        """A worker whose SIGHUP waits until it can be heard, instead of ending the process."""
        worker = Worker(self.config, self.sockets)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            worker.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return worker
