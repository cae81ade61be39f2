from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate_core.types import Score
from headgate_evals import gates
from headgate_evals.results import CaseResult, GateResult, Outcome
from headgate_evals.statistics import percentile
from headgate_evals.suite import SuiteSettings


def suite(*found: dict[str, Any], **members: Any) -> SuiteSettings:
    cases = [{"id": "a", "input": "Why"}]
    given = {"name": "s", "run": {"route": "r"}, "cases": cases, "gates": list(found)}
    return SuiteSettings.model_validate({**given, **members})


def result(outcome: Outcome, *scores: Score, **members: Any) -> CaseResult:
    return CaseResult(case_id="a", repeat=1, outcome=outcome, scores=scores, **members)


def scored(*values: float | None, metric: str = "latency.total_s") -> list[CaseResult]:
    return [
        result("passed", Score(metric, value, "" if value is not None else "no_context"))
        for value in values
    ]


def only(settings: SuiteSettings, results: list[CaseResult]) -> GateResult:
    return gates.judge(settings, results)[0]


def code(settings: SuiteSettings, results: list[CaseResult], stopped: Any = "") -> int:
    judged = gates.judge(settings, results)
    incomplete = gates.incomplete_because(settings, results, judged, stopped)
    return gates.exit_code(settings, judged, stopped, incomplete)


P95 = {"metric": "latency.total_s", "stat": "p95", "max": 8}


@pytest.mark.parametrize(
    ("stat", "value"), [("mean", 4.0), ("p50", 3.0), ("p95", 8.8), ("max", 10.0), ("sum", 20.0)]
)
def test_every_statistic_of_a_gate(stat: str, value: float) -> None:
    gate = {"metric": "latency.total_s", "stat": stat, "max": 100}
    found = only(suite(gate), scored(1, 2, 3, 4, 10))
    assert found.value == pytest.approx(value)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 1))
def test_a_percentile_lies_between_least_and_greatest(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert min(values) <= found or math.isclose(found, min(values))
    assert found <= max(values) or math.isclose(found, max(values))


@pytest.mark.parametrize(("passed", "expected"), [(18, 1), (19, 0), (20, 0)])
def test_a_gate_holds_at_its_bound_and_fails_just_below(passed: int, expected: int) -> None:
    results = [result("passed")] * passed + [result("failed")] * (20 - passed)
    assert code(suite({"metric": "pass_rate", "min": 0.95}), results) == expected


def test_without_a_gate_on_the_pass_rate_every_case_must_pass() -> None:
    results = [result("passed"), result("failed")]
    settings = suite({"metric": "cost.usd", "max": 1})
    results = [
        result("passed", Score("cost.usd", 0.5)),
        result("failed", Score("cost.usd", 0.5)),
    ]
    assert gates.judge(settings, results)[1].default
    assert code(settings, results) == 1
    assert code(suite({"metric": "pass_rate", "min": 0.5}), results) == 0


def test_cases_without_assertions_are_no_part_of_the_pass_rate() -> None:
    results = [result("passed"), result("unscored", asserted=False)]
    found = only(suite({"metric": "pass_rate", "min": 1}), results)
    assert (found.value, found.scored, found.of) == (1.0, 1, 1)


def test_a_slice_takes_the_cases_with_its_tag_alone() -> None:
    results = [result("failed"), result("passed", tags=("hard",))]
    found = only(suite({"metric": "pass_rate", "slice": "hard", "min": 1}), results)
    assert (found.value, found.of, found.outcome) == (1.0, 1, "passed")


def test_a_gate_whose_slice_was_not_chosen_is_skipped_and_says_so() -> None:
    settings = suite(
        {"metric": "pass_rate", "slice": "hard", "min": 1}, {"metric": "pass_rate", "min": 1}
    )
    assert only(settings, [result("passed")]).outcome == "skipped"
    assert code(settings, [result("passed")]) == 0


def test_errors_leave_the_pass_rate_alone_and_make_the_run_incomplete() -> None:
    results = [result("passed")] * 9 + [result("error")]
    settings = suite({"metric": "pass_rate", "min": 1})
    found = only(settings, results)
    assert (found.value, found.scored, found.of, found.outcome) == (1.0, 9, 10, "incomplete")
    assert code(settings, results) == 3
    assert code(suite({"metric": "pass_rate", "min": 1}, coverage=0.9), results) == 0


def test_unscored_cases_do_not_lift_a_mean_silently() -> None:
    settings = suite({"metric": "latency.total_s", "max": 5})
    results = scored(1.0, 1.0, None)
    found = only(settings, results)
    assert (found.value, found.scored, found.of) == (1.0, 2, 3)
    assert (found.outcome, found.reason) == ("incomplete", "1 no_context")
    assert code(settings, results) == 3


def test_a_gate_on_a_metric_that_was_never_scored_is_incomplete_at_any_coverage() -> None:
    results = scored(None, None)
    assert code(suite({"metric": "latency.total_s", "max": 5}, coverage=0), results) == 3


def test_a_member_that_does_not_exist_is_named_with_those_that_do() -> None:
    found = only(suite({"metric": "latency.totl", "max": 5}), scored(1.0))
    assert found.outcome == "incomplete"
    assert "known: latency.total_s" in found.reason


def test_incomplete_may_be_allowed_and_then_a_missed_bound_still_fails() -> None:
    settings = suite({"metric": "latency.total_s", "max": 5}, when_incomplete="pass")
    assert code(settings, scored(1.0, None)) == 0
    assert code(settings, scored(9.0, None)) == 1


@pytest.mark.parametrize(
    ("stopped", "expected"), [("interrupted", 130), ("budget", 4), ("deadline", 3), ("", 1)]
)
def test_the_first_exit_code_that_applies_wins(stopped: str, expected: int) -> None:
    results = [result("failed")] * 99
    assert code(suite(), results, stopped) == expected


def test_a_metric_that_broke_is_counted_as_unscored_for_all_its_members() -> None:
    results = [
        result("passed", Score("latency.total_s", 1.0)),
        result("passed", Score("latency", None, "metric_error")),
    ]
    found = {s.metric: s for s in gates.summaries(results)}
    assert set(found) == {"pass_rate", "latency.total_s"}
    assert (found["latency.total_s"].scored, found["latency.total_s"].of) == (1, 2)
    assert found["latency.total_s"].reasons == {"metric_error": 1}
