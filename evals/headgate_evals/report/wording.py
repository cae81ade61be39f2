"""Numbers and bounds in words; shared by the reports that people read."""

from __future__ import annotations

from headgate_evals.results import CaseResult, GateResult


def number(value: float | None) -> str:
    """Four significant digits, two of small numbers, or a dash where there is no value."""
    if value is None:
        return "-"
    return f"{value:.2g}" if abs(value) < 0.01 else f"{value:.4g}"


def gate_name(result: GateResult) -> str:
    """``latency.total_s p95 [tag]``."""
    gate = result.gate
    stat = "" if gate.stat == "mean" else f" {gate.stat}"
    part = f" [{gate.slice}]" if gate.slice else ""
    return f"{gate.metric}{stat}{part}" + (" (default)" if result.default else "")


def bounds(result: GateResult) -> str:
    """``>= 0.95``, ``<= 8``, or both."""
    gate = result.gate
    low = [f">= {gate.min:g}"] if gate.min is not None else []
    high = [f"<= {gate.max:g}"] if gate.max is not None else []
    return " and ".join(low + high)


def coverage(scored: int, of: int) -> str:
    """``24 of 25``."""
    return f"{scored} of {of}"


def case_name(result: CaseResult, repeats: bool) -> str:
    """The id, with the number of the repeat where there are several."""
    return f"{result.case_id} [repeat {result.repeat}]" if repeats else result.case_id


def excerpt(text: str, length: int = 200) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
