"""Loading the gateway's configuration: every fault at once, with its line and the fix."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from headgate_core.errors import ConfigurationError
from headgate_core.settings.load import explain, find_config, load_settings

GOOD = """\
providers:
  - {name: here, use: "settings_plugins:Reached", options: {api_key: env:KEY, price: 0.10}}
pools:
  - name: small
    targets: [{provider: here, model: m}]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "gateway.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(folder: Path, text: str) -> list[str]:
    """``line: message`` of every problem in a configuration."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(write(folder, text))
    assert caught.value.exit_code == 2
    return [f"{p.line}: {p.message}" for p in caught.value.problems]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "s3cret")
    monkeypatch.delenv("HEADGATE_DATA_DIR", raising=False)


def test_the_smallest_configuration_has_every_default(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD))
    assert settings.server.port == 8080
    assert settings.pools[0].retries.attempts == 2
    assert settings.path == (tmp_path / "gateway.yaml").resolve()
    assert settings.store.url == f"sqlite:///{tmp_path}/var/headgate.db"
    assert settings.data_dir == tmp_path / "var"


def test_all_faults_come_at_once_with_line_and_nearest_name(tmp_path: Path) -> None:
    text = GOOD + (
        "server: {prot: 1, workers: true, drain_s: soon, host: 5}\n"
        "routes:\n"
        "  - {name: r, pool: small, capture: fulll}\n"
        "  - {pool: small}\n"
        "hedge: 1\n"
    )
    assert problems(tmp_path, text) == [
        "6: unknown member 'prot'. Did you mean 'port'? Known: host, port, workers, replicas, "
        "drain_s, max_body_mb, reload, done_after_error, log, admin.",
        "6: `workers`: expected a number, found true.",
        "6: `drain_s`: expected a number, found the text 'soon'.",
        "6: `server.host`: expected text, found the number 5.",
        "8: `routes[0].capture`: expected one of 'none', 'masked' or 'full', "
        "found the text 'fulll'.",
        "9: `name` is missing in `routes[1]`.",
        "10: unknown member 'hedge'. Known: server, auth, store, state, telemetry, egress, "
        "providers, prices, pools, collections, metrics, defaults, routes, teams.",
    ]


def test_faults_between_parts_come_together_with_faults_within_them(tmp_path: Path) -> None:
    text = GOOD + "server: {prot: 1, port: 99999}\nroutes: [{name: r, pool: smal}]\n"
    assert problems(tmp_path, text) == [
        "6: unknown member 'prot'. Did you mean 'port'? Known: host, port, workers, replicas, "
        "drain_s, max_body_mb, reload, done_after_error, log, admin.",
        "6: `server.port`: expected a number of at most 65535, found the number 99999.",
        "7: unknown pool 'smal'. Did you mean 'small'? Known: small.",
    ]


def test_a_member_of_a_later_version_says_so(tmp_path: Path) -> None:
    text = GOOD + (
        "alerts: {to: [{url: env:NOT_SET_AT_ALL}]}\n"
        "state: {url: redis://host, when_away: local_share}\n"
        "routes: [{name: r, pool: small, experiment: {name: x}}]\n"
    )
    found = problems(tmp_path, text)
    assert [line.partition(":")[0] for line in found] == ["6", "7", "7", "8"]
    for line in found:
        assert "belongs to the configuration grammar, but this version does not do it yet" in line


def test_an_empty_file_a_list_and_a_file_without_pools(tmp_path: Path) -> None:
    assert problems(tmp_path, "") == ["1: expected members, `name: value`, found nothing."]
    assert problems(tmp_path, "- a\n") == ["1: expected members, `name: value`, found a list."]
    assert problems(tmp_path, "server: {}\n") == ["1: `pools` is missing."]
    assert "expected a list of at least 1" in problems(tmp_path, "pools: []\n")[0]
    assert "found nothing" in problems(tmp_path, "pools:\n")[0]


def test_money_is_read_from_its_digits(tmp_path: Path) -> None:
    text = GOOD + (
        "prices:\n  overrides:\n"
        "    - {model: here/m, from: 2026-11-01, input_per_mtok_usd: 0.1000000000000000055, "
        "output_per_mtok_usd: 1.60}\n"
    )
    override = load_settings(write(tmp_path, text)).prices.overrides[0]
    assert override.input_per_mtok_usd == Decimal("0.1000000000000000055")
    assert str(override.from_) == "2026-11-01"


def test_parameters_are_plain_json_numbers(tmp_path: Path) -> None:
    text = GOOD + "routes: [{name: r, pool: small, parameters: {temperature: 0.2, x: [0.5]}}]\n"
    parameters = load_settings(write(tmp_path, text)).routes[0].parameters
    assert parameters == {"temperature": 0.2, "x": [0.5]}
    assert type(parameters["temperature"]) is float


def test_routes_of_other_files_are_read_and_their_faults_name_them(tmp_path: Path) -> None:
    (tmp_path / "routes").mkdir()
    team = tmp_path / "routes" / "team.yaml"
    team.write_text("name: b\npool: small\n", encoding="utf-8")
    (tmp_path / "routes" / "two.yaml").write_text(
        "- {name: c, pool: small}\n- {name: d, pool: small}\n", encoding="utf-8"
    )
    text = GOOD + "routes: [{name: a, pool: small}]\n"
    settings = load_settings(write(tmp_path, text))
    assert [route.name for route in settings.routes] == ["a", "b", "c", "d"]
    team.write_text("name: b\npool: small\ncolour: red\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(write(tmp_path, text))
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (team, 3)


def test_the_hash_follows_values_in_force_but_neither_secrets_nor_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_settings(write(tmp_path, GOOD)).hash
    assert len(first) == 12
    (tmp_path / "elsewhere").mkdir()
    assert (
        load_settings(write(tmp_path / "elsewhere", GOOD + "server: {port: 8080}\n")).hash == first
    )
    monkeypatch.setenv("KEY", "another")
    assert load_settings(write(tmp_path, GOOD)).hash == first
    assert load_settings(write(tmp_path, GOOD + "server: {port: 8081}\n")).hash != first


def test_every_value_in_force_is_explained_and_no_secret_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "8085")
    monkeypatch.setenv("STORE", "postgresql+psycopg://me:hidden@db/x")
    text = GOOD + "server: {port: env:PORT}\nstore: {url: env:STORE}\n"
    file = write(tmp_path, text)
    lines = {line.path: line for line in explain(load_settings(file))}
    assert lines["server.port"][1:] == (8085, "env:PORT")
    assert lines["server.host"][1:] == ("127.0.0.1", "default")
    assert lines["pools[0].name"][1:] == ("small", f"{file}:4")
    assert lines["providers[0].options.api_key"][1:] == ("env:KEY", "env:KEY")
    assert lines["store.url"].value == "env:STORE"
    assert "s3cret" not in str(lines)
    assert "hidden" not in str(lines)


def test_no_text_from_elsewhere_is_shown_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "team").write_text("s3cret-team\n", encoding="utf-8")
    monkeypatch.setenv("HEADGATE_DATA_DIR", str(tmp_path / "data"))
    text = GOOD + (
        "telemetry: {otlp: [{endpoint: 'http://o:1', headers: {x-honeycomb-team: file:team}}]}\n"
        "defaults: {parameters: {user: env:KEY}}\n"
    )
    settings = load_settings(write(tmp_path, text))
    lines = {line.path: line for line in explain(settings)}
    shown = lines["telemetry.otlp[0].headers.x-honeycomb-team"]
    assert shown[1:] == ("file:team", "file:team")
    assert lines["defaults.parameters.user"].value == "env:KEY"
    assert "s3cret" not in str(lines)
    assert lines["store.url"][1:] == (settings.store.url, "env:HEADGATE_DATA_DIR")


def test_the_data_folder_can_be_moved_where_the_file_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADGATE_DATA_DIR", str(tmp_path / "data"))
    settings = load_settings(write(tmp_path, GOOD))
    assert settings.data_dir == tmp_path / "data"
    assert settings.store.url == f"sqlite:///{tmp_path}/data/headgate.db"
    written = load_settings(write(tmp_path, GOOD + "store: {url: 'sqlite:///own/x.db'}\n"))
    assert written.data_dir == tmp_path / "own"


def test_the_configuration_is_looked_for_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADGATE_CONFIG", raising=False)
    with pytest.raises(ConfigurationError, match="name it with --config"):
        find_config(None)
    plain = write(tmp_path, GOOD)
    assert find_config(None).resolve() == plain.resolve()
    (tmp_path / "configs").mkdir()
    usual = write(tmp_path / "configs", GOOD)
    assert find_config(None).resolve() == usual.resolve()
    monkeypatch.setenv("HEADGATE_CONFIG", str(plain))
    assert find_config(None) == plain
    assert find_config(str(usual)) == usual
    with pytest.raises(ConfigurationError, match="--config names"):
        find_config("nowhere.yaml")
    monkeypatch.setenv("HEADGATE_CONFIG", "nowhere.yaml")
    with pytest.raises(ConfigurationError, match="HEADGATE_CONFIG names"):
        find_config(None)


def test_a_short_form_is_the_source_of_what_it_says_and_of_nothing_else(tmp_path: Path) -> None:
    text = GOOD + "defaults: {scores: [cost]}\n"
    file = write(tmp_path, text.replace("targets:", "fallbacks: [big]\n    targets:"))
    file.write_text(
        file.read_text(encoding="utf-8").replace(
            "defaults:", "  - {name: big, targets: [{provider: here, model: o}]}\ndefaults:"
        ),
        encoding="utf-8",
    )
    lines = {line.path: line.source for line in explain(load_settings(file))}
    assert lines["defaults.scores[0].metric"] == f"{file}:8"
    assert lines["defaults.parameters.max_tokens"] == "default"
    assert lines["pools[0].fallbacks.error[0]"] == f"{file}:5"
