"""Personal data by pattern, with its checksum where there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from headgate_core.types import At, Span
from headgate_guardrails.patterns import addresses, cards, ibans, phones

_OPEN_NUMBER = re.compile(
    r"(?<!\w)(?:(?:[()+./-]*\d[\d()./+-]*(?:x|ext\.?|extension|Durchwahl)?"
    r"|x|ext\.?|extension|Durchwahl|[()./-]+)[ ]{1,2})+\S*\Z"
)
_OPEN_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){0,30}[ -]?\Z")
_NUMBER = re.compile(r"\d(?:[ ./()-]{0,4}\d){5}")
"""Every card, phone and social security number holds six digits that stand close together."""
_OPEN_WORD = re.compile(r"\S*\Z")


@dataclass
class Pii:
    """Personal data: e-mail, phone, IBAN, card, US social security number, IP address."""

    types: list[Literal["email", "phone", "iban", "credit_card", "us_ssn", "ip_address"]] = field(
        default_factory=lambda: ["email", "phone", "iban", "credit_card", "us_ssn"]
    )
    locales: list[Literal["en", "de"]] = field(default_factory=lambda: ["en", "de"])

    version: ClassVar[str] = "2"
    cost: ClassVar[int] = 0
    window = addresses.LONGEST_EMAIL + 2
    context: ClassVar[int] = 64

    async def find(self, text: str, at: At) -> list[Span]:
        """Every value of the asked types; kinds are the names of the types."""
        return list(self._all(text))

    def _all(self, text: str) -> Iterator[Span]:
        types: set[str] = set(self.types)
        if "email" in types:
            yield from addresses.emails(text)
        if "iban" in types:
            yield from ibans.find(text)
        if "ip_address" in types:
            yield from addresses.ips(text)
        if _NUMBER.search(text):
            yield from self._numbers(text, types)

    def _numbers(self, text: str, types: set[str]) -> Iterator[Span]:
        if "credit_card" in types:
            yield from cards.find(text)
        if "us_ssn" in types:
            yield from addresses.us_ssns(text)
        if "phone" in types:
            yield from phones.find(text, frozenset(self.locales))

    def open_from(self, text: str) -> int:
        """Where the last word, or the row of number groups that it may continue, begins.

        No value holds a blank but between its groups, so all before is decided.
        """
        low = max(0, len(text) - self.window)
        starts = [_start(pattern, text, low) for pattern in (_OPEN_WORD, _OPEN_NUMBER, _OPEN_IBAN)]
        return min(starts)


def _start(pattern: re.Pattern[str], text: str, low: int) -> int:
    found = pattern.search(text, low)
    return found.start() if found else len(text)
