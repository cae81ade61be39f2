"""Text as a reader sees it: hidden characters gone, look-alikes and spaced-out letters undone.

Every character of the result knows where it came from, so findings point into the original.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_LOOKALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u04cf"
    "\u03ba\u03bf\u03b1\u03c1\u03bd\u03c4\u03b9\u03c5"
    "\u2019\u2018\u02bc`\u00b4\u201c\u201d\u201e\u2013\u2014\u2011",
    "aeopcyxijsdhlkoapvtiu'''''\"\"\"---",
)
"""Cyrillic letters, Greek letters, quotation marks and dashes, each with what it looks like."""
_LETTER_OF = str.maketrans("013457@$!|", "oieastasil")
_LEET = re.compile(r"[a-z][013457@$]|[013457@$][a-z]|[a-z][!|][a-z]")
_MIXED_WORD = re.compile(r"(?=[013457@$!|]*[a-z])(?=[a-z]*[013457@$!|])[a-z013457@$!|]+")
_SPACED = re.compile(r"(?<!\w)(?:\w[ ._*-]){3,}\w(?!\w)")
_RUN = re.compile(r"(?P<plain>[!-_a-~]+(?: [!-_a-~]+)*)|(?P<blank>\s+)|(?P<other>.)", re.DOTALL)


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
    """What a reader sees of one character or of blanks; empty for what cannot be seen."""
    if char.isspace():
        return " "
    if unicodedata.category(char) in ("Cf", "Mn", "Me", "Cc", "Co"):
        return ""
    return unicodedata.normalize("NFKC", char).casefold().translate(_LOOKALIKES)


def normalise(text: str) -> Normal:
    """Compatibility forms and case folded, hidden characters removed, blanks single."""
    out: list[str] = []
    origin: list[int] = []
    blank = False
    for match in _RUN.finditer(text):
        start, end = match.span()
        if match.lastgroup == "plain":
            out.append(match[0].lower())
            origin.extend(range(start, end))
            blank = False
            continue
        seen = _seen(match[0])
        if seen and not (blank and seen == " "):
            out.append(seen)
            origin.extend([start] * len(seen))
            blank = seen == " "
    return Normal("".join(out), tuple(origin))


def unfold(normal: Normal) -> Normal | None:
    """With digits for letters and s p a c e d letters undone; None where there are none."""
    leet = _LEET.search(normal.text) is not None
    if not leet and _SPACED.search(normal.text) is None:
        return None
    text = _MIXED_WORD.sub(_unleet, normal.text) if leet else normal.text
    pieces: list[str] = []
    origin: list[int] = []
    at = 0
    for match in _SPACED.finditer(text):
        letters = range(match.start(), match.end(), 2)
        pieces += [text[at : match.start()], match[0][::2]]
        origin += [*normal.origin[at : match.start()], *(normal.origin[i] for i in letters)]
        at = match.end()
    return Normal("".join([*pieces, text[at:]]), (*origin, *normal.origin[at:]))


def _unleet(match: re.Match[str]) -> str:
    return match[0].translate(_LETTER_OF)
