"""What docs/evals.md shows must work as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from configs import write_config

from headgate_core import plugins
from headgate_evals.asserts.registry import KINDS
from headgate_evals.cases import load_suite
from headgate_evals.suite import CaseSettings, SuiteSettings
from headgate_gateway.cli import run

PAGE = Path(__file__).parents[2] / "docs" / "evals.md"
GATEWAY = """\
auth: {keys: open}
providers: [{name: echo, use: echo}]
pools: [{name: mirror, targets: [{provider: echo, model: echo}]}]
"""


def block(language: str, heading: str) -> str:
    section = PAGE.read_text().partition(f"### {heading}\n")[2]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found, f"{heading}: no {language} block"
    return found[1]


def test_the_small_suite_of_the_page_is_a_suite(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(block("yaml", "A small suite"))
    assert [case.id for case in load_suite(path).cases] == ["retries", "no-such-fact"]


def test_every_member_and_every_assertion_type_has_its_row() -> None:
    page = PAGE.read_text()
    members = [
        field.alias or name
        for model in (SuiteSettings, CaseSettings)
        for name, field in model.model_fields.items()
    ]
    missing = [name for name in [*members, *KINDS] if f"| `{name}` |" not in page]
    assert missing == []


def test_the_metric_of_the_page_works_with_one_file_and_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_metrics.py").write_text(block("python", "A metric is one file"))
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = block("yaml", "Naming a metric in the configuration")
    config = write_config(tmp_path, GATEWAY + entry.replace("name: brevity", "name: terse"))
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "name: s\nrun: {route: mirror}\nmetrics: [terse]\n"
        "cases: [{id: a, input: three little words, smoke: true}]\n"
        "gates: [{metric: terse.short, min: 1}]\n"
    )
    assert run(["eval", "run", str(suite), "--config", str(config), "--json"]) == 0
    [case] = json.loads(capsys.readouterr().out)["cases"]
    assert {score["metric"]: score["value"] for score in case["scores"]} == {
        "terse.words": 3,
        "terse.short": 1,
    }


def test_every_metric_that_is_installed_is_on_the_page() -> None:
    page = PAGE.read_text()
    assert [name for name in plugins.names("metrics") if f"`{name}" not in page] == []
