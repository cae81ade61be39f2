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
        match op:
            case "pid":
                return os.getpid()
            case "args":
                return self.args
            case "wait":
                await self.gate.wait()
                return "released"
            case "release":
                self.gate.set()
            case "die_unless":
                if not Path(args["file"]).exists():
                    Path(args["file"]).touch()
                    os._exit(9)
                return os.getpid()
            case "die":
                os._exit(9)
            case "limited":
                raise RateLimited("too many", retry_after_s=2.5)
            case "misconfigured":
                raise ConfigurationError("a line is wrong")
            case _:
                raise KeyError(op)
        return None


def create(data_dir: Path, args: dict[str, Any]) -> Helper:
    return Helper(args)


def refuse(data_dir: Path, args: dict[str, Any]) -> Helper:
    raise RuntimeError("the flux capacitor is missing")
