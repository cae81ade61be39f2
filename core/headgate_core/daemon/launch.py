"""Starting a helper process: detached, its output in its log, seeing what its starter sees."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from headgate_core.errors import ServiceError

START_S = 60.0
"""How long starting may take until the helper accepts connections."""

TAKEN = 75
"""Exit code of a starter that found another process serving."""

LOG_BYTES = 5 * 2**20
"""A log that has grown over this is put aside (one generation) at the next start."""


@dataclass(slots=True)
class Launch:
    """How one helper is started."""

    name: str
    data_dir: Path
    factory: str
    args: Mapping[str, Any]
    env: Mapping[str, str]
    idle_s: float
    _log: Path | None = field(default=None, init=False)
    _log_start: int = field(default=0, init=False)

    async def start(self, log: Path) -> None:
        """Start the helper and return once it listens, or another one does.

        Raises ``ServiceError`` with the end of its log when it dies while starting.
        """
        file = await asyncio.to_thread(self._open_log, log)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        finally:
            os.close(file)
        try:
            async with asyncio.timeout(START_S):
                code = await process.wait()
        except TimeoutError:
            raise ServiceError(
                f"The {self.name} process did not start within {START_S:g} s. " + self.log_tail()
            ) from None
        if code not in (0, TAKEN):
            raise ServiceError(f"The {self.name} process could not be started. " + self.log_tail())

    def log_tail(self) -> str:
        """The last lines that the helper wrote since this client started it, and where."""
        if self._log is None or not self._log.exists():
            return f"Its log is {self.data_dir / 'logs' / self.name}.log."
        with self._log.open("rb") as file:
            file.seek(max(self._log_start, self._log.stat().st_size - 3000))
            lines = file.read().decode(errors="replace").splitlines()[-15:]
        if not lines:
            return f"It wrote nothing to {self._log}."
        return "\n".join([f"The end of {self._log}:", *(f"  {line}" for line in lines)])

    def _open_log(self, log: Path) -> int:
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._log, self._log_start = log, os.fstat(file).st_size
        return file

    def _command(self) -> list[str]:
        # env(1) adds to the inherited environment; -P keeps the current folder off the path.
        env = {**self.env, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        return [
            "/usr/bin/env",
            *(f"{key}={value}" for key, value in env.items()),
            *(sys.executable, "-P", "-m", "headgate_core.daemon"),
            *(self.name, str(self.data_dir), self.factory),
            orjson.dumps(dict(self.args)).decode(),
            *("--idle-s", str(self.idle_s)),
        ]
