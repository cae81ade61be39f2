from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fake_eval_gateway import Answer, FakeGateway, settings_of, tools_of
from sqlalchemy import select

from headgate_core.errors import Blocked, ConfigurationError, UpstreamTimeout
from headgate_core.store.tables import run_cases, runs
from headgate_core.types import Score
from headgate_evals.cases import Suite, load_suite
from headgate_evals.results import CaseResult, Run
from headgate_evals.runner import Runner

CITES = '[{type: cites, section: "Streams"}]'


def suite_of(tmp_path: Path, *cases: str, **members: Any) -> Suite:
    lines = [
        "name: s",
        "run: {route: docs}",
        *(f"{k}: {json.dumps(v)}" for k, v in members.items()),
    ]
    path = tmp_path / "suite.yaml"
    path.write_text("\n".join([*lines, "cases:", *(f"  - {case}" for case in cases)]) + "\n")
    return load_suite(path)


class Bench:
    """A runner over a fake gateway, and what it left behind."""

    def __init__(self, tmp_path: Path, suite: Suite, answers: dict[str, Any]) -> None:
        tools, self.kept = tools_of(tmp_path, settings_of())
        self.store = tools.store
        self.gateway = FakeGateway(tools, answers)
        self.seen: list[CaseResult] = []
        self.runner = Runner(self.gateway, suite, self.seen.append)

    def run(self) -> Run:
        return asyncio.run(self.runner.run())

    def rows(self) -> list[tuple[str, int, str]]:
        with self.store.begin() as db:
            columns = (run_cases.c.case_id, run_cases.c.repeat, run_cases.c.outcome)
            return [tuple(row) for row in db.execute(select(*columns).order_by(*columns))]


def outcomes(run: Run) -> list[str]:
    return [result.outcome for result in run.results]


def test_asserts_decide_about_each_case_and_gates_about_the_run(tmp_path: Path) -> None:
    suite = suite_of(
        tmp_path,
        "{id: good, input: a, assert: [{type: cites}]}",
        f"{{id: bad, input: b, assert: {CITES}}}",
        "{id: alive, input: c, smoke: true}",
    )
    bench = Bench(tmp_path, suite, {})
    run = bench.run()
    assert outcomes(run) == ["passed", "failed", "passed"]
    assert (
        run.results[1].reason
        == "cites: the answer cites docs/retries.md, and not section 'Streams'"
    )
    assert run.exit_code == 1
    assert run.gates[0].value == pytest.approx(2 / 3)
    assert run.verdict == "FAILED: 2 of 3 cases passed, 0 of 1 gates held"
    assert set(bench.kept) == {result.call_id for result in run.results}


def test_the_body_is_the_routes_own_with_messages_and_inputs(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "{id: a, input: Why, inputs: {tone: dry}, smoke: true}")
    bench = Bench(tmp_path, suite, {})
    bench.run()
    messages = [{"role": "user", "content": "Why"}]
    assert bench.gateway.bodies == [
        {"model": "docs", "messages": messages, "headgate": {"inputs": {"tone": "dry"}}}
    ]


@pytest.mark.parametrize("type_", ["is-refusal", "not-is-refusal"])
def test_a_call_that_failed_is_an_error_and_no_assertion_turns_it(
    tmp_path: Path, type_: str
) -> None:
    suite = suite_of(tmp_path, f"{{id: a, input: b, assert: [{{type: {type_}}}]}}")
    run = Bench(tmp_path, suite, {"b": Answer("", error=UpstreamTimeout("first_token_s"))}).run()
    assert (outcomes(run), run.exit_code) == (["error"], 3)
    assert run.results[0].reason == "upstream_timeout: first_token_s"
    assert {(s.metric, s.unscored) for s in run.results[0].scores} == {
        ("latency", "call_failed"),
        ("cost", "call_failed"),
    }


def test_a_guards_refusal_as_an_error_is_a_refusal_and_no_error(tmp_path: Path) -> None:
    suite = suite_of(
        tmp_path, "{id: a, input: b, assert: [{type: is-refusal}, {type: contains, value: 'No.'}]}"
    )
    run = Bench(tmp_path, suite, {"b": Answer("", error=Blocked("No."))}).run()
    assert (outcomes(run), run.exit_code) == (["passed"], 0)


def test_what_an_assertion_cannot_tell_is_an_error_unless_another_one_fails(tmp_path: Path) -> None:
    cost = "{type: cost, threshold: 1}"
    suite = suite_of(
        tmp_path,
        f"{{id: a, input: a, assert: [{cost}]}}",
        f"{{id: b, input: a, assert: [{cost}, {{type: contains, value: zzz}}]}}",
    )
    run = Bench(tmp_path, suite, {"a": Answer(unpriced=True)}).run()
    assert outcomes(run) == ["error", "failed"]
    assert run.notes == ["2 calls have no known price: the cost counts the priced ones alone."]


def test_results_stand_in_the_order_of_the_suite_and_each_repeat_is_a_row(tmp_path: Path) -> None:
    cases = [f"{{id: c{n}, input: a, smoke: true}}" for n in range(6)]
    bench = Bench(tmp_path, suite_of(tmp_path, *cases, repeats=2, concurrency=3), {})
    run = bench.run()
    expected = [(f"c{n}", repeat) for n in range(6) for repeat in (1, 2)]
    assert [(r.case_id, r.repeat) for r in run.results] == expected
    assert bench.rows() == [(*one, "passed") for one in expected]
    assert len({r.call_id for r in run.results}) == 12
    assert 1 < bench.gateway.most_running <= 3


def test_the_run_is_registered_before_its_first_case_and_closed_at_the_end(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "{id: a, input: a, smoke: true}", "{id: b, input: b, smoke: true}")
    bench = Bench(tmp_path, suite, {"a": Answer(hang=True)})

    def row() -> Any:
        with bench.store.begin() as db:
            return db.execute(select(runs)).one()

    async def interrupted() -> Run:
        task = asyncio.create_task(bench.runner.run())
        await bench.gateway.started.wait()
        first = await asyncio.to_thread(row)
        assert (first.suite, first.finished_unix_ns, first.exit_code) == ("s", None, None)
        while not bench.seen:
            await asyncio.sleep(0)
        task.cancel()
        return await task

    run = asyncio.run(interrupted())
    assert (run.exit_code, outcomes(run)) == (130, ["not_run", "passed"])
    assert bench.rows() == [("b", 1, "passed")]
    assert row().exit_code == 130
    assert json.loads(row().summary)["counts"]["not_run"] == 1


def test_no_text_of_a_call_is_written_to_the_store(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "{id: a, input: b, assert: [{type: not-is-refusal}]}")
    bench = Bench(tmp_path, suite, {"b": Answer("I cannot help with that request, Jane Roe.")})
    assert outcomes(bench.run()) == ["failed"]
    with bench.store.begin() as db:
        rows = [*db.execute(select(runs)).all(), *db.execute(select(run_cases)).all()]
    assert "cannot help" not in repr(rows)
    assert "Jane" not in repr(rows)


def test_a_spent_budget_stops_the_run_with_what_it_has(tmp_path: Path) -> None:
    cases = [f"{{id: c{n}, input: a, smoke: true}}" for n in range(10)]
    suite = suite_of(tmp_path, *cases, concurrency=1, budget={"usd": 0.003})
    run = Bench(tmp_path, suite, {"a": Answer(cost_pico=10**9)}).run()
    assert (run.exit_code, run.stopped, run.cost_pico) == (4, "budget", 3 * 10**9)
    assert (run.count("passed"), run.count("not_run")) == (3, 7)


def test_the_deadline_ends_a_run_that_hangs(tmp_path: Path) -> None:
    suite = suite_of(
        tmp_path,
        "{id: a, input: a, smoke: true}",
        "{id: b, input: b, smoke: true}",
        budget={"minutes": 0.005},
        coverage=0.1,
    )
    run = Bench(tmp_path, suite, {"a": Answer(hang=True)}).run()
    assert (outcomes(run), run.exit_code) == (["not_run", "passed"], 3)
    assert run.incomplete == "deadline, 1 of 2 finished"


def test_a_case_without_assertion_is_scored_and_no_part_of_the_pass_rate(tmp_path: Path) -> None:
    suite = suite_of(
        tmp_path,
        "{id: a, input: a}",
        metrics=["lexical_grounding"],
        gates=[{"metric": "lexical_grounding", "min": 0.9}],
    )
    run = Bench(tmp_path, suite, {}).run()
    assert (outcomes(run), run.exit_code) == (["unscored"], 0)
    assert run.results[0].reason == "no_assertion"
    assert [(m.metric, list(m.values)) for m in run.metrics] == [("lexical_grounding", [1.0])]
    assert isinstance(run.results[0].scores[0], Score)


def test_an_unknown_metric_ends_before_the_first_call(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, "{id: a, input: a, smoke: true}", metrics=["latncy"])
    bench = Bench(tmp_path, suite, {})
    with pytest.raises(ConfigurationError, match="latncy"):
        bench.run()
    assert bench.gateway.bodies == []


def test_a_choice_of_cases_is_said_aloud(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, *(f"{{id: c{n}, input: a, smoke: true}}" for n in range(4)))
    run = Bench(tmp_path, suite.chosen(3, None, None), {}).run()
    assert run.notes == ["3 of the suite's 4 cases were chosen."]
