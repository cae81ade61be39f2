"""A helper process for the tests of ``headgate_core.daemon``: answers, waits, fails, dies."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from headgate_core.errors import ConfigurationError, RateLimited


class Helper:
    """One operation a kind of behaviour."""

    def __init__(self, args: dict[str, Any]) -> None:
        self.args = args
        self.gate = asyncio.Event()

    async def handle(self, op: str, args: dict[str, Any]) -> Any:
        return await getattr(self, f"on_{op}", self.on_unknown)(args)

    async def on_pid(self, args: dict[str, Any]) -> int:
        return os.getpid()

    async def on_args(self, args: dict[str, Any]) -> dict[str, Any]:
        return self.args

    async def on_wait(self, args: dict[str, Any]) -> str:
        await self.gate.wait()
        return "released"

    async def on_release(self, args: dict[str, Any]) -> None:
        self.gate.set()

    async def on_die(self, args: dict[str, Any]) -> None:
        os._exit(9)

    async def on_die_once(self, args: dict[str, Any]) -> int:
        file = Path(args["file"])
        if not file.exists():
            file.touch()
            os._exit(9)
        return os.getpid()

    async def on_limited(self, args: dict[str, Any]) -> None:
        raise RateLimited("too many", retry_after_s=2.5)

    async def on_misconfigured(self, args: dict[str, Any]) -> None:
        raise ConfigurationError("a line is wrong")

    async def on_unknown(self, args: dict[str, Any]) -> None:
        raise KeyError("no such operation")


def create(data_dir: Path, args: dict[str, Any]) -> Helper:
    return Helper(args)


def refuse(data_dir: Path, args: dict[str, Any]) -> Helper:
    raise RuntimeError("the flux capacitor is missing")
