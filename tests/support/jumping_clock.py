"""An event loop whose clock jumps over every wait: hours pass in no time, and in order."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_GRACE_S = 0.005
"""How long sockets may take to show what was sent over them before the clock jumps."""


class _Jumping(selectors.DefaultSelector):
    """Waits for nobody: when nothing has happened, the time is over at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        ready = super().select(min(timeout, _GRACE_S))
        if not ready:
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._jumping.now


def run_jumping(work: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` on such a loop. What is run must not wait for threads."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)
