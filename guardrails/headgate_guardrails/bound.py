"""A check as a policy uses it: run within its time, its failures turned into its ``on_error``."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from dataclasses import dataclass
from typing import Literal

from headgate_core.errors import GuardFailed
from headgate_core.ports import Check
from headgate_core.types import Action, At, Span
from headgate_guardrails.policy import CheckSettings, OnError, PolicySettings

log = logging.getLogger("headgate.guardrails")


class CheckError(Exception):
    """A check could not run. The message names the fault and never holds text of the call."""


@dataclass(frozen=True, slots=True)
class BoundCheck:
    """One check of one policy, its settings effective; ``order`` counts through all policies."""

    order: int
    policy: str
    name: str
    check: Check
    at: tuple[At, ...]
    action: Action
    mode: Literal["enforce", "shadow"]
    on_error: OnError
    max_ms: float
    refusal_text: str
    refusal_as_error: bool

    @property
    def enforced(self) -> bool:
        """False: it decides and is counted, but changes nothing."""
        return self.mode == "enforce"

    @property
    def cost(self) -> int:
        """0 = microseconds in process; 1 = anything else, run together with the others like it."""
        return int(getattr(self.check, "cost", 1))

    async def find(self, text: str, at: At) -> list[Span]:
        """The findings. Raises ``CheckError`` when the check fails or takes too long."""
        fault = ""
        try:
            async with asyncio.timeout(self.max_ms / 1000):
                return _sound(await self.check.find(text, at), len(text))
        except TimeoutError:
            fault = f"took longer than {self.max_ms:g} ms"
        except Exception as error:  # noqa: BLE001 - a check is anybody's code; on_error decides
            fault = _where(error)
        # Outside the handler: the original error may quote the text and must not ride along.
        log.warning("check %s of policy %s failed: %s", self.name, self.policy, fault)
        raise CheckError(fault)

    def failed(self, fault: str) -> GuardFailed:
        """The error that ends the call when ``on_error`` is ``block``."""
        return GuardFailed(
            f"The check {self.name!r} of the guard policy {self.policy!r} could not run ({fault}), "
            f"and its on_error is 'block'."
        )


def bind(policy: PolicySettings, settings: CheckSettings, check: Check, order: int) -> BoundCheck:
    """``check`` with the policy's values where its own settings leave them out."""
    return BoundCheck(
        order=order,
        policy=policy.name,
        name=settings.name,
        check=check,
        at=tuple(settings.at),
        action=settings.action,
        mode=settings.mode or policy.mode,
        on_error=settings.on_error or policy.on_error,
        max_ms=settings.max_ms,
        refusal_text=policy.refusal.text,
        refusal_as_error=policy.refusal.as_ == "error",
    )


def milliseconds(since_ns: int) -> float:
    """Milliseconds since ``time.perf_counter_ns()`` was ``since_ns``."""
    return (time.perf_counter_ns() - since_ns) / 1e6


def _sound(spans: list[Span], length: int) -> list[Span]:
    for span in spans:
        if not 0 <= span.start < span.end <= length:
            raise ValueError("a finding lies outside the text")
    return spans


def _where(error: Exception) -> str:
    """The kind of an error and the line it came from; its message may quote the caller's text."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    return f"{type(error).__name__} at {last.filename.rpartition('/')[2]}:{last.lineno}"
