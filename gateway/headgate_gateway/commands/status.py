"""``headgate status``: one look at a deployment of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from headgate_core.errors import ConfigurationError, StoreError
from headgate_core.settings import environment
from headgate_core.settings.load import find_config, load_settings
from headgate_gateway.commands.common import ConfigOption, JsonOption
from headgate_gateway.commands.targets import print_json

if TYPE_CHECKING:
    from headgate_core.settings.gateway import GatewaySettings

_SQLITE = re.compile(r"sqlite:///([^\s\"',}]+)")


def register(app: typer.Typer) -> None:
    """Add ``status``."""
    app.command()(status)


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show version, configuration, store, workers, journal, disabled targets and dropped scores.

    Ends with exit code 1 when the store does not answer, with 2 when the configuration is wrong:
    the workers that serve an earlier one are shown all the same.
    """
    found = _found(find_config(config))
    if as_json:
        print_json(found)
    else:
        for line in _lines(found):
            typer.echo(line)
    if found["config"] is None:
        raise typer.Exit(2)
    if found["store"] != "ok":
        raise typer.Exit(1)


def _found(path: Path) -> dict[str, Any]:
    settings, fault = None, ""
    try:
        settings = load_settings(path)
    except ConfigurationError as error:
        fault = str(error)
    found = {"config": settings.hash if settings else None, "config_error": fault}
    return {**found, **(_asked(settings) if settings else _unasked(path))}


def _asked(settings: GatewaySettings) -> dict[str, Any]:
    from headgate_core.store import Store
    from headgate_gateway.operations.deployment import status

    try:
        store = Store.open(settings.store.url)
    except StoreError as error:
        return {**status(settings.data_dir, None), "store": str(error)}
    try:
        return status(settings.data_dir, store)
    finally:
        store.close()


def _unasked(path: Path) -> dict[str, Any]:
    """Without a configuration it is not known where the store is."""
    from headgate_gateway.operations.deployment import status

    return status(_likely_data_dir(path), None)


def _likely_data_dir(path: Path) -> Path:
    """Where the workers of a configuration are to be looked for that cannot be read."""
    folder = path.resolve().parent
    written = _SQLITE.search(path.read_text(encoding="utf-8", errors="replace"))
    if written is not None:
        return (folder / written[1]).parent
    return environment.data() or folder / "var"


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"version         {found['version']}"
    yield f"configuration   {found['config'] or 'is not served: ' + found['config_error']}"
    yield f"store           {found['store']}"
    alive = found["workers"]
    yield f"workers         {len(alive)} alive" if alive else "workers         none"
    if servers := sorted({worker["server_pid"] for worker in alive}):
        yield "signals go to   " + ", ".join(f"process {pid}" for pid in servers)
    for worker in alive:
        serves = f"  {worker['pid']} serves "
        if worker["config"] != found["config"]:
            serves += "another configuration, "
        yield f"{serves}{worker['config']}, loaded {worker['loaded']}"
        if refused := worker["refused"]:
            yield f"  {worker['pid']} refused the files at {refused['at']}: {refused['error']}"
        if worker["journal_failure"]:
            yield f"  {worker['pid']} cannot write to the store: {worker['journal_failure']}"
    yield f"journal         {found['journal_bytes']} bytes wait for the store"
    yield f"scores dropped  {found['scores_dropped']}"
    yield "targets         " + ("some are disabled:" if found["disabled"] else "none is disabled")
    for row in found["disabled"]:
        yield f"  {row['target']} until {row['until']}: {row['why']}"
