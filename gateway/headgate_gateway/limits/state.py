"""The state process: one sliding window for all workers of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headgate_core.daemon.client import DaemonClient
from headgate_core.errors import Internal
from headgate_gateway.limits.window import SlidingWindow

NAME = "state"


class StateProcess:
    """Handler of the daemon: counts what the workers take."""

    def __init__(self) -> None:
        self._window = SlidingWindow()

    async def handle(self, op: str, args: Mapping[str, Any]) -> Any:
        """``take`` {name, per_minute} -> seconds to wait or None."""
        if op != "take":
            raise Internal(f"The state process does not know {op!r}.")
        return self._window.take_now(args["name"], args["per_minute"])


def create(_data_dir: Path, _args: Mapping[str, Any]) -> StateProcess:
    """Factory that the daemon launcher calls."""
    return StateProcess()


class SharedWindow:
    """Counts in the state process of ``data_dir``, started by whoever needs it first."""

    def __init__(self, data_dir: Path) -> None:
        self._client = DaemonClient(NAME, data_dir, "headgate_gateway.limits.state:create", {})

    async def take(self, name: str, per_minute: int) -> float | None:
        """Take one; None when there was room, else the seconds until there is."""
        wait = await self._client.request("take", {"name": name, "per_minute": per_minute})
        return None if wait is None else float(wait)

    async def close(self) -> None:
        """Close the connection; the process ends by itself when nobody needs it."""
        await self._client.close()
