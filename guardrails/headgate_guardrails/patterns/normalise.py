"""Text as a reader sees it: hidden characters gone, look-alikes and spaced-out letters undone.

Every character of the result knows where it came from, so findings point into the original.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

_LOOKALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u04cf"
    "\u03ba\u03bf\u03b1\u03c1\u03bd\u03c4\u03b9\u03c5"
    "\u2019\u2018\u02bc`\u00b4\u201c\u201d\u201e\u2013\u2014\u2011",
    "aeopcyxijsdhlkoapvtiu'''''\"\"\"---",
)
"""Cyrillic letters, Greek letters, quotation marks and dashes, each with what it looks like."""
_LEET = str.maketrans("013457@$!|", "oieastasil")
_LEET_WORD = re.compile(r"[\w@$!|]+")
_SPACED = re.compile(r"(?<!\w)(?:\w[ ._*-]){3,}\w(?!\w)")


@dataclass(frozen=True, slots=True)
class Normal:
    """``text``, and for each of its characters the position in the original."""

    text: str
    origin: tuple[int, ...]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that became ``text[start:end]``."""
        return self.origin[start], self.origin[end - 1] + 1


@lru_cache(maxsize=4096)
def _seen(char: str) -> str:
    """What a reader sees of one character; empty for what cannot be seen."""
    if char.isspace():
        return " "
    if unicodedata.category(char) in ("Cf", "Mn", "Me", "Cc", "Co"):
        return ""
    return unicodedata.normalize("NFKC", char).casefold().translate(_LOOKALIKES)


def normalise(text: str) -> Normal:
    """Compatibility forms and case folded, hidden characters removed, blanks single."""
    out: list[str] = []
    origin: list[int] = []
    for place, char in enumerate(text):
        seen = _seen(char)
        if seen == " " and out and out[-1] == " ":
            continue
        out.extend(seen)
        origin.extend([place] * len(seen))
    return Normal("".join(out), tuple(origin))


def unfold(normal: Normal) -> Normal | None:
    """With digits for letters and s p a c e d letters undone; None where there are none."""
    text = _LEET_WORD.sub(_unleet, normal.text)
    keep = set(range(len(text)))
    for match in _SPACED.finditer(text):
        keep -= set(range(match.start() + 1, match.end(), 2))
    if text == normal.text and len(keep) == len(text):
        return None
    return _picked(text, normal.origin, sorted(keep))


def _picked(text: str, origin: tuple[int, ...], keep: Iterable[int]) -> Normal:
    places = list(keep)
    return Normal("".join(text[i] for i in places), tuple(origin[i] for i in places))


def _unleet(match: re.Match[str]) -> str:
    word = match[0]
    letters = sum(char.isalpha() for char in word)
    return word.translate(_LEET) if 0 < letters < len(word) else word
