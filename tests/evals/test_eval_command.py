from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from configs import write_config
from sqlalchemy import select

from headgate_core.store import Store
from headgate_core.store.tables import calls, runs, scores
from headgate_gateway.cli import run

GATEWAY = """\
auth: {keys: open}
providers:
  - {name: echo, use: echo}
  - {name: gone, use: openai_compatible, options: {base_url: "http://127.0.0.1:1/v1"}}
pools:
  - name: mirror
    targets: [{provider: echo, model: echo}]
  - name: away
    targets: [{provider: gone, model: m}]
    retries: {attempts: 1}
routes:
  - {name: says, aliases: [gpt-4o], pool: mirror}
  - {name: silent, pool: away}
"""
SUITE = """\
name: says-it-back
run: {route: says}
cases:
  - id: greeting
    input: Good morning
    assert: [{type: icontains, value: good MORNING}, {type: cost, threshold: 0}]
  - id: follow-up
    messages: [{role: user, content: Hello}, {role: user, content: Good night}]
    tags: [turns]
    assert: [{type: regex, value: "^Good night$"}, {type: not-is-refusal}]
gates:
  - {metric: pass_rate, min: 1}
  - {metric: latency.total_s, stat: max, max: 60}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "says.yaml").write_text(SUITE)
    return write_config(tmp_path, GATEWAY)


def suite(config: Path, old: str, new: str) -> str:
    path = config.parent / "evals" / "other.yaml"
    path.write_text(SUITE.replace(old, new))
    return str(path)


def eval_run(config: Path, name: str, *more: str) -> int:
    return run(["eval", "run", name, "--config", str(config), *more])


def test_a_suite_that_passes_prints_its_verdict_and_ends_with_0(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert eval_run(config, "says") == 0
    out = capsys.readouterr().out
    assert out.startswith("PASSED: 2 of 2 cases passed, 2 of 2 gates held")
    assert "$0\n" in out


def test_a_wrong_answer_ends_with_1_and_is_shown(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert eval_run(config, suite(config, "good MORNING", "good evening")) == 1
    out = capsys.readouterr().out
    assert "FAILED greeting" in out
    assert "answer: Good morning" in out


def test_an_upstream_that_is_away_makes_the_run_incomplete_and_not_worse(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert eval_run(config, suite(config, "route: says", "route: silent")) == 3
    out = capsys.readouterr().out
    assert "INCOMPLETE" in out
    assert "ERROR greeting" in out


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("route: says", "route: sais", "unknown route 'sais'. Did you mean 'says'?"),
        ("name: says", "nmae: says", "unknown member 'nmae'"),
        ("gates:", "metrics: [latncy, latency]\ngates:", "unknown metric 'latncy'"),
    ],
)
def test_a_wrong_suite_ends_with_2_and_sends_nothing(
    config: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    assert eval_run(config, suite(config, old, new)) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_suite_names_the_known_ones(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert eval_run(config, "sayz") == 2
    assert "unknown suite 'sayz'. Did you mean 'says'?" in capsys.readouterr().err


def test_json_and_reports_tell_the_same(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = config.parent / "out"
    names = ("r.json", "r.junit.xml", "r.md")
    options = [word for name in names for word in ("--output", str(folder / name))]
    assert eval_run(config, "says", "--json", *options) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((folder / "r.json").read_text())
    assert [case["answer"] for case in document["cases"]] == ["Good morning", "Good night"]
    assert ET.parse(folder / "r.junit.xml").getroot().get("failures") == "0"
    assert document["run_id"] in (folder / "r.md").read_text()


def test_a_report_of_an_unknown_kind_is_refused_before_any_call(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert eval_run(config, "says", "--output", "r.html") == 2
    assert ".junit.xml" in capsys.readouterr().err


def test_cases_and_repeats_can_be_chosen(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert eval_run(config, "says", "--first-n", "1", "--repeat", "3", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [(c["id"], c["repeat"]) for c in document["cases"]] == [
        ("greeting", 1),
        ("greeting", 2),
        ("greeting", 3),
    ]
    assert document["notes"] == ["1 of the suite's 2 cases were chosen."]


def test_the_calls_are_on_record_as_evaluation_with_their_scores(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert eval_run(config, "says", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    store = Store.open(f"sqlite:///{config.parent / 'var' / 'headgate.db'}")
    with store.begin() as db:
        found = {row.call_id: row for row in db.execute(select(calls))}
        scored = {(row.call_id, row.metric) for row in db.execute(select(scores))}
        stored = db.execute(select(runs)).one()
    store.close()
    assert set(found) == {case["call_id"] for case in document["cases"]}
    assert {row.source for row in found.values()} == {"eval"}
    assert {(call_id, "latency.total_s") for call_id in found} <= scored
    assert (stored.run_id, stored.exit_code) == (document["run_id"], 0)


def test_list_shows_the_suites_beside_the_configuration(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", "list", "--config", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"suite": "says", "route": "says", "cases": 2, "description": ""}
    ]
