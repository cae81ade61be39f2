"""What actions, modes and failures do to a text and to the verdicts."""

from __future__ import annotations

import asyncio
import traceback
from pathlib import Path

import pytest
from guard_checks import Counting
from guards_world import compiled, streamed, unsplit

from headgate_core.errors import GuardFailed
from headgate_core.ports import Stopped
from headgate_core.types import Verdict

EMAIL = "Ask jane.doe@example.org about it."


def test_a_mask_names_the_kind_and_the_verdict_holds_no_text(tmp_path: Path) -> None:
    guards = compiled(tmp_path, "- {name: personal-data, use: pii, at: [output], action: mask}")
    verdicts: list[Verdict] = []
    out = asyncio.run(guards.check("output", f"{EMAIL} {EMAIL}", "choice 0", verdicts))
    assert out == "Ask [EMAIL] about it. Ask [EMAIL] about it."
    (verdict,) = verdicts
    assert (verdict.policy, verdict.check, verdict.action) == ("test", "personal-data", "mask")
    assert verdict.kinds == ("email", "email")
    assert (verdict.at, verdict.subject, verdict.mode) == ("output", "choice 0", "enforce")
    assert verdict.ms > 0
    assert "jane" not in repr(verdict)


def test_overlapping_masks_of_two_checks_become_one_placeholder(tmp_path: Path) -> None:
    guards = compiled(
        tmp_path,
        "- {name: keys, use: secrets, at: [output], action: mask}\n"
        "- {name: mail, use: pii, at: [output], action: mask}",
    )
    out, _, verdicts = unsplit(guards, "password: jane2doe3@mail.org ok")
    assert out in ("password: [PASSWORD] ok", "password: [EMAIL] ok")
    assert {v[1] for v in verdicts} == {"keys", "mail"}


@pytest.mark.parametrize(("manner", "as_error"), [("message", False), ("error", True)])
def test_a_block_tells_the_policys_text_and_manner(
    tmp_path: Path, manner: str, as_error: bool
) -> None:
    guards = compiled(
        tmp_path,
        "- {name: mail, use: pii, at: [input], action: block}",
        head=f"refusal: {{as: {manner}, text: Not that.}}",
    )
    verdicts: list[Verdict] = []
    with pytest.raises(Stopped) as caught:
        asyncio.run(guards.check("input", EMAIL, "message 1", verdicts))
    assert (caught.value.policy, caught.value.check) == ("test", "mail")
    assert (caught.value.text, caught.value.as_error) == ("Not that.", as_error)
    assert verdicts[0].action == "block"


def test_drop_leaves_a_passage_out_and_the_others_alone(tmp_path: Path) -> None:
    guards = compiled(tmp_path, "- {name: mail, use: pii, at: [passages], action: drop}")
    assert unsplit(guards, EMAIL, "passages")[0] is None
    assert unsplit(guards, "no data", "passages") == ("no data", "", ())


def test_a_block_on_a_passage_ends_the_call(tmp_path: Path) -> None:
    guards = compiled(tmp_path, "- {name: mail, use: pii, at: [passages], action: block}")
    assert unsplit(guards, EMAIL, "passages")[1] == "test/mail"


def test_flag_only_records(tmp_path: Path) -> None:
    guards = compiled(tmp_path, "- {name: mail, use: pii, at: [output], action: flag}")
    out, stopped, verdicts = unsplit(guards, EMAIL)
    assert (out, stopped) == (EMAIL, "")
    assert verdicts[0][3] == "flag"


@pytest.mark.parametrize("action", ["block", "mask", "flag"])
def test_shadow_counts_and_changes_nothing(tmp_path: Path, action: str) -> None:
    guards = compiled(
        tmp_path, f"- {{name: mail, use: pii, at: [output], action: {action}}}", head="mode: shadow"
    )
    for out, stopped, verdicts in (unsplit(guards, EMAIL), streamed(guards, list(EMAIL))):
        assert (out, stopped) == (EMAIL, "")
        assert [v[3:6] for v in verdicts] == [(action, "shadow", ("email",))]


def test_a_check_may_enforce_in_a_shadow_policy(tmp_path: Path) -> None:
    guards = compiled(
        tmp_path,
        "- {name: mail, use: pii, at: [output], action: mask, mode: enforce}",
        head="mode: shadow",
    )
    assert unsplit(guards, EMAIL)[0] == "Ask [EMAIL] about it."


FAILING = ["guard_checks:Broken", "guard_checks:Hanging", "guard_checks:Outside"]


@pytest.mark.parametrize("use", FAILING)
def test_a_failing_check_ends_the_call_unless_the_policy_says_otherwise(
    tmp_path: Path, use: str
) -> None:
    guards = compiled(
        tmp_path, f"- {{name: odd, use: '{use}', at: [output], action: flag, max_ms: 20}}"
    )
    verdicts: list[Verdict] = []
    with pytest.raises(GuardFailed, match="'odd'") as caught:
        asyncio.run(guards.check("output", EMAIL, "choice 0", verdicts))
    assert [(v.action, bool(v.error)) for v in verdicts] == [("error", True)]
    told = "".join(traceback.format_exception(caught.value)) + repr(verdicts)
    assert "jane" not in told, "the error of a check must not carry the caller's text along"


@pytest.mark.parametrize("use", FAILING)
@pytest.mark.parametrize(("on_error", "action"), [("pass", "pass"), ("flag", "error")])
def test_with_pass_and_flag_the_call_goes_on_and_the_others_still_look(
    tmp_path: Path, use: str, on_error: str, action: str
) -> None:
    guards = compiled(
        tmp_path,
        f"- {{name: odd, use: '{use}', at: [output], action: block, max_ms: 20}}\n"
        "- {name: mail, use: pii, at: [output], action: mask, on_error: block}",
        head=f"on_error: {on_error}",
    )
    for out, stopped, verdicts in (unsplit(guards, EMAIL), streamed(guards, list(EMAIL))):
        assert (out, stopped) == ("Ask [EMAIL] about it.", "")
        assert sorted(v[3] for v in verdicts) == sorted(["mask", action])


def test_a_failing_shadow_check_never_ends_a_call(tmp_path: Path) -> None:
    guards = compiled(
        tmp_path,
        "- {name: odd, use: 'guard_checks:Broken', at: [output], action: block, mode: shadow}",
    )
    out, _, verdicts = unsplit(guards, EMAIL)
    assert out == EMAIL
    assert verdicts[0][3:5] == ("error", "shadow")


def test_checks_that_wait_run_at_the_same_time(tmp_path: Path) -> None:
    guards = compiled(
        tmp_path,
        "- {name: a, use: 'guard_checks:Meeting', at: [input], action: flag, options: {name: a}}\n"
        "- {name: b, use: 'guard_checks:Meeting', at: [input], action: flag, options: {name: b}}",
    )
    assert unsplit(guards, "one waits for the other", "input")[0] == "one waits for the other"


def test_a_cheap_block_spares_the_slow_checks(tmp_path: Path) -> None:
    guards = compiled(
        tmp_path,
        "- {name: slow, use: 'guard_checks:Counting', at: [input], action: block}\n"
        "- {name: mail, use: pii, at: [input], action: block}",
    )
    Counting.asked.clear()
    assert unsplit(guards, EMAIL, "input")[1] == "test/mail"
    assert Counting.asked == []
    unsplit(guards, "nothing in it", "input")
    assert Counting.asked == ["nothing in it"]


def test_a_check_that_cannot_say_where_may_still_drop(tmp_path: Path) -> None:
    guards = compiled(
        tmp_path, "- {name: judge, use: 'guard_checks:Judge', at: [passages], action: drop}"
    )
    assert unsplit(guards, "any text", "passages")[0] is None
