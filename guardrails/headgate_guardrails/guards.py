"""The ``guards`` capability: policies by name, compiled into what a route's stages ask."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headgate_core.errors import ConfigurationError, MissingExtra, Problem
from headgate_core.ports import Check, Guarded, Tools
from headgate_core.ports import Guards as GuardsPort
from headgate_core.settings.base import PluginUse
from headgate_core.settings.files import raise_problems
from headgate_core.types import At, Told, Verdict
from headgate_guardrails.bound import BoundCheck, Pace, bind
from headgate_guardrails.enforcer import Enforcer
from headgate_guardrails.policy import (
    CheckSettings,
    PolicyFile,
    PolicySettings,
    problems_of,
    read_policy,
)
from headgate_guardrails.scan import held_back, is_joined


class CompiledGuards:
    """The checks of one route's policies, sorted by where they look."""

    def __init__(self, checks: Sequence[BoundCheck], version: str) -> None:
        self.version = version
        self._at: dict[At, list[BoundCheck]] = {}
        for check in checks:
            for place in check.at:
                self._at.setdefault(place, []).append(check)

    def guards(self, at: At) -> bool:
        """Whether any check looks at ``at``."""
        return at in self._at

    def joins(self, at: At) -> bool:
        """Whether all that is found in a text is found as well where others stand around it."""
        return all(is_joined(bound.check) for bound in self._at.get(at, ()))

    def holds_back(self, at: At) -> int:
        """Most characters that a stream at ``at`` is held back by; 0 where nothing looks."""
        return max((held_back(bound.check) for bound in self._at.get(at, ())), default=0)

    async def check(
        self, at: At, text: str, subject: str, verdicts: list[Verdict], replaced: Told = None
    ) -> str | None:
        """A whole text, masked where asked; None if it is to be left out.

        Raises ``Stopped`` on a block and ``GuardFailed`` when a check cannot run and must.
        """
        return await self._enforcer(at, subject, verdicts).whole(text, replaced)

    def stream(self, at: At, subject: str, verdicts: list[Verdict]) -> Guarded:
        """A fresh state for one streamed text."""
        return self._enforcer(at, subject, verdicts)

    def _enforcer(self, at: At, subject: str, verdicts: list[Verdict]) -> Enforcer:
        return Enforcer(at, subject, verdicts, self._at.get(at, ()))


class Guards:
    """Loads policies from ``guardrails/`` beside the gateway's file, builds and compiles them."""

    def __init__(self) -> None:
        self._tools: Tools | None = None
        self._built: dict[str, Check] = {}
        self._pace = Pace()

    def bind(self, tools: Tools) -> None:
        """Take the settings (for the folder) and ``plugin`` (to build checks by name)."""
        self._tools = tools

    @staticmethod
    def problems(folder: Path, name: str) -> list[Problem]:
        """Every fault that can be told of the policy ``name`` in ``folder`` without building it."""
        return problems_of(folder, name)

    def compile(self, names: Sequence[str]) -> GuardsPort:
        """The policies ``names`` in order. Raises ``ConfigurationError`` with what is wrong."""
        folder = self._bound_tools.settings.folder / "guardrails"
        files = [read_policy(folder, name) for name in dict.fromkeys(names)]
        _refuse(folder, files)
        checks: list[BoundCheck] = []
        policies: list[PolicySettings] = []
        for document, policy in files:
            assert policy is not None, "a file without faults is a policy"
            policies.append(policy)
            for index, settings in enumerate(policy.checks):
                try:
                    check = self._check(settings)
                    _fits(settings, check)
                    checks.append(bind(policy, settings, check, len(checks), self._pace))
                except MissingExtra:
                    raise
                except ConfigurationError as error:
                    fault = f"check {settings.name!r}: {error}"
                    document.problem(("checks", index), fault)
        _refuse(folder, files)
        return CompiledGuards(checks, _version(policies, checks))

    @property
    def _bound_tools(self) -> Tools:
        if self._tools is None:
            raise RuntimeError("Guards.bind(tools) comes before compile")
        return self._tools

    def _check(self, settings: CheckSettings) -> Check:
        """The check, shared between routes: it has no state of a call."""
        key = json.dumps([settings.use, settings.options], sort_keys=True, default=str)
        if key not in self._built:
            use = PluginUse(use=settings.use, options=settings.options)
            self._built[key] = self._bound_tools.plugin("checks", use)
        return self._built[key]


def _refuse(folder: Path, files: Sequence[PolicyFile]) -> None:
    problems = [problem for file in files for problem in file.document.problems]
    raise_problems(files[0].document.file if len(files) == 1 else folder, problems)


def _fits(settings: CheckSettings, check: Any) -> None:
    """Refuse a class that is no check, and an action that it cannot serve."""
    window = getattr(check, "window", None)
    if not callable(getattr(check, "find", None)) or not isinstance(window, int) or window < 1:
        raise ConfigurationError(
            f"{settings.use!r} is no check: it needs `window`, a whole number of at least 1, "
            f"and `async def find(self, text, at)`."
        )
    if settings.action == "mask" and not getattr(check, "gives_spans", True):
        raise ConfigurationError(
            f"action 'mask' needs to know where in the text a finding is, and {settings.use!r} "
            f"judges texts as a whole: use 'block', 'flag', or 'drop' where that is possible."
        )


def _version(policies: Sequence[PolicySettings], checks: Sequence[BoundCheck]) -> str:
    """SHA-256 over what decides: the policies' effective members and the checks' versions."""
    facts = {
        "policies": [policy.model_dump(mode="json") for policy in policies],
        "checks": [
            [type(b.check).__qualname__, str(getattr(b.check, "version", "1"))] for b in checks
        ],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
