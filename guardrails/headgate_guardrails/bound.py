"""A check as a policy uses it: run within its time, its failures turned into its ``on_error``."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from headgate_core.errors import GuardFailed
from headgate_core.ports import Check
from headgate_core.types import Action, At, Span
from headgate_guardrails.policy import CheckSettings, OnError, PolicySettings

log = logging.getLogger("headgate.guardrails")


Clock: TypeAlias = Callable[[], int]
"""Nanoseconds from any beginning on, as ``time.perf_counter_ns``."""

FRAME = 16_384
"""Characters that checks may look at before others on the event loop get their turn."""

LEAST = 200
"""Characters that a text counts for at least: to begin with a check costs as much."""


@dataclass(slots=True)
class Pace:
    """Lets the event loop go on after every ``FRAME`` characters, over all texts of a process.

    A check that computes holds the loop; many short texts in a row hold it like a long one.
    """

    _seen: int = 0

    async def take(self, characters: int) -> None:
        """Count ``characters`` that a check is about to look at; may wait one turn of the loop."""
        self._seen += max(characters, LEAST)
        if self._seen > FRAME:
            self._seen = max(characters, LEAST)
            await asyncio.sleep(0)


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
    pace: Pace = field(default_factory=Pace)
    clock: Clock = time.perf_counter_ns

    @property
    def enforced(self) -> bool:
        """False: it decides and is counted, but changes nothing."""
        return self.mode == "enforce"

    @property
    def cost(self) -> int:
        """0 = microseconds in process; 1 = anything else, run together with the others like it."""
        return int(getattr(self.check, "cost", 1))

    async def find(self, text: str, at: At, left_ms: float) -> list[Span]:
        """The findings. Raises ``CheckError`` when the check fails or waits beyond ``left_ms``."""
        fault = ""
        try:
            async with asyncio.timeout(left_ms / 1000):
                return _sound(await self.check.find(text, at), len(text))
        except TimeoutError:
            fault = self.too_slow
        except Exception as error:  # noqa: BLE001 - a check is anybody's code; on_error decides
            fault = _where(error)
        # Outside the handler: the original error may quote the text and must not ride along.
        raise self.error(fault)

    @property
    def too_slow(self) -> str:
        """The fault of taking more than ``max_ms``."""
        return f"took longer than {self.max_ms:g} ms"

    def error(self, fault: str) -> CheckError:
        """The error for ``fault``, which is logged."""
        log.warning("check %s of policy %s failed: %s", self.name, self.policy, fault)
        return CheckError(fault)

    def failed(self, fault: str) -> GuardFailed:
        """The error that ends the call when ``on_error`` is ``block``."""
        return GuardFailed(
            f"The check {self.name!r} of the guard policy {self.policy!r} could not run ({fault}), "
            f"and its on_error is 'block'."
        )


@dataclass(slots=True)
class Asking:
    """One bound check at work on one text: every frame passes here, and ``max_ms`` holds for all.

    Nothing can interrupt a check while it computes, so its time is looked at between frames.
    """

    bound: BoundCheck
    at: At
    ms: float = 0.0
    """Time spent in the check, over the whole text."""
    _until_ms: float = 0.0

    def begin(self) -> None:
        """The next piece of a text has come: ``max_ms`` begins anew."""
        self._until_ms = self.ms + self.bound.max_ms

    async def __call__(self, text: str) -> list[Span]:
        """The findings in one frame. Raises ``CheckError``."""
        await self.bound.pace.take(len(text))
        left_ms = self._until_ms - self.ms
        if left_ms <= 0:
            raise self.bound.error(self.bound.too_slow)
        begun = self.bound.clock()
        try:
            return await self.bound.find(text, self.at, left_ms)
        finally:
            self.ms += (self.bound.clock() - begun) / 1e6


def bind(
    policy: PolicySettings, settings: CheckSettings, check: Check, order: int, pace: Pace
) -> BoundCheck:
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
        pace=pace,
    )


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
