"""A policy file is either right or refused with what to do; what it says is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from guards_world import capability, compiled, unsplit, write

from headgate_core.errors import ConfigurationError

PII = "- {name: personal-data, use: pii, at: [input, output], action: mask}"


def refused(folder: Path, checks: str, head: str = "", name: str = "test") -> str:
    write(folder, checks, name, head)
    with pytest.raises(ConfigurationError) as caught:
        capability(folder).compile([name])
    return str(caught.value)


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ("- {name: a, use: pii, at: [output], action: drop}", "works at passages and tool_results"),
        ("- {name: a, use: pii, at: [input, passages], action: drop}", "not at input"),
        ("- {name: a, use: pii, at: [output, output], action: mask}", "named more than once"),
        ("- {name: a, use: pii, at: [], action: mask}", "at"),
        ("- {name: a, use: pii, at: [elsewhere], action: mask}", "elsewhere"),
        ("- {name: a, use: pii, at: [output], action: burn}", "burn"),
        ("- {name: a, use: pii, at: [output]}", "action"),
        ("- {name: a, use: pii, at: [output], action: mask, colour: red}", "colour"),
        ("- {name: a, use: pii, at: [output], action: mask, max_ms: 0}", "max_ms"),
        ("- {name: a, use: pii, at: [output], action: mask, mode: dream}", "dream"),
        ("- {name: a, use: secretz, at: [output], action: block}", "Did you mean 'secrets'?"),
        ("- {name: a, use: pii, at: [output], action: mask, options: {typs: [email]}}", "'types'"),
        ("- {name: a, use: pii, at: [output], action: mask, options: {types: [mail]}}", "types"),
        ("- {name: a, use: 'guard_checks:Judge', at: [output], action: mask}", "as a whole"),
        ("- {name: a, use: 'guard_checks:NoCheck', at: [output], action: flag}", "is no check"),
        (f"{PII}\n{PII}", "two checks are named 'personal-data'"),
    ],
)
def test_nonsense_is_refused_and_named(tmp_path: Path, check: str, says: str) -> None:
    assert says in refused(tmp_path, check)


@pytest.mark.parametrize(
    ("check", "member"),
    [
        ("- {name: a, use: pii, at: [output], action: mask, restore: true}", "restore"),
        ("- {name: a, use: pii, at: [output], action: mask, otherwise: flag}", "otherwise"),
        ("- {name: a, use: pii, at: [output], action: retry}", "retry"),
    ],
)
def test_members_of_later_versions_are_refused_as_such(
    tmp_path: Path, check: str, member: str
) -> None:
    message = refused(tmp_path, check)
    assert member in message
    assert "this version does not do it yet" in message


def test_all_faults_of_a_file_come_at_once_with_their_lines(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        "- {name: a, use: pii, at: [output], action: burn}\n"
        "- {name: b, use: pii, at: [nowhere], action: mask}",
        head="mod: shadow",
    )
    assert "test.yaml:2" in message and "mod" in message
    assert "test.yaml:4" in message and "test.yaml:5" in message


def test_faults_of_several_checks_come_at_once(tmp_path: Path) -> None:
    message = refused(
        tmp_path,
        "- {name: first, use: nope, at: [output], action: mask}\n"
        "- {name: second, use: pii, at: [output], action: mask, options: {x: 1}}",
    )
    assert "test.yaml:4: unknown checks plugin 'nope'" in message
    assert "test.yaml:5: unknown pii option 'x'" in message


def test_faults_that_building_finds_have_their_line_and_come_for_all_policies(
    tmp_path: Path,
) -> None:
    write(tmp_path, "- {name: a, use: 'guard_checks:NoCheck', at: [output], action: flag}", "one")
    write(tmp_path, "- {name: b, use: 'guard_checks:Judge', at: [output], action: mask}", "two")
    with pytest.raises(ConfigurationError) as caught:
        capability(tmp_path).compile(["one", "two"])
    found = [(p.file.name, p.line, p.message) for p in caught.value.problems]
    assert [(name, line) for name, line, _ in found] == [("one.yaml", 4), ("two.yaml", 4)]
    assert "check 'a'" in found[0][2] and "check 'b'" in found[1][2]


def test_a_policy_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    write(tmp_path, PII, "strict")
    with pytest.raises(ConfigurationError, match="Policies there: strict"):
        capability(tmp_path).compile(["default"])


def test_the_name_must_be_the_files(tmp_path: Path) -> None:
    path = write(tmp_path, PII, "one")
    path.rename(path.with_name("two.yaml"))
    with pytest.raises(ConfigurationError, match="must be 'two'"):
        capability(tmp_path).compile(["two"])


def test_a_route_with_two_policies_gets_the_checks_of_both(tmp_path: Path) -> None:
    write(tmp_path, PII, "first")
    write(tmp_path, "- {name: keys, use: secrets, at: [output], action: block}", "second")
    guards = capability(tmp_path).compile(["first", "second"])
    assert unsplit(guards, "mail jane@example.org")[0] == "mail [EMAIL]"
    assert unsplit(guards, "ghp_16C7e42F292c6912E7710c838347Ae178B4a")[1] == "second/keys"


def test_a_place_without_checks_is_not_guarded_and_passes_unchanged(tmp_path: Path) -> None:
    guards = compiled(tmp_path, PII)
    assert guards.guards("output") and not guards.guards("passages")
    assert guards.holds_back("passages") == 0
    assert unsplit(guards, "jane@example.org", "passages") == ("jane@example.org", "", ())


def test_hold_back_is_the_widest_of_the_checks_at_that_place(tmp_path: Path) -> None:
    guards = compiled(
        tmp_path,
        f"{PII}\n- {{name: mood, use: 'guard_checks:Whole', at: [output], action: flag}}\n"
        "- {name: keys, use: secrets, at: [input], action: block}",
    )
    assert guards.holds_back("output") < guards.holds_back("input")


def test_the_version_follows_what_decides_and_nothing_else(tmp_path: Path) -> None:
    one = compiled(tmp_path / "a", PII).version
    same = compiled(tmp_path / "b", PII).version
    other = compiled(tmp_path / "c", PII.replace("mask", "block")).version
    assert one == same != other


def test_options_with_the_types_asked_for(tmp_path: Path) -> None:
    guards = compiled(
        tmp_path,
        "- {name: a, use: pii, at: [output], action: mask, options: {types: [iban]}}",
    )
    text = "jane@example.org DE89370400440532013000"
    assert unsplit(guards, text)[0] == "jane@example.org [IBAN]"
