"""A streamed text is treated exactly as the same text in one piece, however it is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from guards_world import compiled, every_cut, random_cut, streamed, unsplit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate_core.types import Span, Verdict

MASK = """
- {name: personal-data, use: pii, at: [output], action: mask}
"""
SECRETS = """
- {name: secrets, use: secrets, at: [output], action: %s}
"""
BOTH = """
- {name: personal-data, use: pii, at: [output], action: mask}
- {name: secrets, use: secrets, at: [output], action: mask}
- {name: words, use: "guard_checks:Words", at: [output], action: flag}
- {name: digits, use: "guard_checks:Pairs", at: [output], action: mask}
"""

PRIVATE_KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    + "\n".join(f"MIIEow{n:02d}IBAAKCAQEAx9Zk3q7v2LbPtQ" for n in range(6))
    + "\nq7v2=\n-----END RSA PRIVATE KEY-----"
)
SAMPLES = [
    "Write to jane.doe@mail.co.uk or call +49 30 1234567, ext. 12 today.",
    "IBAN DE89 3704 0044 0532 0130 00, card 4111 1111 1111 1111; ssn 123-45-6789.",
    "Telefon: 030 1234567 x12 and 2024-01-15 10:30:00, v1.2.3.4, order 4711-0815.",
    "jane@example.org",
    "  spaces \n\n and\ttabs stay, as does the end  \n",
    "key sk-proj-a8Fj2kLm9Qx7Zt5Rw3Vb1Nc6 and password: hunter2! done",
    f"Here it is:\n{PRIVATE_KEY}\nand text after.",
    "Kaffee für müller@straße.de kostet 3,50 € 😀😀 ok",
    "a@b.co@c.de +1 (415) 555-2671(415) 555-2671 x",
]


@pytest.mark.parametrize("text", SAMPLES)
@pytest.mark.parametrize("checks", [MASK, SECRETS % "mask", BOTH], ids=["pii", "secrets", "all"])
def test_masked_text_and_verdicts_are_the_same_for_every_cut(
    tmp_path: Path, checks: str, text: str
) -> None:
    guards = compiled(tmp_path, checks)
    expected = unsplit(guards, text)
    for pieces in every_cut(text):
        assert streamed(guards, pieces) == expected, pieces


@pytest.mark.parametrize("text", SAMPLES)
def test_a_block_falls_for_every_cut_and_nothing_of_the_finding_is_delivered(
    tmp_path: Path, text: str
) -> None:
    guards = compiled(tmp_path, SECRETS % "block")
    _, stopped_by, verdicts = unsplit(guards, text)
    first = min((s.start for s in _secrets(text)), default=len(text))
    for pieces in every_cut(text):
        delivered, stopped, seen = streamed(guards, pieces)
        assert (stopped, seen) == (stopped_by, verdicts), pieces
        assert text.startswith(delivered)
        assert len(delivered) <= first, f"{delivered!r} reaches into the finding"


def _secrets(text: str) -> list[Span]:
    from headgate_guardrails.checks.secrets import Secrets

    return asyncio.run(Secrets().find(text, "output"))


def test_of_two_blocking_checks_the_one_whose_finding_comes_first_stops(tmp_path: Path) -> None:
    guards = compiled(
        tmp_path,
        """
- {name: secrets, use: secrets, at: [output], action: block}
- {name: personal-data, use: pii, at: [output], action: block}
""",
    )
    text = "mail jane@example.org, then sk-proj-a8Fj2kLm9Qx7Zt5Rw3Vb1Nc6 follows"
    assert unsplit(guards, text)[1] == "test/personal-data"
    for pieces in every_cut(text):
        assert streamed(guards, pieces)[1] == "test/personal-data"


def test_a_check_that_judges_windows_as_a_whole_decides_the_same_for_every_cut(
    tmp_path: Path,
) -> None:
    guards = compiled(
        tmp_path,
        '- {name: mood, use: "guard_checks:Whole", at: [output], action: mask}',
    )
    text = "calm " * 30 + "so! angry! here! " + "calm again " * 20 + "wow!!! " + "end " * 9
    expected = unsplit(guards, text)
    assert "[MOOD]" in str(expected[0])
    for pieces in every_cut(text):
        assert streamed(guards, pieces) == expected


PARTS = st.sampled_from(
    [
        *("jane@example.org", "x@y.zz", "+49 30 1234567", "030/1234567", "DE89", "3704 0044 0532"),
        *("0130 00", "4111", "1111 1111 1111", "4111111111111111", "123-45-6789", "phone", "tel: "),
        *("password: ", "hunter2", "sk-", "proj-a8Fj2kLm9Qx7Zt5Rw3Vb1Nc6", "eyJ", "ext. 12", "x9"),
        *("-----BEGIN ", "RSA PRIVATE KEY-----", "\nMIIEowIBAAKCAQEAx9Zk3q7v2L\n", "https://u:"),
        *(" ", "  ", "\n", ".", ",", ":", "-", "(", ")", "@", "=", "word", "card", "7", "77", "ü"),
    ]
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=st.lists(PARTS, max_size=40), seed=st.integers(0, 10_000))
def test_any_mixture_in_any_pieces(
    make: Callable[[str], object], parts: list[str], seed: int
) -> None:
    text = "".join(parts)
    guards = make(BOTH)
    assert streamed(guards, random_cut(text, seed)) == unsplit(guards, text)  # type: ignore[arg-type]
    assert streamed(guards, list(text)) == unsplit(guards, text)  # type: ignore[arg-type]


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], object]:
    built: dict[str, object] = {}

    def _make(checks: str) -> object:
        if checks not in built:
            built[checks] = compiled(tmp_path, checks)
        return built[checks]

    return _make


def test_plain_prose_is_delivered_word_by_word(tmp_path: Path) -> None:
    guards = compiled(tmp_path, MASK + SECRETS % "block")

    async def run() -> None:
        state = guards.stream("output", "choice 0", [])
        assert await state.feed("Retries are decided by the pool, ") == (
            "Retries are decided by the pool, "
        )
        assert await state.feed("and hal") == "and "
        assert await state.feed("f a word waits.") == "half a word "
        assert await state.flush() == "waits."

    asyncio.run(run())


def test_streams_that_run_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    guards = compiled(tmp_path, MASK)

    async def one(number: int) -> tuple[str, list[Verdict]]:
        verdicts: list[Verdict] = []
        state = guards.stream("output", f"choice {number}", verdicts)
        out = ""
        for piece in random_cut(f"I am {number}: user{number}@example.org.", number):
            out += await state.feed(piece)
            await asyncio.sleep(0)
        return out + await state.flush(), verdicts

    async def run() -> None:
        for number, (out, verdicts) in enumerate(
            await asyncio.gather(*(one(n) for n in range(100, 200))), start=100
        ):
            assert out == f"I am {number}: [EMAIL]."
            assert {v.subject for v in verdicts} == {f"choice {number}"}

    asyncio.run(run())


def test_a_long_text_is_treated_the_same_in_pieces(tmp_path: Path) -> None:
    guards = compiled(tmp_path, BOTH)
    text = " ".join(f"{sample} {n} 7{n}77 card" for n in range(25) for sample in SAMPLES)
    expected = unsplit(guards, text)
    for seed in range(3):
        assert streamed(guards, random_cut(text, seed)) == expected
