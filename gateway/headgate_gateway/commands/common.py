"""Options and helpers that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from headgate_core.settings.gateway import GatewaySettings

ConfigOption = Annotated[
    str | None,
    typer.Option("--config", help="gateway.yaml; default: $HEADGATE_CONFIG, configs/gateway.yaml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def settings_of(config: str | None) -> GatewaySettings:
    """The checked settings. Raises ``ConfigurationError`` with all problems."""
    from headgate_core.settings.load import find_config, load_settings

    return load_settings(find_config(config))
