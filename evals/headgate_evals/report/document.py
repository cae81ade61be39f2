"""A run as plain JSON values."""

from __future__ import annotations

from typing import Any, get_args

from headgate_core.money import usd_text
from headgate_evals.results import CaseResult, GateResult, Outcome, Run, Summary
from headgate_evals.statistics import STATISTICS


def document_of(run: Run) -> dict[str, Any]:
    """The whole run: what ``--json`` prints. Holds the answers. Money is exact text in dollars."""
    return {**summary_of(run), "cases": [_case(result) for result in run.results]}


def summary_of(run: Run) -> dict[str, Any]:
    """The run without its cases; holds no text of a call."""
    return {
        "run_id": run.run_id,
        "suite": run.suite,
        "route": run.route,
        "verdict": run.verdict,
        "exit_code": run.exit_code,
        "stopped": run.stopped,
        "incomplete": run.incomplete,
        "started_unix_ns": run.started_unix_ns,
        "duration_s": round(run.duration_s, 3),
        "cost_usd": usd_text(run.cost_pico),
        "config_hash": run.config_hash,
        "data_hash": run.data_hash,
        "counts": {outcome: run.count(outcome) for outcome in get_args(Outcome)},
        "gates": [_gate(gate) for gate in run.gates],
        "metrics": [_metric(summary) for summary in run.metrics],
        "notes": list(run.notes),
    }


def _gate(result: GateResult) -> dict[str, Any]:
    return {
        "metric": result.gate.metric,
        "stat": result.gate.stat,
        "slice": result.gate.slice,
        "min": result.gate.min,
        "max": result.gate.max,
        "value": result.value,
        "scored": result.scored,
        "of": result.of,
        "outcome": result.outcome,
        "missed": result.missed,
        "default": result.default,
        "reason": result.reason,
    }


def _metric(summary: Summary) -> dict[str, Any]:
    statistics = {
        name: statistic(summary.values) if summary.values else None
        for name, statistic in STATISTICS.items()
    }
    return {
        "metric": summary.metric,
        "scored": summary.scored,
        "of": summary.of,
        "unscored": dict(summary.reasons),
        **statistics,
    }


def _case(result: CaseResult) -> dict[str, Any]:
    return {
        "id": result.case_id,
        "repeat": result.repeat,
        "outcome": result.outcome,
        "reason": result.reason,
        "call_id": result.call_id,
        "tags": list(result.tags),
        "answer": result.answer,
        "total_s": result.total_s,
        "cost_usd": None if result.unpriced else usd_text(result.cost_pico),
        "asserts": [
            {"type": a.type, "outcome": a.outcome, "reason": a.reason} for a in result.asserts
        ],
        "scores": [
            {"metric": s.metric, "value": s.value, "unscored": s.unscored, "version": s.version}
            for s in result.scores
        ],
    }
