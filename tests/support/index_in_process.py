"""The index process without a process: requests go straight to its handler."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from headgate_rag.process.handler import IndexProcess, create


class InProcessDaemon:
    """Stands in for ``headgate_core.daemon.client.DaemonClient``; remembers what was asked.

    ``fail_at`` raises in place of the request of that number (from 1), as a killed process would.
    """

    asked: list[str] = []  # noqa: RUF012 - shared on purpose: clients come and go
    fail_at: int = 0

    def __init__(
        self, name: str, data_dir: Path, factory: str, env: Mapping[str, str] | None = None
    ) -> None:
        self._data_dir = data_dir
        self._handler: IndexProcess | None = None

    async def request(self, op: str, args: Mapping[str, Any], timeout_s: float = 60.0) -> Any:
        self.asked.append(op)
        if len(self.asked) == self.fail_at:
            raise ConnectionResetError("killed")
        self._handler = self._handler or create(self._data_dir, {})
        return await self._handler.handle(op, orjson.loads(orjson.dumps(dict(args))))

    async def close(self) -> None:
        if self._handler is not None:
            await self._handler.close()
