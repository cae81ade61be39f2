"""Telephone numbers: international, the national forms of some countries, and any after a word.

A number written in one country's own way looks like many other numbers, so what has neither a
country code nor the strict shape of its country counts only after a word such as "phone".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headgate_core.types import Span

LONGEST = 80
"""Characters of the longest number with its separators and its extension."""

_CODES = (
    "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 "
    "64 65 66 81 82 84 86 90 91 92 93 94 95 98 211 212 213 216 218 220-229 230-239 240-246 248 249 "
    "250-258 260-269 290 291 297-299 350-359 370-378 380-383 385-387 389 420 421 423 500-509 "
    "590-599 670 672-683 685-692 800 808 850 852 853 855 856 870 880 886 960-968 970-977 979 "
    "992-996 998"
)
"""Country calling codes; ``220-229`` stands for all from the first to the last."""


def _expanded(ranges: str) -> Iterator[str]:
    for part in ranges.split():
        first, _, last = part.partition("-")
        yield from map(str, range(int(first), int(last or first) + 1))


_COUNTRIES = frozenset(_expanded(_CODES))

_BEFORE = r"(?<![\w+/=#])(?<!\d[.,:-])(?<![A-Za-z]-)"
_ALONE = rf"{_BEFORE}(?<!\d[ (])"
_EXTENSION = r"(?:[ ]?(?:x|ext\.?|extension|Durchwahl)[ ]?\d{1,5})?"
_AFTER = r"(?![\w+])(?![-./:,]\d)"

_INTERNATIONAL = re.compile(
    rf"{_BEFORE}(?=((?:\+|(?<!\d[ ])00)[1-9](?:[ ./-]?[ ]?\(?\d\)?){{6,14}}{_EXTENSION}){_AFTER})"
)
_NANP = re.compile(
    rf"{_ALONE}(?:1[ .-])?(?:\([2-9]\d\d\)[ -]?[2-9]\d\d[-. ]\d{{4}}"
    rf"|[2-9]\d\d([-.])[2-9]\d\d\1\d{{4}}){_EXTENSION}{_AFTER}"
)
_UK = re.compile(
    rf"{_ALONE}(?:\(0[12]\d{{1,4}}\)[ ]?|0[12378]\d{{1,4}}[ -])\d{{3,4}}(?:[ -]?\d{{3,4}})?"
    rf"{_EXTENSION}{_AFTER}"
)
_DE = re.compile(
    rf"{_ALONE}(?:\(0[2-9]\d{{1,4}}\)[ ]?|0[2-9]\d{{1,4}}[ ]?[/-][ ]?|0[2-9]\d{{1,4}}[ ])"
    rf"\d{{2,8}}(?:[ -]\d{{1,6}}){{0,3}}{_AFTER}"
)
_DE_MOBILE = re.compile(rf"{_ALONE}01[567]\d[ /-]?\d{{7,8}}{_AFTER}")
_ANY = re.compile(rf"{_BEFORE}(?=(\(?\d(?:[ ./-]?[()]?[ ]?\d){{5,13}}{_EXTENSION}){_AFTER})")
_SLASHED = re.compile(r"\(?0\d+\)? ?/")

_NAMED = re.compile(
    r"(?=[acdfhmprstw])(?:\b(?:tele)?(?:phone|fon)(?:[ ]?(?:number|no\.?))?|\btel|\bmobile?"
    r"|\bcell(?:[ ]?phone|[ ]number|(?=[ ]?:))|\bfax"
    r"|\bwhats\s?app|\bsms|\bdesk(?=[ ]?:)|\bcall(?:ing)?(?:[ ](?:me|us|him|her|them|back))?"
    r"|\b(?:text|messages?|reach|contact|dial|ring)(?:[ ](?:me|us|him|her|them|to))?"
    r"|\bhandy(?:nummer)?|\b(?:ruf|telefon|mobil)nummer|\bdurchwahl|\banruf(?:en)?)"
    r"\b([^\d\n]{0,16}?)(?=\(?\d)",
    re.IGNORECASE,
)
"""A word such as "phone" with all that stands between it and the first digit behind it."""
_LABEL = re.compile(r"(?<=\d)-(?:office|fax|mobile?|home|work|cell|tel|privat)\b", re.IGNORECASE)
_NOT_A_NUMBER = re.compile(
    r"\d{4}[-./]\d{1,2}[-./]\d{1,2}(?!\d)|\d{1,2}[-./]\d{1,2}[-./](?:\d{4}|\d{2})(?![.\d-])"
    r"|(?:\d{1,3}\.){3}\d{1,3}(?!\d)|\d{3}-\d{2}-\d{4}"
)
"""Dates, IP addresses and social security numbers."""


def find(text: str, locales: frozenset[str]) -> Iterator[Span]:
    """Numbers in international form, in the forms of ``locales`` (en: US, UK), or by a word."""
    for match in _INTERNATIONAL.finditer(text):
        if _has_country(match[1]):
            yield Span(match.start(), match.end(1), "phone")
    for pattern in _national(locales):
        for match in pattern.finditer(text):
            if _full_length(match[0]):
                yield Span(match.start(), match.end(), "phone")
    yield from _after_a_word(text)
    yield from _before_a_label(text)


def _after_a_word(text: str) -> Iterator[Span]:
    """Numbers right after a word: looking for the words first spares a look at every digit."""
    for word in _NAMED.finditer(text):
        yield from _any(_ANY.match(text, word.end()))
        if text[word.end()] == "(" and len(word[1]) < 16:
            yield from _any(_ANY.match(text, word.end() + 1))


def _before_a_label(text: str) -> Iterator[Span]:
    """Numbers that a label such as ``-office`` hangs on behind."""
    for label in _LABEL.finditer(text):
        for match in _ANY.finditer(text, max(0, label.start() - LONGEST), label.start()):
            if match.end(1) == label.start():
                yield from _any(match)


def _any(match: re.Match[str] | None) -> Iterator[Span]:
    if match is None or _NOT_A_NUMBER.match(match.string, match.start(), match.end(1)):
        return
    if _digits(match[1]) >= 6:
        yield Span(match.start(), match.end(1), "phone")


def _full_length(number: str) -> bool:
    """Area code and number together; only a slash tells a short one from other digits."""
    least = 7 if _SLASHED.match(number) else 10
    return least <= _digits(number) <= 17 and not _NOT_A_NUMBER.match(number)


def _national(locales: frozenset[str]) -> Iterator[re.Pattern[str]]:
    if "en" in locales:
        yield from (_NANP, _UK)
    if "de" in locales:
        yield from (_DE, _DE_MOBILE)


def _digits(text: str) -> int:
    return sum(char.isdigit() for char in text)


def _has_country(number: str) -> bool:
    digits = re.sub(r"\D", "", number.partition("x")[0])
    digits = digits.removeprefix("00") if number.startswith("00") else digits
    return 8 <= len(digits) <= 16 and any(digits[:n] in _COUNTRIES for n in (1, 2, 3))
