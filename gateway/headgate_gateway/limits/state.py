"""The state process: one sliding window for all workers of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headgate_core.daemon.client import DaemonClient
from headgate_core.errors import Internal, ServiceError
from headgate_gateway.limits.window import SlidingWindow
from headgate_gateway.plan import Limits

NAME = "state"
WAIT_S = 2.0
"""A process that counts takes microseconds: after so long it hangs."""


class LimitsUnknown(ServiceError):
    """The process that counts for all workers does not answer."""

    status = 503
    code = "limits_unavailable"


class StateProcess:
    """Handler of the daemon: counts what the workers take."""

    def __init__(self) -> None:
        self._window = SlidingWindow()

    async def handle(self, op: str, args: Mapping[str, Any]) -> Any:
        """``take`` {limits} -> the name without room and the seconds to wait, or None."""
        if op != "take":
            raise Internal(f"The state process does not know {op!r}.")
        return self._window.take_now(args["limits"])


def create(_data_dir: Path, _args: Mapping[str, Any]) -> StateProcess:
    """Factory that the daemon launcher calls."""
    return StateProcess()


class SharedWindow:
    """Counts in the state process of ``data_dir``, started by whoever needs it first."""

    def __init__(self, data_dir: Path) -> None:
        self._client = DaemonClient(NAME, data_dir, "headgate_gateway.limits.state:create", {})

    async def take(self, limits: Limits) -> tuple[str, float] | None:
        """Take one of each name, or none where one has no room. Raises ``LimitsUnknown``."""
        try:
            said = await self._client.request("take", {"limits": limits}, WAIT_S)
        except ServiceError as error:
            raise LimitsUnknown(f"Nobody can say whether a limit is used up. {error}") from error
        return None if said is None else (str(said[0]), float(said[1]))

    async def close(self) -> None:
        """Close the connection; the process ends by itself when nobody needs it."""
        await self._client.close()
