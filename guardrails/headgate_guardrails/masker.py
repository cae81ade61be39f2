"""The masker of text that is kept: personal data and secrets, whatever a route's policies say."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

from headgate_core.errors import GuardFailed
from headgate_core.ports import Check
from headgate_guardrails.bound import BoundCheck, Pace, bind
from headgate_guardrails.checks.pii import Pii
from headgate_guardrails.checks.secrets import Secrets
from headgate_guardrails.enforcer import Enforcer
from headgate_guardrails.policy import CheckSettings, PolicySettings

WITHHELD = "[WITHHELD]"
"""Stands for a text that could not be masked: such a text is not kept."""

_HOUR_MS = 3_600_000.0


class Masker:
    """Replaces what ``pii`` (all its types) and ``secrets`` find; long texts let others go on."""

    def __init__(self) -> None:
        pace = Pace()
        checks: dict[str, Check] = {"secrets": Secrets(), "pii": Pii(types=_all_types())}
        self._checks = [_masking(name, check, pace) for name, check in checks.items()]

    async def mask(self, text: str) -> str:
        """The text with every finding replaced once by its placeholder, else ``WITHHELD``."""
        try:
            return await Enforcer("output", "kept text", [], self._checks).whole(text) or ""
        except GuardFailed:  # logged where the check failed
            return WITHHELD


def _all_types() -> Any:
    (types,) = get_args(get_type_hints(Pii)["types"])
    return list(get_args(types))


def _masking(name: str, check: Check, pace: Pace) -> BoundCheck:
    settings = CheckSettings(name=name, use=name, at=["output"], action="mask", max_ms=_HOUR_MS)
    policy = PolicySettings(name="kept text", checks=[settings])
    return bind(policy, settings, check, 0 if name == "secrets" else 1, pace)
