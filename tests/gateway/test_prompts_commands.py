"""``headgate prompts``: list, show, label."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from headgate_core.errors import ConfigurationError
from headgate_gateway.prompts.commands import register

TEXT = """\
---
name: greet
description: Greets.
inputs:
  who: {from: last_user_message}
examples:
  - {name: ann, inputs: {who: Ann}}
  - {name: bob, inputs: {who: Bob}}
---
=== user ===
Say hello to {{ who }}.
"""
GATEWAY = """\
providers: [{name: here, use: "settings_plugins:Reached"}]
pools:
  - {name: small, strategy: "settings_plugins:Reached", targets: [{provider: here, model: m}]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "greet.md").write_text(TEXT, encoding="utf-8")
    (tmp_path / "gateway.yaml").write_text(GATEWAY, encoding="utf-8")
    return tmp_path / "gateway.yaml"


def headgate(config: Path, *arguments: str) -> str:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    result = CliRunner().invoke(app, ["prompts", *arguments, "--config", str(config)])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_show_renders_the_examples(config: Path) -> None:
    text = headgate(config, "show", "greet")
    assert "Say hello to Ann." in text
    assert "Say hello to Bob." in text
    assert "Ann" not in headgate(config, "show", "greet@file", "--example", "bob")
    made = json.loads(headgate(config, "show", "greet", "--json"))
    assert made["examples"]["ann"]["messages"] == [{"role": "user", "content": "Say hello to Ann."}]
    with pytest.raises(ConfigurationError, match="unknown example 'an'"):
        headgate(config, "show", "greet", "--example", "an")


def test_label_moves_and_list_shows_it(config: Path) -> None:
    with pytest.raises(ConfigurationError, match="unknown label"):
        headgate(config, "show", "greet@production")
    assert "greet@production: nothing -> " in headgate(
        config, "label", "greet", "production", "file"
    )
    (row,) = json.loads(headgate(config, "list", "--json"))
    assert row["labels"] == {"production": row["file"]}
    assert "@production" in headgate(config, "list")
    assert "Say hello to Ann." in headgate(config, "show", "greet@production")
