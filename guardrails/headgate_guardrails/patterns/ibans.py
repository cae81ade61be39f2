"""International bank account numbers: lengths by country and the mod-97 checksum."""

from __future__ import annotations

import re
from collections.abc import Iterator

from headgate_core.types import Span

LENGTHS: dict[str, int] = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FK", "FO", "FI", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "MN", "XK"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "OM", "SO", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    "LC": 32,
    "RU": 33,
}
"""Characters of an IBAN by country, without spaces."""

LONGEST = 45
"""Characters: 33 with a space after every fourth, and a look behind the last."""

_VALUES = {ord(letter): str(int(letter, 36)) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_SHAPES = {
    length: re.compile(rf"[A-Za-z]{{2}}[0-9]{{2}}(?:[ -]?[A-Za-z0-9]){{{length - 4}}}(?![^\W_])")
    for length in sorted(set(LENGTHS.values()))
}
"""The shape of an IBAN of so many characters."""
_CHECK_DIGITS = re.compile(r"\d\d")
_START = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{2})\d{2}[ -]?[A-Za-z0-9]")


def valid(iban: str) -> bool:
    """Whether the two check digits fit the rest; ``iban`` without spaces, any case."""
    moved = (iban[4:] + iban[:4]).upper()
    return int(moved.translate(_VALUES)) % 97 == 1


def find(text: str) -> Iterator[Span]:
    """IBANs in one piece or in groups parted by single spaces or hyphens."""
    for match in _START.finditer(text) if _CHECK_DIGITS.search(text) else ():
        length = LENGTHS.get(match[1].upper(), 0)
        whole = _SHAPES[length].match(text, match.start()) if length else None
        if whole and valid(whole[0].replace(" ", "").replace("-", "")):
            yield Span(match.start(), whole.end(), "iban")
