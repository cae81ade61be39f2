"""The report that a person reads after a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate_core.money import usd_text
from headgate_evals.report.wording import (
    bounds,
    case_name,
    coverage,
    excerpt,
    gate_name,
    number,
)
from headgate_evals.results import CaseResult, Run
from headgate_evals.statistics import STATISTICS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SHOWN = 20
"""How many cases that did not pass are shown; ``--json`` has all."""
_COLORS = {0: "green", 1: "red", 3: "yellow", 4: "yellow", 130: "yellow"}


def print_run(run: Run, console: Console) -> None:
    """Print verdict, gates, metrics, the cases that did not pass, and what the run took."""
    from rich.text import Text

    console.print(Text(run.verdict, style=f"bold {_COLORS[run.exit_code]}"))
    console.print(_gates(run))
    console.print(_metrics(run))
    _print_cases(run, console)
    for note in run.notes:
        console.print(Text(f"Note: {note}"))
    console.print(
        Text(
            f"run {run.run_id} · route {run.route} · {len(run.results)} calls · "
            f"{run.duration_s:.1f} s · ${usd_text(run.cost_pico)}"
        ),
        soft_wrap=True,
    )


def _table(title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index < len(columns) - 1)
    return table


def _gates(run: Run) -> Table:
    table = _table("Gates", "gate", "bound", "value", "scored", "outcome", "unscored")
    for gate in run.gates:
        table.add_row(
            *_plain(
                gate_name(gate),
                bounds(gate),
                number(gate.value),
                coverage(gate.scored, gate.of),
                gate.outcome,
                gate.reason,
            )
        )
    return table


def _metrics(run: Run) -> Table:
    table = _table("Metrics", "metric", "mean", "p50", "p95", "scored", "unscored")
    for metric in run.metrics:
        values = [
            number(STATISTICS[stat](metric.values)) if metric.values else "-"
            for stat in ("mean", "p50", "p95")
        ]
        reasons = ", ".join(f"{count} {reason}" for reason, count in metric.reasons.items())
        scored = coverage(metric.scored, metric.of)
        table.add_row(*_plain(metric.metric, *values, scored, reasons))
    return table


def _plain(*cells: str) -> tuple[str, ...]:
    """Cells whose square brackets are no markup."""
    from rich.markup import escape

    return tuple(escape(cell) for cell in cells)


def _print_cases(run: Run, console: Console) -> None:
    from rich.text import Text

    wrong = [result for result in run.results if result.outcome in ("failed", "error")]
    repeats = any(result.repeat > 1 for result in run.results)
    for result in wrong[:SHOWN]:
        name = case_name(result, repeats)
        console.print(Text(f"{result.outcome.upper()} {name}", style="bold"))
        console.print(Text("\n".join(_lines(result))), soft_wrap=True)
    if len(wrong) > SHOWN:
        console.print(f"… and {len(wrong) - SHOWN} more; --json has all.")


def _lines(result: CaseResult) -> list[str]:
    lines = [f"  {result.reason}"]
    if result.answer:
        lines.append(f"  answer: {excerpt(result.answer)}")
    return [*lines, f"  call: {result.call_id or 'none'}"]
