"""Payment card numbers: issuer ranges, lengths and the Luhn checksum."""

from __future__ import annotations

import re
from collections.abc import Iterator

from headgate_core.types import Span

LONGEST = 33
"""Characters: 19 digits, their separators, a look behind the last, and what may be before it of a
number with decimals."""

_PLAIN = re.compile(
    r"(?<![\w./+-])"
    r"(?:(?<![^\d.,\n(\[]0,)\d{14,19}|(?<!\d,)\d{12,13}(?!,\d))"
    r"(?![\w-])(?!\.\d)"
)
"""Commas are between the columns of a table, too. But ``0,`` within a line begins a fraction, and
beside commas 12 and 13 digits are more often the number of an article."""
_WHOLE_PART = re.compile(r"(?:^|[^\w.,/+-])[+-]?\d{1,4},$")
_DECIMALS = 15
"""Spreadsheets write numbers with at most so many digits, and many countries a comma in them."""
_GROUPED = re.compile(
    r"(?<![\w./+-])(?="
    r"(\d{4}([ -])\d{4}\2\d{4}\2\d{4}(?:\2\d{1,3})?(?!\d)"
    r"|\d{4}([ -])\d{6}\3\d{4,5}(?!\d)))"
)

_ISSUERS: tuple[tuple[int, int, frozenset[int]], ...] = (
    (340000, 349999, frozenset({15})),  # American Express
    (370000, 379999, frozenset({15})),
    (300000, 305999, frozenset({14, 16, 17, 18, 19})),  # Diners Club
    (309500, 309599, frozenset({14, 16, 17, 18, 19})),
    (360000, 369999, frozenset({14, 15, 16, 17, 18, 19})),
    (380000, 399999, frozenset({14, 16, 17, 18, 19})),
    (352800, 358999, frozenset({16, 17, 18, 19})),  # JCB
    (213100, 213199, frozenset({15})),
    (180000, 180099, frozenset({15})),
    (400000, 499999, frozenset({13, 16, 18, 19})),  # Visa
    (510000, 559999, frozenset({16})),  # Mastercard
    (222100, 272099, frozenset({16})),
    (220000, 220499, frozenset({16, 17, 18, 19})),  # Mir
    (500000, 509999, frozenset(range(12, 20))),  # Maestro
    (560000, 589999, frozenset(range(12, 20))),
    (630400, 630499, frozenset(range(12, 20))),
    (639000, 639099, frozenset(range(12, 20))),
    (670000, 679999, frozenset(range(12, 20))),
    (601100, 601199, frozenset({16, 17, 18, 19})),  # Discover
    (644000, 659999, frozenset({16, 17, 18, 19})),
    (620000, 629999, frozenset({16, 17, 18, 19})),  # UnionPay
    (810000, 817199, frozenset({16, 17, 18, 19})),
)


_DOUBLED = str.maketrans("0123456789", "0246813579")
"""Twice each digit, and of a result with two digits their sum."""


def luhn(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of the others."""
    plain = str(int(digits))[::-1]  # digits of other scripts become ours; leading zeros add nothing
    total = sum(map(int, plain[::2])) + sum(map(int, plain[1::2].translate(_DOUBLED)))
    return total % 10 == 0


def is_card(digits: str) -> bool:
    """Whether a card network issues numbers of this beginning and length; its check digit fits."""
    if not luhn(digits) or len(set(digits)) == 1:
        return False
    head = int(digits[:6])
    return any(low <= head <= high and len(digits) in sizes for low, high, sizes in _ISSUERS)


def find(text: str) -> Iterator[Span]:
    """Card numbers, written in one piece or in their usual groups."""
    for match in _PLAIN.finditer(text):
        if is_card(match[0]) and not _decimals(text, match):
            yield Span(match.start(), match.end(), "credit_card")
    for match in _GROUPED.finditer(text):
        for end in _ends(match[1]):
            digits = match[1][:end].replace(" ", "").replace("-", "")
            if is_card(digits):
                yield Span(match.start(), match.start() + end, "credit_card")
                break


def _decimals(text: str, match: re.Match[str]) -> bool:
    """Whether these are the decimals of a number: one comma is near, and it stands before."""
    start, end = match.span()
    if end - start > _DECIMALS or text[end : end + 1] == ",":
        return False
    return _WHOLE_PART.search(text[max(0, start - 7) : start]) is not None


def _ends(grouped: str) -> Iterator[int]:
    """The whole candidate, then without a fifth group, which may be something else."""
    yield len(grouped)
    if len(grouped) > 19 and grouped[4] == grouped[9]:
        yield 19
