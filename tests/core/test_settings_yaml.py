"""Reading YAML: lines, repeated members, traps, and numbers by their digits."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from headgate_core.errors import ConfigurationError
from headgate_core.settings import yaml_source

HERE = Path("some.yaml")


def messages(text: str) -> list[str]:
    return [f"{p.line}: {p.message}" for p in yaml_source.parse(text, HERE).problems]


def refused(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        yaml_source.parse(text, HERE)
    return str(caught.value)


def test_every_path_has_the_line_it_stands_on() -> None:
    document = yaml_source.parse("a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n", HERE, first_line=3)
    lines = {trail: place.line for trail, place in document.places.items()}
    assert lines[("a",)] == 3
    assert lines[("a", "b")] == 4
    assert lines[("a", "c", 1, "d")] == 7


def test_a_repeated_member_names_the_line_of_the_first() -> None:
    assert messages("port: 1\nhost: h\nport: 2\n") == [
        "3: `port` is repeated; it stands already on line 1."
    ]


@pytest.mark.parametrize("word", ["yes", "No", "on", "OFF", "y", "n", "True", "FALSE"])
def test_a_word_that_yaml_may_take_for_a_truth_value_is_refused_with_the_fix(word: str) -> None:
    (message,) = messages(f"text: {word}")
    assert f'"{word}" for the text' in message
    assert messages(f'text: "{word}"') == []


@pytest.mark.parametrize("number", ["012", "0x1f", "0o17", "1_000", "1:30", "12:30:45", ".inf"])
def test_a_number_that_yaml_may_read_otherwise_is_refused_with_the_fix(number: str) -> None:
    (message,) = messages(f"value: {number}")
    assert f'"{number}" for the text' in message


def test_scalars_mean_what_they_look_like() -> None:
    text = "a: true\nb: 12\nc: 0.40\nd: 2026-11-01\ne: ~\nf: 1e3\ng: 8080:80:80x\nh: -3\n"
    data = yaml_source.parse(text, HERE).data
    assert data == {
        "a": True,
        "b": 12,
        "c": Decimal("0.40"),
        "d": "2026-11-01",
        "e": None,
        "f": Decimal(1000),
        "g": "8080:80:80x",
        "h": -3,
    }
    assert str(data["c"]) == "0.40"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("text: one: two\n", "some.yaml:1: there is a colon in an unquoted text"),
        ("a:\n\tb: 1\n", "some.yaml:2: a tab stands where spaces must be"),
        ("a: @home\n", "cannot begin with this character ('@')"),
        ("a: {b: 1\n", "some.yaml:2: the {...} is broken"),
        ("a: [1, 2\nb: 3\n", "the [...] is broken"),
        ("a: 'open\n", "never closed"),
        ("a: 1\n---\nb: 2\n", "a second document begins here"),
        ("a: &x 1\nb: *x\n", "some.yaml:1: anchors and aliases"),
        ("a: !!int 3\n", "the tag"),
        ("a: \x07\n", "a character stands here that YAML does not allow"),
    ],
)
def test_broken_yaml_is_explained_with_its_line(text: str, says: str) -> None:
    assert says in refused(text)


def test_merge_keys_and_names_that_are_not_text_are_refused() -> None:
    assert "merge keys" in messages("<<: {a: 1}\n")[0]
    assert "in quotes" in messages("on: 1\n2: 3\n")[0]
    assert "in quotes" in messages("prompt: {{ name }}\n")[0]


def test_a_missing_file_a_folder_and_bytes_that_are_no_text_are_said_to_be_that(
    tmp_path: Path,
) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    for name, says in (("none.yaml", "no such file"), ("", "a folder"), ("latin.yaml", "UTF-8")):
        with pytest.raises(ConfigurationError, match=says):
            yaml_source.read(tmp_path / name)
