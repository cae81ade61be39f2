"""``headgate keys``: the key on standard output, all else elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
import typer
from running import headgate
from typer.testing import CliRunner

from headgate_core.errors import ConfigurationError, NotFound
from headgate_core.store import Store
from headgate_gateway.commands import keys
from headgate_gateway.keys import find

CONFIG = """
store: {url: "sqlite:///headgate.db"}
providers: [{name: here, use: echo}]
pools: [{name: small, targets: [{provider: here, model: echo}]}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG)
    return path


def run(config: Path, *arguments: str) -> tuple[str, str]:
    app = typer.Typer()
    keys.register(app)
    app.callback()(lambda: None)
    result = CliRunner().invoke(
        app, ["keys", *arguments, "--config", str(config)], catch_exceptions=False
    )
    if isinstance(result.exception, Exception):
        raise result.exception
    return result.stdout, result.stderr


def test_create_prints_the_key_alone_on_standard_output_and_it_works(config: Path) -> None:
    out, err = run(
        config, "create", "--name", "app", "--team", "care", "--group", "a", "--group", "b"
    )
    plain = out.rstrip("\n")
    store = Store.open(f"sqlite:///{config.parent / 'headgate.db'}")
    who = find(store, plain)
    store.close()
    assert who is not None
    assert (who.name, who.team, who.tenant, who.groups) == ("app", "care", "default", ("a", "b"))
    assert plain not in err and f"headgate keys revoke {who.key_id}" in err


def test_a_team_that_is_not_declared_is_pointed_out(config: Path) -> None:
    assert "declare" not in run(config, "create", "--name", "app", "--team", "care")[1]
    config.write_text(CONFIG + "teams: [{name: sales}]\n")
    out, err = run(config, "create", "--name", "app", "--team", "care")
    assert out.strip() and "no team 'care'" in err and "declared: default, sales" in err
    assert "declare" not in run(config, "create", "--name", "app", "--team", "sales")[1]


def test_a_program_gets_one_document(config: Path) -> None:
    out, _ = run(
        config,
        *("create", "--name", "app", "--model", "small", "--requests-per-minute", "9"),
        *("--expires", "2199-01-01", "--json"),
    )
    made = json.loads(out)
    assert made["key"].startswith("hg-")
    (listed,) = json.loads(run(config, "list", "--json")[0])
    assert "key" not in listed and "hash" not in listed
    assert listed == {name: value for name, value in made.items() if name != "key"}
    assert (listed["models"], listed["requests_per_minute"]) == (["small"], 9)
    assert (listed["state"], listed["expires"]) == ("valid", "2199-01-01T00:00:00+00:00")


def test_a_key_that_has_expired_already_is_not_made(config: Path) -> None:
    done = headgate(
        *("keys", "create", "--name", "app", "--expires", "2020-01-01"), "--config", str(config)
    )
    assert done.returncode == 2
    assert "in the past" in done.stderr


def test_a_key_for_a_model_that_does_not_exist_is_not_made(config: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        run(config, "create", "--name", "app", "--model", "smal", "--model", "small")
    assert caught.value.exit_code == 2
    assert "'smal'. Did you mean 'small'? Known: small." in caught.value.message
    assert json.loads(run(config, "list", "--json")[0]) == []


def test_a_list_shows_state_and_hint_and_never_a_key(config: Path) -> None:
    plain = run(config, "create", "--name", "app")[0].strip()
    shown, _ = run(config, "list")
    assert plain not in shown
    assert plain[-4:] in shown and "valid" in shown and "all routes" in shown


def test_revoke_takes_a_unique_beginning_of_the_id(config: Path) -> None:
    key_id = json.loads(run(config, "create", "--name", "app", "--json")[0])["key_id"]
    run(config, "revoke", key_id[:30])
    assert json.loads(run(config, "list", "--json")[0])[0]["state"] == "revoked"
    with pytest.raises(NotFound) as raised:
        run(config, "revoke", "nothing")
    assert raised.value.exit_code == 1


def test_no_keys_yet_says_how_to_make_one(config: Path) -> None:
    out, err = run(config, "list")
    assert out == "" and "headgate keys create" in err


def test_a_limit_below_one_is_a_usage_error(config: Path) -> None:
    app = typer.Typer()
    keys.register(app)
    arguments = ["keys", "create", "--name", "x", "--requests-per-minute", "0"]
    assert CliRunner().invoke(app, arguments).exit_code == click.UsageError.exit_code
