"""A private PostgreSQL server on loopback: its own data folder, stopped and started at will."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from running import free_port

from headgate_core.settings.environment import require_servers

_INSTALLED = "/usr/lib/postgresql/*/bin"
"""Where Debian keeps the server's programs, outside of PATH."""


@dataclass
class Postgres:
    """One cluster; ``url`` is how the gateway reaches it."""

    bin: Path
    data: Path
    port: int
    user: str | None
    """Whom the server runs as: PostgreSQL refuses to run as root."""

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://headgate@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Return once it takes connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.data} -c fsync=off"
        self._run("pg_ctl", "-w", "-D", str(self.data), "-l", f"{self.data}/log", "-o", options,
                  "start")  # fmt: skip

    def stop(self) -> None:
        """As in a crash: all connections are cut off."""
        self._run("pg_ctl", "-w", "-D", str(self.data), "-m", "immediate", "stop")

    def make(self) -> None:
        """An empty cluster that lets in everybody on this machine."""
        self._run("initdb", "-D", str(self.data), "-U", "headgate", "-A", "trust", "-N")

    def _run(self, program: str, *arguments: str) -> None:
        with tempfile.TemporaryFile() as output:  # a pipe would stay open in the server
            done = subprocess.run(
                [str(self.bin / program), *arguments],
                stdout=output,
                stderr=output,
                user=self.user,
                cwd=self.data.parent,
                timeout=120,
                check=False,
            )
            output.seek(0)
            assert done.returncode == 0, output.read().decode(errors="replace")


def _programs() -> Path | None:
    found = sorted(Path("/").glob(_INSTALLED.lstrip("/")))
    path = shutil.which("pg_ctl")
    folders = [*reversed(found), *([Path(path).parent] if path else [])]
    return next((f for f in folders if (f / "initdb").exists()), None)


def _server_user() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server; without PostgreSQL on this machine the test is skipped, with its reason."""
    programs = _programs()
    if programs is None:
        message = "PostgreSQL (initdb, pg_ctl) is not installed"
        if require_servers():
            pytest.fail(message)
        pytest.skip(message)
    folder = Path(tempfile.mkdtemp(prefix="headgate-pg-"))
    user = _server_user()
    if user is not None:
        shutil.chown(folder, user)
    server = Postgres(programs, folder / "data", free_port(), user)
    try:
        server.make()
        server.start()
        yield server
    finally:
        if (server.data / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder)
