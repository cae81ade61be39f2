"""``headgate targets``: how the models do, and taking one out of use for a while."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from headgate_gateway.commands.common import ConfigOption, JsonOption, settings_of

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+)([smhd])")
LONGEST_S = 30 * 86400


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
    from headgate_gateway.operations.disabled import disabled
    from headgate_gateway.operations.live import workers

    settings = settings_of(config)
    store = Store.open(settings.store.url)
    try:
        out = {row.name: row for row in disabled(store)}
    finally:
        store.close()
    rows = [{"pid": w["pid"], **row} for w in workers(settings.data_dir) for row in w["targets"]]
    if not rows:
        rows = [
            _unseen(pool.name, f"{t.provider}/{t.model}")
            for pool in settings.pools
            for t in pool.targets
        ]
    for row in rows:
        found = out.get(row["target"])
        row["state"] = "disabled" if found else row["state"]
        row["why"] = found.why if found else ""
        row["until"] = moment(found.until_unix_ns) if found else None
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
    from headgate_core.store import Store
    from headgate_gateway.operations import disabled

    settings = settings_of(config)
    provider, model = _known(settings, target)
    seconds = _seconds(for_)
    if not why.strip():
        raise typer.BadParameter("say why", param_hint="--why")
    store = Store.open(settings.store.url)
    try:
        row = disabled.disable(store, provider, model, seconds, why.strip())
        left = {r.name for r in disabled.disabled(store)}
    finally:
        store.close()
    typer.echo(f"{target} is out of use until {moment(row.until_unix_ns)}.", err=True)
    for pool in settings.pools:
        names = {f"{t.provider}/{t.model}" for t in pool.targets}
        if target in names and names <= left:
            typer.echo(
                f"Pool {pool.name} has no other target: it is still used rather than none.",
                err=True,
            )


def enable(
    target: Annotated[str, typer.Argument(metavar="PROVIDER/MODEL")], config: ConfigOption = None
) -> None:
    """Put a target back into use before its time."""
    from headgate_core.store import Store
    from headgate_gateway.operations import disabled

    settings = settings_of(config)
    provider, _, model = target.partition("/")
    store = Store.open(settings.store.url)
    try:
        disabled.enable(store, provider, model)
    finally:
        store.close()
    typer.echo(f"{target} is in use again.", err=True)


def moment(unix_ns: int) -> str:
    """A point in time (UTC), to the second."""
    return datetime.fromtimestamp(unix_ns // 10**9, UTC).isoformat()


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    import orjson

    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _known(settings: Any, target: str) -> tuple[str, str]:
    from headgate_core.errors import ConfigurationError
    from headgate_core.plugins import unknown

    pairs = {(t.provider, t.model) for pool in settings.pools for t in pool.targets}
    for provider, model in pairs:
        if f"{provider}/{model}" == target:
            return provider, model
    names = sorted(f"{provider}/{model}" for provider, model in pairs)
    raise ConfigurationError(unknown("target", target, names))


def _seconds(text: str) -> float:
    found = _DURATION.fullmatch(text)
    seconds = int(found[1]) * UNITS[found[2]] if found else 0
    if not 0 < seconds <= LONGEST_S:
        raise typer.BadParameter(
            f"{text!r} is no duration such as 30s, 15m, 2h or 1d (30 days at most)",
            param_hint="--for",
        )
    return seconds


def _unseen(pool: str, target: str) -> dict[str, Any]:
    return {
        "pid": None,
        "pool": pool,
        "target": target,
        "state": "no worker",
        "in_flight": 0,
        "first_token_s": None,
        "last_fault": "",
        "last_fault_unix_ns": 0,
        "probe": "",
    }


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
