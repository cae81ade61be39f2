"""The report for a pull request: one comment, found again by its hidden marker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headgate_core.money import usd_text
from headgate_evals.report.wording import (
    bounds,
    case_name,
    coverage,
    excerpt,
    gate_name,
    number,
)
from headgate_evals.results import CaseResult, Outcome, Run
from headgate_evals.statistics import STATISTICS

SHOWN = 10
"""How many cases of each outcome are listed."""


def markdown(run: Run) -> str:
    """Verdict, gates, metrics, failing cases, errors, cost; ends with a line end."""
    blocks = [
        f"<!-- headgate-eval:{run.suite} -->",
        f"## {_cell(run.suite)}: {_cell(run.verdict)}",
        "\n".join(_gates(run)),
        "\n".join(_metrics(run)),
        *_cases(run, "failed", "Failing cases"),
        *_cases(run, "error", "Errors"),
        *(f"Note: {_cell(note)}" for note in run.notes),
        f"Run `{run.run_id}` · route `{run.route}` · {len(run.results)} calls · "
        f"{run.duration_s:.1f} s · ${usd_text(run.cost_pico)} · "
        f"configuration `{run.config_hash}` · data `{run.data_hash[:12]}`",
    ]
    return "\n\n".join(blocks) + "\n"


def _gates(run: Run) -> Iterator[str]:
    yield from _head("gate", "bound", "value", "scored", "outcome")
    for gate in run.gates:
        scored = coverage(gate.scored, gate.of)
        outcome = f"**{gate.outcome}**" if gate.outcome != "passed" else gate.outcome
        yield _row(gate_name(gate), bounds(gate), number(gate.value), scored, outcome)


def _metrics(run: Run) -> Iterator[str]:
    yield from _head("metric", "mean", "p50", "p95", "scored")
    for metric in run.metrics:
        values = [
            number(STATISTICS[stat](metric.values)) if metric.values else "-"
            for stat in ("mean", "p50", "p95")
        ]
        yield _row(metric.metric, *values, coverage(metric.scored, metric.of))


def _cases(run: Run, outcome: Outcome, title: str) -> Iterator[str]:
    found = [result for result in run.results if result.outcome == outcome]
    if not found:
        return
    yield f"### {title} ({len(found)})"
    repeats = any(result.repeat > 1 for result in run.results)
    yield "\n".join(_lines(found[:SHOWN], repeats))
    if len(found) > SHOWN:
        yield f"… and {len(found) - SHOWN} more."


def _lines(found: Sequence[CaseResult], repeats: bool) -> Iterator[str]:
    for result in found:
        reason = _cell(excerpt(result.reason, 300))
        yield f"- **{_cell(case_name(result, repeats))}**: {reason} (call `{result.call_id}`)"


def _head(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield _row(*("---" for _ in names))


def _row(*cells: str) -> str:
    plain = (cell if cell.startswith("**") or cell == "---" else _cell(cell) for cell in cells)
    return f"| {' | '.join(plain)} |"


def _cell(text: str) -> str:
    """Text that can neither end a cell nor become markup of its own."""
    for sign in "\\`|<>*_[]":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
