"""From results to a verdict: metrics with their coverage, gates, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from headgate_evals.results import CaseResult, GateResult, Stopped, Summary
from headgate_evals.scoring import family
from headgate_evals.statistics import STATISTICS
from headgate_evals.suite import PASS_RATE, GateSettings, SuiteSettings

DEFAULT_GATE = GateSettings(metric=PASS_RATE, min=1.0)
"""Holds when a suite states no gate on the pass rate: an assertion is there to be kept."""


def summarize(metric: str, results: Iterable[CaseResult]) -> Summary:
    """The values of ``metric`` over ``results``, and why the others have none."""
    values: list[float] = []
    reasons: Counter[str] = Counter()
    of = 0
    for result in results:
        if metric == PASS_RATE and not result.asserted:
            continue
        of += 1
        value, reason = _value(metric, result)
        if value is None:
            reasons[reason] += 1
        else:
            values.append(value)
    return Summary(metric, values, of, dict(reasons))


def _value(metric: str, result: CaseResult) -> tuple[float | None, str]:
    if result.outcome == "not_run":
        return None, "not_run"
    if metric == PASS_RATE:
        passed = float(result.outcome == "passed")
        return (passed, "") if result.finished else (None, "error")
    for name in (metric, family(metric)):
        for score in result.scores:
            if score.metric == name:
                return score.value, score.unscored
    return None, "no_such_member"


def summaries(results: Sequence[CaseResult]) -> list[Summary]:
    """The pass rate and every metric that was computed, in the order of their first score."""
    names = list(dict.fromkeys(score.metric for r in results for score in r.scores))
    with_members = {family(name) for name in names if family(name) != name}
    asserted = [PASS_RATE] if any(result.asserted for result in results) else []
    chosen = asserted + [name for name in names if name not in with_members]
    return [summarize(name, results) for name in chosen]


def judge(suite: SuiteSettings, results: Sequence[CaseResult]) -> list[GateResult]:
    """Every gate of the suite, and the one that holds by default."""
    judged = [_judge(gate, suite, results) for gate in suite.gates]
    named = any(gate.metric == PASS_RATE for gate in suite.gates)
    if not named and any(result.asserted for result in results):
        judged.append(_judge(DEFAULT_GATE, suite, results, default=True))
    return judged


def _judge(
    gate: GateSettings, suite: SuiteSettings, results: Sequence[CaseResult], default: bool = False
) -> GateResult:
    chosen = [r for r in results if gate.slice is None or gate.slice in r.tags]
    summary = summarize(gate.metric, chosen)
    value = STATISTICS[gate.stat](summary.values) if summary.values else None
    missed = value is not None and _outside(value, gate)
    incomplete = _too_few(summary.scored, summary.of, suite.coverage)
    reason = _reason(summary, results) if summary.scored < summary.of else ""
    return GateResult(gate, value, summary.scored, summary.of, missed, incomplete, reason, default)


def _outside(value: float, gate: GateSettings) -> bool:
    too_low = gate.min is not None and value < gate.min
    return too_low or (gate.max is not None and value > gate.max)


def _too_few(scored: int, of: int, coverage: float) -> bool:
    return of > 0 and (scored == 0 or scored / of < coverage)


def _reason(summary: Summary, results: Sequence[CaseResult]) -> str:
    """Why some are not scored; for a member that does not exist, those that do."""
    if "no_such_member" in summary.reasons:
        names = {s.metric for r in results for s in r.scores if s.metric != family(s.metric)}
        known = sorted(name for name in names if family(name) == family(summary.metric))
        return f"there is no such metric; known: {', '.join(known) or 'none'}"
    return ", ".join(f"{count} {reason}" for reason, count in summary.reasons.items())


def incomplete_because(
    suite: SuiteSettings,
    results: Sequence[CaseResult],
    gates: Sequence[GateResult],
    stopped: Stopped,
) -> str:
    """Why the run cannot be judged as a whole; empty when it can."""
    finished = sum(result.finished for result in results)
    if stopped:
        return f"{stopped}, {finished} of {len(results)} finished"
    if _too_few(finished, len(results), suite.coverage):
        return f"{finished} of {len(results)} finished, coverage must be {suite.coverage:g}"
    for one in gates:
        if one.outcome == "incomplete":
            return (
                f"{one.gate.metric} was scored on {one.scored} of {one.of}, "
                f"coverage must be {suite.coverage:g}"
            )
    return ""


def exit_code(
    suite: SuiteSettings, gates: Sequence[GateResult], stopped: Stopped, incomplete: str
) -> int:
    """The first that applies of 130, 4, 3, 1 and 0; errors of usage (2) never get here."""
    if stopped == "interrupted":
        return 130
    if stopped == "budget":
        return 4
    if incomplete and suite.when_incomplete == "fail":
        return 3
    return 1 if any(gate.missed for gate in gates) else 0
