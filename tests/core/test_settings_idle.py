"""Settings that would be accepted and do nothing are refused, each where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate_core.errors import ConfigurationError
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.load import load_settings

BASE = """\
providers: [{name: here, use: echo}]
pools:
  - {name: small, targets: [{provider: here, model: m}]}
"""
PRICE = "input_per_mtok_usd: 1, output_per_mtok_usd: 2"


def load(folder: Path, text: str) -> GatewaySettings:
    file = folder / "gateway.yaml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text)
    return [f"{p.line}: {p.message}" for p in caught.value.problems]


def test_a_price_of_a_model_that_no_pool_has_names_those_there_are(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, BASE + f"prices: {{overrides: [{{model: m, {PRICE}}}]}}\n")
    assert found.startswith("4: unknown target 'm'.") and "Known: here/m." in found


@pytest.mark.parametrize("since", ["", "from: 2026-11-01, "])
def test_two_prices_of_one_model_from_one_day_on_are_refused(tmp_path: Path, since: str) -> None:
    line = f"    - {{model: here/m, {since}{PRICE}}}\n"
    (found,) = problems(tmp_path, BASE + "prices:\n  overrides:\n" + line + line)
    assert found.startswith("7: there are two prices of 'here/m'")
    assert "gateway.yaml:6" in found


def test_prices_that_begin_on_different_days_are_a_plan(tmp_path: Path) -> None:
    lines = [f"    - {{model: here/m, {since}{PRICE}}}\n" for since in ("", "from: 2026-11-01, ")]
    load(tmp_path, BASE + "prices:\n  overrides:\n" + "".join(lines))


WEIGHTED = "targets: [{provider: here, model: m, weight: 2}]}\n"


def test_a_weight_that_the_strategy_does_not_read_is_refused(tmp_path: Path) -> None:
    head = BASE.partition("  - ")[0]
    (found,) = problems(tmp_path, head + "  - {name: small, " + WEIGHTED)
    assert found.startswith("3: the strategy 'priority' does not use weights")


@pytest.mark.parametrize("strategy", ["weighted", "settings_plugins:Reached"])
def test_a_weight_that_the_strategy_reads_or_may_read_is_taken(
    tmp_path: Path, strategy: str
) -> None:
    head = BASE.partition("  - ")[0]
    load(tmp_path, head + f"  - {{name: small, strategy: '{strategy}', " + WEIGHTED)


def test_a_route_of_a_team_that_nobody_declared_is_refused(tmp_path: Path) -> None:
    routes = "routes:\n  - {name: a, pool: small, team: cre}\n  - {name: b, pool: small}\n"
    (found,) = problems(tmp_path, BASE + "teams: [{name: care}]\n" + routes)
    assert found.startswith("6: unknown team 'cre'. Did you mean 'care'?")
    load(tmp_path, BASE + routes)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("max_tokens: 0", "`max_tokens` must be a number from 1 to 10000000, found 0."),
        ("max_completion_tokens: -1", "`max_completion_tokens` must be a number from 1"),
        ('"n": -3', "`n` must be a number from 1 to 128, found -3."),
        ('"n": 1.5', "`n` must be a whole number, found 1.5."),
        ("temperature: 9", "`temperature` must be a number from 0 to 2, found 9."),
        ("temperature: true", "`temperature` must be a number"),
        ("max_tokens: null", "`max_tokens` must be a number"),
        ('top_p: "0.5"', "`top_p` must be a number"),
        ("stop: 5", "`stop` must be a text or a list of texts, found 5."),
        ("tools: [{type: function}]", "`tools` is wrong: `tools[0].function` is missing"),
    ],
)
def test_parameters_that_no_request_may_have_are_refused(
    tmp_path: Path, written: str, told: str
) -> None:
    for head in ("defaults: {", "routes:\n  - {name: r, pool: small, "):
        (found,) = problems(tmp_path, BASE + head + f"parameters: {{{written}}}}}\n")
        assert told in found
        assert found.startswith("5: " if "routes" in head else "4: ")


@pytest.mark.parametrize(
    ("written", "in_force"),
    [
        ("{temperature: 0}", {"max_tokens": 2048, "temperature": 0}),
        ("{max_tokens: 9}", {"max_tokens": 9}),
        ('{max_completion_tokens: 9, "n": 2}', {"max_completion_tokens": 9, "n": 2}),
        ("{}", {"max_tokens": 2048}),
    ],
)
def test_the_bound_of_tokens_stays_unless_another_is_written(
    tmp_path: Path, written: str, in_force: dict[str, int]
) -> None:
    settings = load(tmp_path, BASE + f"defaults: {{parameters: {written}}}\n")
    assert settings.defaults.parameters == in_force


@pytest.mark.parametrize("member", ["stat: p95", "min: 1", "max: 2"])
def test_bounds_on_scores_are_told_to_come_later(tmp_path: Path, member: str) -> None:
    text = BASE + f"defaults: {{scores: [{{metric: latency, {member}}}]}}\n"
    (found,) = problems(tmp_path, text)
    assert found.startswith("4: ") and "does not do it yet (objectives)" in found


@pytest.mark.parametrize("name", ["cost.nosuch", "cost.usd"])
def test_a_score_names_a_metric_and_no_member_of_it(tmp_path: Path, name: str) -> None:
    (found,) = problems(tmp_path, BASE + f"defaults: {{scores: [{name}]}}\n")
    assert found.startswith(f"4: '{name}' names one member of a metric")
    assert "write 'cost'" in found
