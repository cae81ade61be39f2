"""A provider, a check and a metric from a separate package: one file and one entry each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from configs import write_config
from running import run, serving

PACKAGE = Path(__file__).resolve().parent.parent / "plugin_package"
ENV = {"PYTHONPATH": str(PACKAGE)}

CONFIG = """\
auth: {keys: open}
providers:
  - {name: acme, use: "acme_headgate.shout:Shout", options: {mark: "?!"}}
pools:
  - {name: loud, targets: [{provider: acme, model: shout}]}
metrics:
  - {name: acme_length, use: "acme_headgate.length:Length"}
defaults:
  guards: [house]
  capture: masked
routes:
  - {name: loud-route, pool: loud, scores: [acme_length]}
"""

POLICY = """\
name: house
checks:
  - {name: swearing, use: "acme_headgate.swearing:Swearing", at: [output], action: mask}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "guardrails").mkdir()
    (tmp_path / "guardrails" / "house.yaml").write_text(POLICY)
    return write_config(tmp_path, CONFIG)


def test_all_three_work_on_a_served_call(config: Path) -> None:
    with serving(config, env=ENV) as server:
        status, body = server.chat("loud-route", "oh darn it")
    assert status == 200
    assert body["choices"][0]["message"]["content"] == "OH [SWEARING] IT?!"
    assert [g["check"] for g in body["headgate"]["guardrails"]] == ["swearing"]


def test_the_metric_scores_the_call(config: Path) -> None:
    done = run("ask", "hello", "--json", "--config", str(config), env=ENV)
    assert done.returncode == 0, done.stderr
    scores = {s["metric"]: s["value"] for s in json.loads(done.stdout)["scores"]}
    assert scores == {"acme_length": 7.0}


def test_an_unknown_option_of_an_outside_plugin_is_a_start_up_error(config: Path) -> None:
    config.write_text(CONFIG.replace("mark", "marks"))
    done = run("check", "--config", str(config), env=ENV)
    assert done.returncode == 2
    assert "Did you mean 'mark'?" in done.stderr
    assert f"{config.name}:3" in done.stderr
