"""Large texts: others go on meanwhile, time limits hold, and verdicts stay what they are."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from guards_world import compiled, unsplit

from headgate_core.errors import GuardFailed
from headgate_core.ports import Check, Stopped
from headgate_core.types import Action, At, Span, Verdict
from headgate_guardrails.bound import FRAME, BoundCheck
from headgate_guardrails.checks.pii import Pii
from headgate_guardrails.checks.secrets import Secrets
from headgate_guardrails.enforcer import Enforcer
from headgate_guardrails.masker import WITHHELD, Masker
from headgate_guardrails.policy import OnError

CHECKS = """
- {name: secrets, use: secrets, at: [input], action: block}
- {name: personal-data, use: pii, at: [input], action: mask}
- {name: takeover, use: injection, at: [input], action: flag}
"""
NUMBERS = " ".join(map(str, range(60_000)))


@dataclass
class _Clock:
    """A clock that goes on only when a check looks at text: one millisecond a character."""

    ms: float = 0.0

    def __call__(self) -> int:
        return int(self.ms * 1e6)


@dataclass
class _Slow:
    """Computes without a pause, and finds every ``card``."""

    clock: _Clock
    window: int = 12
    context: int = 1
    asked: list[int] = field(default_factory=list)

    async def find(self, text: str, at: At) -> list[Span]:
        self.asked.append(len(text))
        self.clock.ms += len(text)
        return [Span(m.start(), m.end(), "card") for m in re.finditer("card", text)]


@dataclass
class _Long:
    """Breaks its promise: its findings are longer than its window."""

    window: int = 12
    context: int = 1

    async def find(self, text: str, at: At) -> list[Span]:
        return [Span(m.start(), m.end(), "run") for m in re.finditer("a+", text)]


def _bound(check: Check, *, on_error: OnError, max_ms: float, action: Action) -> BoundCheck:
    return BoundCheck(
        order=0,
        policy="test",
        name="slow",
        check=check,
        at=("input",),
        action=action,
        mode="enforce",
        on_error=on_error,
        max_ms=max_ms,
        refusal_text="no",
        refusal_as_error=False,
    )


def _slow(on_error: OnError, max_ms: float, action: Action = "block") -> tuple[BoundCheck, _Slow]:
    clock = _Clock()
    check = _Slow(clock)
    bound = _bound(check, on_error=on_error, max_ms=max_ms, action=action)
    return replace(bound, clock=clock), check


def _enforce(bound: BoundCheck, text: str) -> tuple[str | None, list[Verdict]]:
    verdicts: list[Verdict] = []
    return asyncio.run(Enforcer("input", "message 1", verdicts, [bound]).whole(text)), verdicts


async def _turns_during(work: Any) -> int:
    """How many turns the event loop has for others until ``work`` is done."""
    turns = 0
    task = asyncio.ensure_future(work)
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    with contextlib.suppress(Stopped):
        await task
    return turns


def test_others_have_their_turn_many_times_while_a_long_text_is_checked(tmp_path: Path) -> None:
    guards = compiled(tmp_path, CHECKS)
    turns = asyncio.run(_turns_during(guards.check("input", NUMBERS, "message 1", [])))
    assert turns >= 3 * (len(NUMBERS) // FRAME)


def test_many_short_texts_in_a_row_let_others_go_on_as_well(tmp_path: Path) -> None:
    guards = compiled(tmp_path, CHECKS)
    pieces = [NUMBERS[at : at + 1000] for at in range(0, len(NUMBERS), 1000)]

    async def all_of_them() -> None:
        for piece in pieces:
            await guards.check("input", piece, "message", [])

    assert asyncio.run(_turns_during(all_of_them())) >= 3 * (len(NUMBERS) // FRAME) / 2


def test_a_check_that_computes_too_long_is_stopped_between_frames() -> None:
    bound, check = _slow("block", max_ms=2.5 * FRAME)
    with pytest.raises(GuardFailed, match="took longer than"):
        _enforce(bound, "x" * 50 * FRAME)
    assert len(check.asked) <= 3
    assert max(check.asked) <= FRAME


def test_with_on_error_pass_a_slow_check_lets_the_rest_through_and_says_so() -> None:
    bound, _ = _slow("pass", max_ms=FRAME / 2, action="mask")
    text = "x" * 3 * FRAME
    delivered, verdicts = _enforce(bound, text)
    assert delivered == text
    (verdict,) = verdicts
    assert (verdict.action, verdict.error) == ("pass", f"took longer than {FRAME / 2:g} ms")
    assert verdict.ms == FRAME


def test_what_was_found_before_the_time_was_up_still_blocks() -> None:
    bound, _ = _slow("pass", max_ms=FRAME / 2)
    with pytest.raises(Stopped):
        _enforce(bound, "my card " + "x" * 3 * FRAME)


def test_a_text_within_the_limit_is_checked_to_its_end() -> None:
    bound, _ = _slow("block", max_ms=10 * FRAME, action="mask")
    delivered, _verdicts = _enforce(bound, "x" * 4 * FRAME + " card")
    assert delivered is not None and delivered.endswith(" [CARD]")


def test_a_finding_longer_than_a_frame_is_one_finding() -> None:
    bound = _bound(_Long(), on_error="block", max_ms=1e6, action="mask")
    delivered, (verdict,) = _enforce(bound, "b" + "a" * 5 * FRAME + "b")
    assert (delivered, verdict.kinds) == ("b[RUN]b", ("run",))


def _secrets_everywhere() -> Iterator[str]:
    """Findings at many distances, so that some lie across every edge between frames."""
    finding = "mail jane.doe@mail.co.uk, card 4111 1111 1111 1111, tel +49 30 1234567, "
    for shift in range(0, 120, 7):
        filler = "word " * 600 + "x" * shift + " "
        yield "".join(f"{filler}{finding}" for _ in range(16))
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + ("MIIEow01IBAAKCAQEAx9Zk3q7v2LbPtQ" + "\n") * 900
    yield "text " * 2000 + key + "-----END RSA PRIVATE KEY-----\nand " + "text " * 2000


@pytest.mark.parametrize("number", range(19))
def test_findings_of_a_long_text_are_those_of_the_check_on_all_of_it(number: int) -> None:
    text = list(_secrets_everywhere())[min(number, 18)]
    for check in (Pii(), Secrets()):
        bound = _bound(check, on_error="block", max_ms=1e6, action="mask")
        whole = asyncio.run(check.find(text, "input"))
        delivered, verdicts = _enforce(bound, text)
        kinds = [kind for verdict in verdicts for kind in verdict.kinds]
        assert sorted(kinds) == sorted(span.kind for span in whole)
        assert delivered is not None
        assert len(delivered) == len(text) - sum(
            span.end - span.start - len(span.kind) - 2 for span in whole
        )


def test_a_text_full_of_findings_is_masked_everywhere(tmp_path: Path) -> None:
    guards = compiled(tmp_path, CHECKS)
    delivered, _, verdicts = unsplit(guards, "a.b@mail.de " * 5000, "input")
    assert delivered == "[EMAIL] " * 5000
    assert len(verdicts[0][5]) == 5000


WORST = [
    *("1 ", "1", "12 ", "a", "@", ".", " ", "1.", "1-", "(1)", "+1", "a@", "a.", "00 ", "01 "),
    *("4111 1111 1111 1111 ", "DE11 ", "123-45-6789 ", "-tel", "1-tel", "phone ", "ssn "),
    *("-----BEGIN ", "-----BEGIN RSA PRIVATE KEY-----\n", "password=", "eyJaaaaaaaaaaa.", "QUJD"),
]


@pytest.mark.parametrize("piece", WORST)
def test_where_the_open_end_of_a_text_begins_is_the_same_for_every_length(piece: str) -> None:
    """The open end is looked for in the last window alone, however long the text is."""
    for check in (Pii(), Secrets()):
        size = 4 * check.window
        short = piece * (size // len(piece) + 1)
        ends = [len(text) - check.open_from(text) for text in (short, short * 4)]
        assert ends[0] == ends[1]
        assert max(ends) <= check.window + 1


@pytest.mark.parametrize("text", ["1 " * 2000, "12 " * 2000, NUMBERS[-6000:], "00 " * 2000])
def test_digits_that_are_no_number_of_anybody_cost_next_to_nothing(text: str) -> None:
    """Calls are counted: looking at the words before every digit would take many a character."""
    calls = 0

    def count(_frame: Any, _event: str, _argument: Any) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        spans = list(Pii()._all(text))
    finally:
        sys.setprofile(None)
    assert spans == []
    assert calls < len(text)


def test_frames_of_one_text_never_grow() -> None:
    bound, check = _slow("block", max_ms=1e9, action="mask")
    _enforce(bound, "word " * 4 * FRAME)
    assert max(check.asked) <= FRAME


def test_the_masker_hides_personal_data_of_every_type_and_secrets() -> None:
    text = (
        "jane.doe@mail.co.uk +49 30 1234567 DE89 3704 0044 0532 0130 00 4111 1111 1111 1111 "
        "ssn 123-45-6789 from 203.0.113.7 with sk-proj-a8Fj2kLm9Qx7Zt5Rw3Vb1Nc6"
    )
    masked = asyncio.run(Masker().mask(text))
    assert masked == (
        "[EMAIL] [PHONE] [IBAN] [CREDIT_CARD] ssn [US_SSN] from [IP_ADDRESS] with [OPENAI_KEY]"
    )


@pytest.mark.parametrize("text", ["", "\x00\x00", "\ud800", "4" * 50_000, "@" * 50_000, "\n" * 9])
def test_the_masker_takes_any_text(text: str) -> None:
    assert asyncio.run(Masker().mask(text)) == text


def test_a_text_that_cannot_be_masked_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Pii, text: str, at: At) -> list[Span]:
        raise ValueError("cannot")

    monkeypatch.setattr(Pii, "find", broken)
    assert asyncio.run(Masker().mask("jane.doe@mail.co.uk")) == WITHHELD
