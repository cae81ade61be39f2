"""What no single member can tell: names, loops, places, and plugins with their options."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate_core import plugins
from headgate_core.errors import ConfigurationError
from headgate_core.settings.load import load_settings

BASE = """\
providers: [{name: here, use: "settings_plugins:Reached"}]
pools:
  - {name: small, strategy: "settings_plugins:Reached", targets: [{provider: here, model: m}]}
"""


def problems(folder: Path, more: str, base: str = BASE) -> list[str]:
    file = folder / "gateway.yaml"
    file.write_text(base + more, encoding="utf-8")
    try:
        load_settings(file)
    except ConfigurationError as error:
        return [f"{p.line}: {p.message}" for p in error.problems]
    return []


def pool(name: str, fallbacks: str = "[]", provider: str = "here") -> str:
    return (
        f"  - {{name: {name}, strategy: 'settings_plugins:Reached', fallbacks: {fallbacks}, "
        f"targets: [{{provider: {provider}, model: m}}]}}\n"
    )


def test_routes_aliases_and_pools_share_one_name_space(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "routes:\n  - {name: a, pool: small, aliases: [small]}\n  - {name: a, pool: small}\n",
    )
    assert len(found) == 2
    assert found[0].startswith("5: routes, aliases and pools share one name space")
    assert "gateway.yaml:3" in found[0]
    assert found[1].startswith("6: ")


def test_unknown_names_are_told_with_the_nearest(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        pool("b", "[smal]", "her")
        + "defaults: {guards: [deafult], scores: [costt]}\n"
        + "routes:\n  - {name: r, pool: smol, retrieval: {collection: docs}, prompt: p@file}\n",
    )
    assert any("4: unknown provider 'her'. Did you mean 'here'?" in line for line in found)
    assert any("4: unknown pool 'smal'. Did you mean 'small'?" in line for line in found)
    assert any("5: unknown guard policy 'deafult'" in line for line in found)
    assert any("5: unknown metric 'costt'" in line for line in found)
    assert any("7: unknown pool 'smol'" in line for line in found)
    assert any("7: unknown collection 'docs'" in line for line in found)
    assert any("7: unknown prompt 'p'" in line for line in found)


def test_names_of_files_that_exist_are_accepted(tmp_path: Path) -> None:
    for name in ("guardrails/strict.yaml", "prompts/p.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "guardrails/strict.yaml").write_text(
        "name: strict\nchecks: [{name: a, use: pii, at: [output], action: mask}]\n"
    )
    more = "defaults: {guards: [strict]}\nroutes: [{name: r, pool: small, prompt: p@production}]\n"
    assert problems(tmp_path, more) == []
    assert "name@label" in problems(tmp_path, "routes: [{name: r, pool: small, prompt: p}]\n")[0]


def test_fallbacks_that_go_in_a_circle_are_one_problem(tmp_path: Path) -> None:
    found = problems(tmp_path, pool("b", "[c]") + pool("c", "[d]") + pool("d", "[b, small]"))
    assert found == [
        "4: the fallbacks go round in a circle: b -> c -> d -> b; take one of them out."
    ]
    assert problems(tmp_path, pool("b", "[c, small]") + pool("c", "[small]")) == []


def test_a_locked_parameter_needs_a_value(tmp_path: Path) -> None:
    more = "routes: [{name: r, pool: small, locked: [temperatur], parameters: {temperature: 0}}]\n"
    (found,) = problems(tmp_path, more)
    assert "Did you mean 'temperature'?" in found
    assert problems(tmp_path, more.replace("temperatur]", "temperature, max_tokens]")) == []


def test_what_the_gateway_fills_in_is_no_parameter(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "defaults: {parameters: {stream: true}}\n")
    assert found.startswith("4: `stream` is not a parameter")


def test_keys_may_be_open_on_loopback_only(tmp_path: Path) -> None:
    more = "auth: {keys: open}\nserver: {host: HOST}\n"
    for host in ("127.0.0.1", "localhost", '"::1"'):
        assert problems(tmp_path, more.replace("HOST", host)) == []
    for host in ("0.0.0.0", "10.0.0.5", '"::"', "example.com"):
        (found,) = problems(tmp_path, more.replace("HOST", host))
        assert found.startswith("4: `open` lets anybody in")


def test_replicas_say_what_they_need(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "server: {replicas: 2}\n")
    assert found.startswith("4: ")
    for need in ("postgresql", "state.url", "replicas: 1"):
        assert need in found
    assert problems(tmp_path, "server: {workers: 4}\n") == []


@pytest.mark.parametrize("url", ["mysql://x/y", "var/headgate.db", "'sqlite:///:memory:'"])
def test_a_store_that_cannot_be_is_refused(tmp_path: Path, url: str) -> None:
    (found,) = problems(tmp_path, f"store: {{url: {url}}}\n")
    assert found.startswith("4: ")


def test_numbers_that_contradict_each_other(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "p.md").write_text("", encoding="utf-8")
    found = problems(
        tmp_path,
        "collections: [{name: c, embedder: 'settings_plugins:Reached', index: "
        "'settings_plugins:Reached', chunker: 'settings_plugins:Reached'}]\n"
        "routes: [{name: r, pool: small, prompt: p@file, retrieval: {collection: c, use: "
        "'settings_plugins:Reached', top_k: 9, candidates: 3, weights: {dense: 0, bm25: 0}}}]\n",
    )
    assert len(found) == 2
    assert "`candidates` (3) must be at least `top_k` (9)" in found[0] + found[1]
    assert "both weights are 0" in found[0] + found[1]


def test_retrieval_without_a_prompt_to_show_it_is_refused(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "collections: [{name: c, embedder: 'settings_plugins:Reached', index: "
        "'settings_plugins:Reached', chunker: 'settings_plugins:Reached'}]\n"
        "routes:\n  - name: r\n    pool: small\n"
        "    retrieval: {collection: c, use: 'settings_plugins:Reached'}\n",
    )
    assert len(found) == 1
    assert found[0].startswith("8: passages are retrieved, but there is no prompt")


def test_plugins_and_their_options_are_checked_where_they_stand(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "pools: [{name: p, strategy: 'settings_plugins:Reached', targets: "
        "[{provider: a, model: m}]}]\n"
        "providers:\n"
        "  - {name: a, use: 'settings_plugins:Reached', options: {shar: 1, price: cheap}}\n"
        "  - {name: b, use: 'settings_plugins:Demanding'}\n"
        "  - {name: c, use: 'settings_plugins:Plain'}\n"
        "  - {name: d, use: 'settings_plugins:Absent'}\n"
        "  - {name: e, use: 'no_such_package:Class'}\n"
        "  - {name: f, use: no_such_plugin}\n",
        base="",
    )
    assert [line.partition(":")[0] for line in found] == ["3", "3", "4", "5", "6", "7", "8"]
    assert "Did you mean 'share'?" in found[0] + found[1]
    assert "`providers[0].options.price`: expected a number" in found[0] + found[1]
    assert "`url` is missing" in found[2]
    assert "not a dataclass" in found[3]
    assert "has no class Absent" in found[4]
    assert "cannot import" in found[5]
    assert "is its folder on PYTHONPATH, or its package installed?" in found[5]
    assert "Known:" in found[6]


def test_a_missing_extra_names_its_install_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plugins.EXTRA_OF, "no_such_package", "rag")
    (found,) = problems(tmp_path, "metrics:\n  - {name: m, use: 'no_such_package:Metric'}\n")
    assert found.startswith("5: ")
    assert "pip install 'headgate[rag]'" in found


def test_options_reach_plugins_exact_where_they_ask_for_it_and_as_floats_elsewhere() -> None:
    from decimal import Decimal

    built = plugins.build(
        "providers",
        "settings_plugins:Reached",
        {"price": Decimal("0.10"), "share": Decimal("0.5"), "anything": {"x": [Decimal("0.5")]}},
    )
    assert (str(built.price), built.share, built.anything) == ("0.10", 0.5, {"x": [0.5]})
    assert type(built.anything["x"][0]) is float


def test_faults_of_the_gateway_file_and_of_its_policies_come_at_once_with_their_lines(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "guardrails"
    folder.mkdir()
    (folder / "one.yaml").write_text(
        "name: one\n"
        "checks:\n"
        "  - {name: a, use: pii, at: [output], action: mask, options: {typs: [email]}}\n"
        "  - name: b\n"
        "    use: secretz\n"
        "    at: [output]\n"
        "    action: block\n"
        "    mod: shadow\n"
    )
    (folder / "two.yaml").write_text("name: [\n")
    (tmp_path / "gateway.yaml").write_text(
        BASE
        + "defaults: {guards: [one]}\n"
        + "routes:\n  - {name: r, pool: smal, guards: [one, two]}\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        load_settings(tmp_path / "gateway.yaml")
    found = [(p.file.name, p.line, p.message) for p in caught.value.problems]
    assert [(name, line) for name, line, _ in found] == [
        ("gateway.yaml", 6),
        ("one.yaml", 3),
        ("one.yaml", 5),
        ("one.yaml", 8),
        ("two.yaml", 2),
    ]
    assert "Did you mean 'types'?" in found[1][2]
    assert "Did you mean 'secrets'?" in found[2][2]
    assert "Did you mean 'mode'?" in found[3][2]


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("{path}#{ankor}", "Did you mean 'anchor'?"),
        ("{path}#{}", "unknown field ''"),
        ("{path", "cannot be filled in"),
    ],
)
def test_a_link_that_cannot_be_filled_in_is_refused_where_it_stands(
    tmp_path: Path, link: str, says: str
) -> None:
    found = problems(tmp_path, f'collections:\n  - name: c\n    link: "{link}"\n')
    (fault,) = [line for line in found if "`link`" in line]
    assert fault.startswith("6: ") and says in fault
    assert not problems(tmp_path, 'collections:\n  - {name: c, link: "{path}#{anchor}"}\n')[1:]


@pytest.mark.parametrize("value", ["240", "'240'", "many"])
def test_a_misspelt_count_of_tokens_is_an_unknown_option_and_no_secret(
    tmp_path: Path, value: str
) -> None:
    found = problems(
        tmp_path,
        "collections:\n  - name: c\n    chunker:\n      use: structure\n"
        f"      options: {{max_token: {value}}}\n",
    )
    assert "8: unknown structure option 'max_token'. Did you mean 'max_tokens'?" in found[-1]
    assert not any("secret" in line for line in found)
