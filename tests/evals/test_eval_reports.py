from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from headgate_core.errors import ConfigurationError
from headgate_core.types import Score
from headgate_evals import gates
from headgate_evals.report import files
from headgate_evals.report.junit import BODY_LENGTH, junit
from headgate_evals.report.markdown import markdown
from headgate_evals.report.terminal import print_run
from headgate_evals.results import AssertResult, CaseResult, Run
from headgate_evals.suite import SuiteSettings

FAILED = CaseResult(
    "bad|case",
    1,
    "failed",
    tags=("hard",),
    reason="cites: the answer cites nothing",
    call_id="call-2",
    answer="Just <trust> me.\x1b[31m\x00",
    asserts=[AssertResult("cites", "failed", "the answer cites nothing")],
    scores=[Score("cost.usd", None, "unpriced")],
    total_s=0.25,
    unpriced=True,
)
RESULTS = [
    CaseResult(
        "good",
        1,
        "passed",
        call_id="call-1",
        answer="Yes [1].",
        scores=[Score("cost.usd", 0.001)],
        total_s=1.5,
        cost_pico=10**9,
    ),
    FAILED,
    CaseResult("broken", 1, "error", reason="upstream_timeout: total_s", call_id="call-3"),
    CaseResult("late", 1, "not_run", reason="deadline"),
]


def run_of(results: list[CaseResult] | None = None, **members: Any) -> Run:
    results = RESULTS if results is None else results
    settings = SuiteSettings.model_validate(
        {
            "name": "answers",
            "run": {"route": "docs"},
            "cases": [{"id": "a", "input": "b"}],
            "gates": [
                {"metric": "pass_rate", "min": 0.95},
                {"metric": "pass_rate", "slice": "hard", "min": 0.5},
            ],
        }
    )
    judged = gates.judge(settings, results)
    incomplete = gates.incomplete_because(settings, results, judged, "")
    made = Run(
        run_id="run-1",
        suite="answers",
        route="docs",
        started_unix_ns=1,
        duration_s=2.0,
        config_hash="c0ffee",
        data_hash="d" * 64,
        results=results,
        gates=judged,
        metrics=gates.summaries(results),
        stopped="",
        incomplete=incomplete,
        exit_code=gates.exit_code(settings, judged, "", incomplete),
    )
    return replace(made, **members)


def printed(run: Run) -> str:
    out = io.StringIO()
    print_run(run, Console(file=out, width=120, highlight=False))
    return out.getvalue()


def test_the_terminal_begins_with_the_verdict_and_names_what_went_wrong() -> None:
    text = printed(run_of())
    assert text.startswith("INCOMPLETE: 1 of 4 cases passed, 0 of 2 gates held")
    for part in (
        "pass_rate [hard]",
        ">= 0.95",
        "2 of 4",
        "FAILED bad|case",
        "cites: the answer cites nothing",
        "call: call-2",
        "ERROR broken",
        "upstream_timeout: total_s",
        "1 unpriced",
        "4 calls · 2.0 s · $0.001",
    ):
        assert part in text


def test_nothing_but_plain_text_goes_to_a_file_or_pipe() -> None:
    assert "\x1b" not in printed(run_of([RESULTS[0]]))


def test_many_wrong_cases_are_cut_short_with_their_number() -> None:
    assert "and 5 more" in printed(run_of([FAILED] * 25))


def test_json_is_one_document_with_exact_money_and_every_case() -> None:
    document = json.loads(files.json_text(run_of()))
    assert document["exit_code"] == 3
    assert document["cost_usd"] == "0.001"
    assert [case["cost_usd"] for case in document["cases"]] == ["0.001", None, "0", "0"]
    assert document["counts"] == {
        "passed": 1,
        "failed": 1,
        "error": 1,
        "unscored": 0,
        "not_run": 1,
    }
    cost = next(m for m in document["metrics"] if m["metric"] == "cost.usd")
    assert (cost["scored"], cost["of"]) == (1, 4)
    assert document["gates"][1]["outcome"] == "failed"


def test_junit_keeps_failures_errors_and_what_was_not_run_apart() -> None:
    root = ET.fromstring(junit(run_of()))
    cases, gate_suite = root.findall("testsuite")
    counts = {k: cases.get(k) for k in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1"}
    assert gate_suite.get("errors") == "1"
    assert gate_suite.get("failures") == "1"
    assert root.get("tests") == "6"
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "cites: the answer cites nothing"
    assert failure.get("type") == "cites"
    assert "call: call-2" in (failure.text or "")


def test_junit_names_are_unique_also_with_repeats() -> None:
    results = [replace(RESULTS[0], repeat=n) for n in (1, 2)]
    cases = ET.fromstring(junit(run_of(results))).iter("testcase")
    names = [(case.get("classname"), case.get("name")) for case in cases]
    assert ("answers.docs", "good [repeat 2]") in names
    assert len(set(names)) == len(names)


def test_junit_has_no_colour_codes_or_illegal_characters_and_cuts_long_bodies() -> None:
    text = junit(run_of([replace(FAILED, answer="\x1b[31mred\x1b[0m \x00 " + "x" * 9000)]))
    assert "\x1b" not in text
    assert "\x00" not in text
    body = ET.fromstring(text).findtext(".//failure") or ""
    assert "red" in body
    assert body.endswith("(cut)")
    assert len(body) < BODY_LENGTH + 20


def test_markdown_has_its_hidden_marker_first_and_escapes_what_cases_bring() -> None:
    lines = markdown(run_of()).splitlines()
    assert lines[0] == "<!-- headgate-eval:answers -->"
    assert lines[2].startswith("## answers: INCOMPLETE")
    text = "\n".join(lines)
    assert "**bad\\|case**: cites: the answer cites nothing (call `call-2`)" in text
    assert "### Errors (1)" in text
    assert "| pass\\_rate \\[hard\\] | \\>= 0.5 | 0 | 1 of 1 | **failed** |" in text


@pytest.mark.parametrize("name", ["a.json", "deep/er/b.junit.xml", "c.md"])
def test_reports_are_written_by_the_ending_of_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    files.check(path)
    assert not path.exists()
    files.write(run_of(), path)
    assert "answers" in path.read_text()


@pytest.mark.parametrize("name", ["a.xml", "a.html", "a"])
def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\.junit\.xml, \.json, \.md"):
        files.check(tmp_path / name)


def test_a_report_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        files.check(tmp_path / "file" / "a.json")
