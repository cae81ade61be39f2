"""Guard policies that a configuration names: that they are there, and what is wrong in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headgate_core.errors import ConfigurationError
from headgate_core.plugins import capability, unknown
from headgate_core.settings.document import Document, Trail
from headgate_core.settings.gateway import GatewaySettings


def check_policies(settings: GatewaySettings, document: Document) -> None:
    """Note every policy that is not there, and each fault of the others at its own line."""
    folder = settings.folder / "guardrails"
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    used: dict[str, Trail] = {}
    for trail, policy in _guards(settings):
        if policy not in names:
            hint = f" Policies are {folder}/NAME.yaml."
            document.problem(trail, unknown("guard policy", policy, names) + hint)
        else:
            used.setdefault(policy, trail)
    beside = document.file.parent / "guardrails"
    for policy, trail in used.items():
        try:
            # The members of a policy are known to the component that runs it, not here.
            guards: Any = capability("guards")
            document.problems.extend(guards.problems(beside, policy))
        except ConfigurationError as error:
            document.problem(trail, error.message)


def _guards(settings: GatewaySettings) -> Iterator[tuple[Trail, str]]:
    for number, name in enumerate(settings.defaults.guards):
        yield ("defaults", "guards", number), name
    for index, route in enumerate(settings.routes):
        for number, name in enumerate(route.guards):
            yield ("routes", index, "guards", number), name
