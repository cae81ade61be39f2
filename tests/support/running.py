"""Real ``headgate`` processes for tests: one command, or a server until the block ends."""

from __future__ import annotations

import io
import itertools
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

HEADGATE = [sys.executable, "-m", "headgate_gateway"]
"""The command line with this very interpreter."""

START_S = 60.0
SOON_S = 30.0
"""What is to come true does so by then, however busy the machine is."""


def run(
    *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end; output as text."""
    return subprocess.run(
        [*HEADGATE, *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def headgate(
    *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """As ``run``, within this process: where the test asks what a command does and says, and not
    how a process begins and ends. Saves the second that Python needs to load everything.
    """
    from headgate_gateway.cli import run as run_line

    out, err = io.StringIO(), io.StringIO()
    log = logging.StreamHandler(err)
    log.setLevel(logging.WARNING)
    logging.getLogger().addHandler(log)
    try:
        with redirect_stdout(out), redirect_stderr(err), mock.patch.dict(os.environ, env or {}):
            code = run_line(list(arguments))
    finally:
        logging.getLogger().removeHandler(log)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def until(what: Callable[[], Any]) -> Any:
    """What ``what`` returns once that is true; fails after ``SOON_S``."""
    deadline = time.monotonic() + SOON_S
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come true"
        threading.Event().wait(0.02)
    return found


def _ports() -> Iterator[int]:
    """Ports below those that the system gives out, a range for each process of a test run."""
    first = 10_000 + 2_500 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8)
    return itertools.cycle(range(first, first + 2_500))


_PORTS = itertools.islice(_ports(), os.getpid() % 2_500, None)


def free_port() -> int:
    """A port that nobody listens on right now, and that no other test will soon."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("the ports never end")


@dataclass
class Server:
    """A running gateway."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Base URL without a path."""
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """SIGKILL to the whole group: nothing gets a chance to tidy up."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON body of a GET."""
        return _fetch(urllib.request.Request(self.url + path, headers=headers or {}))

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON body of a POST."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        merged = {"Content-Type": "application/json", **(headers or {})}
        return _fetch(urllib.request.Request(self.url + path, data=data, headers=merged))

    def chat(self, model: str, text: str, **members: Any) -> tuple[int, Any]:
        """One chat call with one user message."""
        messages = [{"role": "user", "content": text}]
        return self.post("/v1/chat/completions", {"model": model, "messages": messages, **members})


def _fetch(request: urllib.request.Request) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")


@contextmanager
def serving(
    config: Path, arguments: Sequence[str] = (), env: dict[str, str] | None = None
) -> Iterator[Server]:
    """A gateway that is ready; ended with SIGTERM when the block is left."""
    port = free_port()
    log = config.parent / f"server-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*HEADGATE, "serve", "--config", str(config), "--port", str(port), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    server = Server(process, port, log)
    try:
        _wait_ready(server)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait_ready(server: Server) -> None:
    deadline = threading.Event()
    timer = threading.Timer(START_S, deadline.set)
    timer.start()
    try:
        while not deadline.wait(0.05):
            if server.process.poll() is not None:
                break
            try:
                if server.get("/ready")[0] == 200:
                    return
            except OSError:
                continue
    finally:
        timer.cancel()
    raise AssertionError(f"the server did not become ready:\n{server.log.read_text()}")
