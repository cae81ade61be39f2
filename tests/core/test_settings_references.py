"""References to the environment and to files, and secrets that must be references."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from headgate_core.errors import ConfigurationError
from headgate_core.settings.base import Settings
from headgate_core.settings.load import load_file


class Sample(Settings):
    name: str = ""
    port: int = 0
    on: bool = False
    api_key: str = ""
    api_keys: list[str] = Field(default=[])
    headers: dict[str, str] = Field(default={})
    url: str = ""


def load(folder: Path, text: str) -> Sample:
    file = folder / "sample.yaml"
    file.write_text(text, encoding="utf-8")
    return load_file(file, Sample)


def problems(folder: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, text)
    return str(caught.value)


def test_values_come_from_the_environment_with_their_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAME", "x: [1]")
    monkeypatch.setenv("PORT", "8081")
    monkeypatch.setenv("ON", "true")
    made = load(tmp_path, "name: env:NAME\nport: env:PORT\n'on': env:ON\n")
    assert made == Sample(name="x: [1]", port=8081, on=True)


def test_a_default_stands_in_for_a_variable_that_is_unset_or_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GONE", raising=False)
    monkeypatch.setenv("EMPTY", "")
    made = load(tmp_path, "name: env:GONE:-here:there\nport: env:EMPTY:-7\napi_key: env:GONE:-\n")
    assert made == Sample(name="here:there", port=7, api_key="")


def test_an_unset_variable_is_one_problem_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GONE", raising=False)
    text = problems(tmp_path, "name: x\nport: env:GONE\n")
    assert "has 1 problem" in text
    assert "sample.yaml:2: the environment variable GONE is not set" in text


def test_a_file_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("abc\n", encoding="utf-8")
    assert load(tmp_path, "api_key: file:key\n").api_key == "abc"
    assert "there is no file" in problems(tmp_path, "name: file:nothing\n")


@pytest.mark.parametrize(
    "line",
    [
        "api_key: sk-LITERAL",
        "api_keys: [env:NAME, sk-LITERAL]",
        "headers: {Authorization: Bearer sk-LITERAL}",
        "headers: {hub_token: sk-LITERAL}",
        "headers: {db_password: '1LITERAL'}",
        "url: postgresql://user:sk-LITERAL@host/db",
        "api_key: env:GONE:-sk-LITERAL",
        "headers: {aws_secret_access_key: sk-LITERAL}",
        "headers: {vertex_credentials: sk-LITERAL}",
        "headers: {Cookie: session=LITERAL}",
        "headers: {Proxy-Authorization: Basic LITERAL}",
        "headers: {Ocp-Apim-Subscription-Key: sk-LITERAL}",
        "headers: {aws_bearer_token_bedrock: sk-LITERAL}",
        "headers: {key: sk-LITERAL}",
    ],
)
def test_a_literal_secret_is_refused_and_never_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("NAME", "x")
    text = problems(tmp_path, line)
    assert "LITERAL" not in text
    assert "sample.yaml:1:" in text


@pytest.mark.parametrize("name", ["prompt_cache_key", "max_token", "key_header", "x-tokens-left"])
def test_a_name_that_only_sounds_like_a_secret_may_have_a_plain_value(
    tmp_path: Path, name: str
) -> None:
    assert load(tmp_path, f"headers: {{{name}: plain}}\n").headers == {name: "plain"}


def test_the_path_of_a_file_with_credentials_is_no_secret(tmp_path: Path) -> None:
    path = "/etc/gcp/sa.json"
    said = load(tmp_path, f"headers: {{vertex_credentials: {path}}}\n")
    assert said.headers == {"vertex_credentials": path}


@pytest.mark.parametrize("source", ["env:KEY", "file:key"])
def test_the_line_end_behind_a_secret_is_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("KEY", " sk-1\r\n")
    (tmp_path / "key").write_text(" sk-1\n\n", encoding="utf-8")
    made = load(tmp_path, f"api_key: {source}\nname: {source}\n")
    assert (made.api_key, made.name) == ("sk-1", " sk-1")
    monkeypatch.setenv("KEY", "\n")
    assert "is set but empty" in problems(tmp_path, "api_key: env:KEY\n")


def test_the_value_behind_a_reference_is_never_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "hidden-value")
    text = problems(tmp_path, "port: env:PORT\n")
    assert "env:PORT" in text
    assert "hidden-value" not in text


def test_a_secret_that_is_set_but_empty_and_a_broken_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", "")
    assert "is set but empty" in problems(tmp_path, "api_key: env:EMPTY\n")
    assert "not a reference" in problems(tmp_path, "name: env:MY-KEY\n")


def test_text_that_only_begins_like_a_reference_stays_text(tmp_path: Path) -> None:
    assert load(tmp_path, 'name: "env: what is it?"\n').name == "env: what is it?"
