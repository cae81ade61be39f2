"""``headgate traces``: which calls there were, and what happened in one of them."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_gateway.commands.common import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from headgate_core.store import Store
    from headgate_core.store.calls import CallSummary


def register(app: typer.Typer) -> None:
    """Add ``traces list`` and ``traces show``."""
    group = typer.Typer(help="Recorded calls: list them, show one.", no_args_is_help=True)
    group.command("list")(list_)
    group.command("show")(show)
    app.add_typer(group, name="traces")


class SourceName(StrEnum):
    """Where a call came from."""

    SERVE = "serve"
    EVAL = "eval"


class OutcomeName(StrEnum):
    """How a call ended."""

    OK = "ok"
    REFUSED = "refused"
    ERROR = "error"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


def list_(  # noqa: PLR0913 - each is an option of the command line
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    route: Annotated[str, typer.Option(help="Only calls of this route.")] = "",
    outcome: Annotated[
        OutcomeName | None, typer.Option(help="Only calls that ended in this way.")
    ] = None,
    source: Annotated[
        SourceName | None, typer.Option(help="Only calls of applications, or of eval runs.")
    ] = None,
    before: Annotated[str, typer.Option(help="Only calls before this one: the next page.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the latest calls, newest first."""
    from headgate_core.store.calls import Filter, list_calls

    wanted = Filter(
        route=route,
        outcome=outcome.value if outcome else "",
        source=source.value if source else "",
    )
    store = _open(config)
    try:
        calls = list_calls(store, limit, before, wanted)
    finally:
        store.close()
    if as_json:
        _print_json([_document(call) for call in calls])
    elif not calls:
        typer.echo("No calls are recorded that match.", err=True)
    else:
        _print_table(calls)
        if len(calls) == limit:
            typer.echo(f"Earlier ones: --before {calls[-1].call_id}", err=True)


def show(
    call_id: Annotated[str, typer.Argument(help="A call's id, or an unambiguous beginning.")],
    spans: Annotated[
        bool,
        typer.Option("--spans", help="Its OpenTelemetry spans; with --json as OTLP/JSON."),
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one call: its waterfall, attempts, money, verdicts, citations, scores and feedback."""
    from headgate_core.store.calls import get_call

    store = _open(config)
    try:
        if spans:
            _show_spans(store, call_id, as_json)
            return
        call = get_call(store, call_id)
    finally:
        store.close()
    if as_json:
        _print_json({**call.record, "scores": call.scores, "feedback": call.feedback})
        return
    from headgate_gateway.commands.tables import console
    from headgate_gateway.commands.waterfall import render

    screen = console()
    for part in render(call, screen.width):
        screen.print(part)


def _show_spans(store: Store, call_id: str, as_json: bool) -> None:
    from headgate_core.store.call_spans import get_spans

    found = get_spans(store, call_id)
    if found.derived:
        typer.echo(
            "The store holds no spans of this call; these were made from its record just now.",
            err=True,
        )
    if as_json:
        from headgate_core.telemetry.otlp_json import document
        from headgate_core.telemetry.profile import profile

        _print_json(document(found.spans, profile()))
        return
    from headgate_gateway.commands.span_tree import tree
    from headgate_gateway.commands.tables import console

    console().print(tree(found.spans))


def _open(config: str | None) -> Store:
    from headgate_core.store import Store

    return Store.open(settings_of(config).store.url)


def _document(call: CallSummary) -> dict[str, Any]:
    from headgate_core.money import usd_text

    return {**call._asdict(), "cost_usd": usd_text(call.cost_pico)}


def _print_json(value: Any) -> None:
    import orjson

    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _print_table(calls: list[CallSummary]) -> None:
    from headgate_gateway.commands.tables import show as show_table
    from headgate_gateway.commands.waterfall import money

    columns = (
        "time",
        "call id",
        "source",
        "route",
        "outcome",
        "target",
        "tokens",
        "cost USD",
        "ms",
    )
    rows = [
        (
            f"{datetime.fromtimestamp(call.started_unix_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S}",
            call.call_id,
            call.source,
            call.route,
            call.error_code if call.outcome == "error" else call.outcome,
            call.target,
            f"{call.input_tokens}+{call.output_tokens}",
            money(call.cost_pico, call.unpriced),
            f"{call.duration_ms:.1f}",
        )
        for call in calls
    ]
    show_table(columns, rows, right=("tokens", "cost USD", "ms"))
