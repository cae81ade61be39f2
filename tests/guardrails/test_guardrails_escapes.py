"""Text with escapes is checked as it is meant, and a mask in JSON leaves JSON."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from guard_checks import Counting
from guards_world import compiled, every_cut, random_cut, streamed, unsplit
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate_core.ports import Guards

KEY = "AKIA" + "Q3EGRXKJ2ZMV7WTB"
ADDRESS = "jane.doe@example.com"
CARD = "4111 1111 1111 1111"
MASK = """
- {name: personal-data, use: pii, at: [output], action: mask}
- {name: secrets, use: secrets, at: [output], action: mask}
"""
BLOCK = "- {name: secrets, use: secrets, at: [output], action: block}"
ODD = MASK + '- {name: pairs, use: "guard_checks:Pairs", at: [output], action: mask}'
ALL = '- {name: mood, use: "guard_checks:Whole", at: [output], action: mask}'


@cache
def guards(checks: str) -> Guards:
    with TemporaryDirectory() as folder:
        return compiled(Path(folder), checks)


def masked(text: str, checks: str = MASK) -> str:
    """What comes out, the same for the ways of cutting the text into pieces."""
    expected = unsplit(guards(checks), text)
    cuts = [[text[:at], text[at:]] for at in range(0, len(text), 1 + len(text) // 50)]
    for pieces in (*cuts, list(text), *(random_cut(text, seed) for seed in range(5))):
        assert streamed(guards(checks), pieces) == expected, pieces
    return str(expected[0])


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (f"key:\n{KEY}", "key:\n[AWS_KEY]"),
        (f"\t{KEY}", "\t[AWS_KEY]"),
        (f"nr\r\n{CARD}.", "nr\r\n[CREDIT_CARD]."),
        ("ssn\n123-45-6789", "ssn\n[US_SSN]"),
        ("iban\nDE89 3704 0044 0532 0130 00", "iban\n[IBAN]"),
        ("call\n+49 30 1234567", "call\n[PHONE]"),
        (f"Mail\n{ADDRESS}", "Mail\n[EMAIL]"),
        ('my password: "hunter2x9" ok', 'my password: "[PASSWORD]" ok'),
        (f"😀{ADDRESS}\n😀", "😀[EMAIL]\n😀"),
    ],
)
def test_what_stands_behind_an_escape_is_found_and_masked_within_its_string(
    said: str, wanted: str
) -> None:
    for ascii_only in (True, False):
        out = masked(json.dumps({"b": said, "n": [1, "x"]}, ensure_ascii=ascii_only))
        assert json.loads(out) == {"b": wanted, "n": [1, "x"]}
        inner = json.dumps({"b": said}, ensure_ascii=ascii_only)
        twice = masked(json.dumps({"body": inner}))
        assert json.loads(json.loads(twice)["body"]) == {"b": wanted}


@pytest.mark.parametrize("forbidden", [KEY, ADDRESS])
def test_it_is_found_however_its_letters_are_spelled(forbidden: str) -> None:
    for at, letter in enumerate(forbidden):
        spelled = f"{forbidden[:at]}\\u{ord(letter):04x}{forbidden[at + 1 :]}"
        text = f'{{"a": "see {spelled} end"}}'
        expected, _, _ = unsplit(guards(MASK), text)
        assert json.loads(expected or "")["a"] in ("see [AWS_KEY] end", "see [EMAIL] end")
        assert streamed(guards(MASK), list(text))[0] == expected
    all_of_it = "".join(f"\\u{ord(letter):04X}" for letter in forbidden)
    assert masked(f'{{"a":"{all_of_it}"}}') in ('{"a":"[AWS_KEY]"}', '{"a":"[EMAIL]"}')


@pytest.mark.parametrize("text", [f'{{"a":"nr\\n{KEY}"}}', f"say \\n{KEY}", f"\\u0041{KEY[1:]}"])
def test_a_block_falls_for_every_cut_and_nothing_of_the_finding_is_delivered(text: str) -> None:
    assert unsplit(guards(BLOCK), text)[1] == "test/secrets"
    for pieces in every_cut(text):
        out, stopped, _ = streamed(guards(BLOCK), pieces)
        assert stopped == "test/secrets"
        assert "AKIA" not in out
        assert "u0041" not in out


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"card":4111111111111111}', '{"card":"[CREDIT_CARD]"}'),
        ('{"c": [4111111111111111, 2.5]}', '{"c": ["[CREDIT_CARD]", 2.5]}'),
        ('```json\n{"c":4111111111111111}\n```', '```json\n{"c":"[CREDIT_CARD]"}\n```'),
        (f'{{"{ADDRESS}": 1}}', '{"[EMAIL]": 1}'),
        ("[1] is 4111111111111111, as said", "[1] is [CREDIT_CARD], as said"),
        (f"C:\\share\\n{ADDRESS}", "C:\\share\\[EMAIL]"),
        ("a \\", "a \\"),
        ("a \\u00", "a \\u00"),
        ("\\ud83d \\ud83dx", "\\ud83d \\ud83dx"),
    ],
)
def test_numbers_become_strings_in_json_and_other_text_stays_as_it_was(
    text: str, wanted: str
) -> None:
    assert masked(text) == wanted


def test_a_finding_over_several_values_leaves_json() -> None:
    text = json.dumps({"a!!!": ["b", 12, True, {"c\n": None}], "d": "e!"})
    assert masked(text, ALL) == (
        '{"[MOOD]": ["[MOOD]", "[MOOD]", "[MOOD]", {"[MOOD]": "[MOOD]"}], "[MOOD]": "[MOOD]"}'
    )


WORDS = st.sampled_from(
    [
        *(ADDRESS, KEY, CARD, "+49 30 1234567", "123-45-6789", 'password: "hunter2x9"'),
        *("\n", "\t", '"', "\\", "/", " ", "ü", "😀", "7", "77", "n", "u0041", "{", "]", ",", "a"),
    ]
)
SAID = st.lists(WORDS, max_size=8).map("".join)
VALUES = st.recursive(
    SAID
    | st.integers()
    | st.just(4111111111111111)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SAID, inner, max_size=4),
    max_leaves=10,
)
OBJECTS = st.dictionaries(SAID, VALUES, max_size=4) | st.lists(VALUES, max_size=4)


BARE = re.compile(rf'(?:\A|[\s"])(?:{KEY}|{re.escape(ADDRESS)})(?:\Z|[\s"])')
"""What must not be left, with nothing around it that would make it another word."""


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield str(value)


@settings(max_examples=100, deadline=None)
@given(
    value=OBJECTS, ascii_only=st.booleans(), indent=st.sampled_from([None, 2]), odd=st.booleans()
)
def test_masked_json_is_json_for_any_value_and_holds_nothing_that_a_check_finds(
    value: Any, ascii_only: bool, indent: int | None, odd: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    checks = guards(ODD if odd else MASK)
    expected = unsplit(checks, text)
    parsed = json.loads(expected[0] or "")
    for leaf in leaves(parsed):
        assert not BARE.search(leaf)
    assert streamed(checks, list(text)) == expected
    assert streamed(checks, random_cut(text, 7)) == expected


@settings(max_examples=100, deadline=None)
@given(
    parts=st.lists(WORDS | st.sampled_from(["\\n", "\\u00", "41", '\\"', "\\ud83d", "\\ude00"])),
    seed=st.integers(0, 1000),
)
def test_any_mixture_of_escapes_in_any_pieces(parts: list[str], seed: int) -> None:
    text = "".join(parts)
    for checks in (guards(ODD), guards(ALL)):
        assert streamed(checks, random_cut(text, seed)) == unsplit(checks, text)
        assert streamed(checks, list(text)) == unsplit(checks, text)


def test_an_escape_holds_back_no_more_than_itself() -> None:
    async def run() -> None:
        state = guards(MASK).stream("output", "choice 0", [])
        assert await state.feed('{"a": "one \\') == '{"a": "one '
        assert await state.feed("ntwo th") == "\\ntwo "
        assert await state.feed("ree \\u00") == "three "
        assert await state.feed("e9 4") == "\\u00e9 "
        assert await state.flush() == "4"

    asyncio.run(run())


def test_text_without_backslashes_is_looked_at_once(tmp_path: Path) -> None:
    checks = compiled(
        tmp_path, '- {name: c, use: "guard_checks:Counting", at: [output], action: flag}'
    )
    for text, times in (("plain text", 1), ("line\\nbreak", 2), ("twice \\\\n", 3)):
        Counting.asked.clear()
        unsplit(checks, text)
        assert len(Counting.asked) == times


@pytest.mark.parametrize("letter", ["b", "n", "t", "r", "f"])
def test_no_first_letter_is_left_behind_a_backslash_that_is_meant(letter: str) -> None:
    said = {"p": f"CORP\\{letter}ob@example.com", "q": json.dumps([f"a\n{letter}ob@example.com"])}
    text = json.dumps(said)
    expected = unsplit(guards(MASK), text)
    masked = json.loads(expected[0] or "")
    assert masked["p"] == "CORP\\[EMAIL]"
    assert json.loads(masked["q"]) == ["a\n[EMAIL]"]
    for pieces in every_cut(text):
        assert streamed(guards(MASK), pieces) == expected
