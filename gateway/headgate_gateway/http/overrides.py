"""The configuration that a server is started with: files, and options that stand over them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from headgate_core.errors import ConfigurationError
from headgate_core.settings.deployment_checks import places_short, port_clash
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.load import load_settings
from headgate_gateway.http.peer import is_loopback
from headgate_gateway.reload.source import Source


def source_of(path: Path, overrides: Mapping[str, Any]) -> Source:
    """The files of ``path``, read with ``overrides`` for members of ``server``."""
    return Source(path, lambda: overridden(load_settings(path), overrides))


def overridden(settings: GatewaySettings, overrides: Mapping[str, Any]) -> GatewaySettings:
    """The settings with ``server`` members replaced, checked again."""
    if not overrides:
        return settings
    try:
        server = type(settings.server).model_validate({**settings.server.model_dump(), **overrides})
    except ValidationError as error:
        faults = [f"--{e['loc'][0]} {e['input']!r}: {e['msg']}." for e in error.errors()]
        raise ConfigurationError(" ".join(faults)) from error
    changed = settings.model_copy(update={"server": server})
    if changed.auth.keys == "open" and not is_loopback(server.host):
        raise ConfigurationError(
            f"auth.keys is `open`, so the gateway listens on loopback only, not on {server.host}. "
            "Set auth.keys to `required` and make keys with `headgate keys create`."
        )
    if fault := port_clash(server):
        raise ConfigurationError(f"--port {server.port}: {fault}")
    if short := places_short(changed):
        name = settings.pools[short[0]].name
        raise ConfigurationError(f"--workers {server.workers}: pool {name!r}: {short[1]}")
    return changed
