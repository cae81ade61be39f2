"""``headgate status``: one look at a deployment of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from headgate_gateway.commands.common import ConfigOption, JsonOption, settings_of
from headgate_gateway.commands.targets import moment, print_json

if TYPE_CHECKING:
    from headgate_core.settings.gateway import GatewaySettings


def register(app: typer.Typer) -> None:
    """Add ``status``."""
    app.command()(status)


def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show version, configuration, store, workers, journal, disabled targets and dropped scores.

    Ends with exit code 1 when the store does not answer.
    """
    found = _found(settings_of(config))
    if as_json:
        print_json(found)
    else:
        for line in _lines(found):
            typer.echo(line)
    if found["store"] != "ok":
        raise typer.Exit(1)


def _found(settings: GatewaySettings) -> dict[str, Any]:
    from importlib.metadata import version

    from headgate_core.errors import StoreError
    from headgate_core.store import Store
    from headgate_gateway.operations.disabled import disabled
    from headgate_gateway.operations.live import workers

    store_state, out = "ok", []
    try:
        store = Store.open(settings.store.url)
        try:
            out = disabled(store)
        finally:
            store.close()
    except StoreError as error:
        store_state = error.message
    alive = workers(settings.data_dir)
    return {
        "version": version("headgate"),
        "config": settings.hash,
        "store": store_state,
        "workers": [
            {k: w[k] for k in ("pid", "version", "config", "journal_bytes", "journal_failure")}
            for w in alive
        ],
        "journal_bytes": sum(w["journal_bytes"] for w in alive),
        "disabled": [
            {"target": row.name, "until": moment(row.until_unix_ns), "why": row.why} for row in out
        ],
        "scores_dropped": sum(w["scores_dropped"] for w in alive),
    }


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"version         {found['version']}"
    yield f"configuration   {found['config']}"
    yield f"store           {found['store']}"
    alive = found["workers"]
    yield f"workers         {len(alive)} alive" if alive else "workers         none"
    for worker in alive:
        if worker["config"] != found["config"]:
            yield f"  {worker['pid']} serves another configuration, {worker['config']}: restart it"
        if worker["journal_failure"]:
            yield f"  {worker['pid']} cannot write to the store: {worker['journal_failure']}"
    yield f"journal         {found['journal_bytes']} bytes wait for the store"
    yield f"scores dropped  {found['scores_dropped']}"
    yield "targets         " + ("some are disabled:" if found["disabled"] else "none is disabled")
    for row in found["disabled"]:
        yield f"  {row['target']} until {row['until']}: {row['why']}"
