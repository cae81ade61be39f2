"""What cannot change while a gateway serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headgate_core.errors import ConfigurationError, Problem
from headgate_core.settings.files import raise_problems
from headgate_core.settings.gateway import GatewaySettings

MEMBERS = (
    ("server", "host"),
    ("server", "port"),
    ("server", "workers"),
    ("server", "replicas"),
    ("server", "admin"),
    ("store", "url"),
    ("store", "when_away"),
    ("state", "url"),
)
"""A process that has begun to serve holds on to these."""

HIDDEN = frozenset({"url"})
"""Members whose value may hold a password."""


def refuse_fixed(served: GatewaySettings, wanted: GatewaySettings) -> None:
    """Raises ``ConfigurationError`` naming each member that only a restart can change."""
    raise_problems(wanted.path, list(_problems(served, wanted)))
    if served.data_dir != wanted.data_dir:
        raise ConfigurationError(
            f"The data folder would be {wanted.data_dir}, and the gateway serves with "
            f"{served.data_dir}: it cannot change while it serves. Restart the gateway."
        )


def _problems(served: GatewaySettings, wanted: GatewaySettings) -> Iterator[Problem]:
    for section, name in MEMBERS:
        now, then = (getattr(getattr(s, section), name) for s in (served, wanted))
        if now != then:
            values = "has changed" if name in HIDDEN else _change(now, then)
            yield Problem(
                *wanted.place(section, name),
                f"`{section}.{name}` {values}: it cannot change while the gateway serves. "
                "Restart the gateway, or put the old value back.",
            )


def _change(now: Any, then: Any) -> str:
    return f"is {then} and the gateway serves with {now}"
