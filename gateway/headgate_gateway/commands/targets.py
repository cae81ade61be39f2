"""``headgate targets``: how the models do, and taking one out of use for a while."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from headgate_gateway.commands.common import ConfigOption, JsonOption, settings_of


def register(app: typer.Typer) -> None:
    """Add ``targets``, which lists, with ``disable`` and ``enable`` below it."""
    group = typer.Typer(help="Show the targets of all pools; take one out of use, or put it back.")
    group.callback(invoke_without_command=True)(list_)
    group.command()(disable)
    group.command()(enable)
    app.add_typer(group, name="targets")


def list_(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every target in every running worker: state, calls in flight, speed, last fault.

    Without a running gateway it shows the configured targets, and which of them are disabled.
    """
    if context.invoked_subcommand is not None:
        return
    from headgate_core.store import Store
    from headgate_gateway.operations.deployment import targets

    settings = settings_of(config)
    store = Store.open(settings.store.url)
    try:
        rows = targets(settings, store)
    finally:
        store.close()
    if as_json:
        print_json(rows)
        return
    _print_table(rows)


def disable(
    target: Annotated[str, typer.Argument(metavar="PROVIDER/MODEL")],
    for_: Annotated[str, typer.Option("--for", help="How long: 30s, 15m, 2h or 1d.")],
    why: Annotated[str, typer.Option(help="Why, for whoever looks next.")],
    config: ConfigOption = None,
) -> None:
    """Take a target out of use; it comes back by itself. Running gateways obey within seconds."""
    from headgate_core.errors import ConfigurationError, RequestError
    from headgate_core.store import Store
    from headgate_gateway.operations import deployment

    settings = settings_of(config)
    store = Store.open(settings.store.url)
    try:
        row, alone = deployment.disable(settings, store, target, for_, why)
    except RequestError as error:  # what was typed is wrong: exit code 2
        raise ConfigurationError(error.message) from error
    finally:
        store.close()
    typer.echo(f"{target} is out of use until {deployment.moment(row.until_unix_ns)}.", err=True)
    backed = {pool.name for pool in settings.pools if pool.fallbacks.error}
    for pool in alone:
        used = "it is still used"
        if pool in backed:
            used = "its fallbacks are used, and it when they fail"
        typer.echo(f"Pool {pool} has no other target: {used}, rather than none.", err=True)


def enable(
    target: Annotated[str, typer.Argument(metavar="PROVIDER/MODEL")], config: ConfigOption = None
) -> None:
    """Put a target back into use before its time."""
    from headgate_core.store import Store
    from headgate_gateway.operations import deployment

    settings = settings_of(config)
    store = Store.open(settings.store.url)
    try:
        deployment.enable(store, target)
    finally:
        store.close()
    typer.echo(f"{target} is in use again.", err=True)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    import orjson

    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _print_table(rows: list[dict[str, Any]]) -> None:
    from headgate_gateway.commands.tables import show

    columns = (
        "worker",
        "pool",
        "target",
        "state",
        "in flight",
        "first token",
        "probe",
        "last fault",
        "disabled until",
        "why",
    )
    show(
        columns,
        [
            (
                str(row["pid"] or ""),
                row["pool"],
                row["target"],
                row["state"],
                str(row["in_flight"]),
                f"{row['first_token_s']:.2f} s" if row["first_token_s"] is not None else "",
                row["probe"],
                _fault(row),
                row["until"] or "",
                row["why"],
            )
            for row in rows
        ],
        right=("in flight", "first token"),
    )


def _fault(row: dict[str, Any]) -> str:
    if not row["last_fault"]:
        return ""
    ago = max(0, time.time_ns() - row["last_fault_unix_ns"]) / 1e9
    return f"{row['last_fault']}, {ago:.0f} s ago"
