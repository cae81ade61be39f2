"""E-mail and IP addresses, and US social security numbers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from headgate_core.types import Span

LONGEST_EMAIL = 256
"""Characters: the longest address that mail systems take, and a look behind it."""

_EMAIL = re.compile(
    r"(?<![\w.%+'-])(?=(?P<whole>[\w](?:[\w.%+'-]{0,62}[\w+-])?"
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24})(?![\w-]))"
)
_FILE = re.compile(r"@\dx\.(?:png|jpe?g|gif|webp|svg)\Z", re.IGNORECASE)
_SSN = re.compile(r"(?<![\w.-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])(?!\.\d)")
_SSN_SPACED = re.compile(r"(?<![\w.-])(?!000|666|9\d\d)\d{3} ?(?!00)\d{2} ?(?!0000)\d{4}(?![\w-])")
_SSN_WORD = re.compile(
    r"(?=s)(?:\bssn\b|social[ -]security(?:[ -](?:number|no\.?))?)[^\d\n]{0,16}?(?=\d)",
    re.IGNORECASE,
)
_IP4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-])(?!\.\d)")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_VERSION = re.compile(r"(?:\bv|\bversion|\brelease|\bbuild)[ :]{0,2}\Z", re.IGNORECASE)


def emails(text: str) -> Iterator[Span]:
    """Addresses with a dot in their domain; no picture names, no ``git@host:path``."""
    if "@" not in text:
        return
    for match in _EMAIL.finditer(text):
        whole = match["whole"]
        end = match.start() + len(whole)
        remote = whole.startswith("git@") and text[end : end + 1] == ":"
        if len(whole) < LONGEST_EMAIL and not remote and not _FILE.search(whole):
            yield Span(match.start(), end, "email")


def us_ssns(text: str) -> Iterator[Span]:
    """Social security numbers with hyphens, or in other forms right after their name."""
    for match in _SSN.finditer(text):
        yield Span(match.start(), match.end(), "us_ssn")
    for word in _SSN_WORD.finditer(text):
        if spaced := _SSN_SPACED.match(text, word.end()):
            yield Span(spaced.start(), spaced.end(), "us_ssn")


def ips(text: str) -> Iterator[Span]:
    """IP addresses of both versions; neither loopback, nor unspecified, nor a version number."""
    for pattern in (_IP4, _IP6):
        for match in pattern.finditer(text):
            named = _VERSION.search(text, max(0, match.start() - 16), match.start())
            if not named and _is_host(match[0]):
                yield Span(match.start(), match.end(), "ip_address")


def _is_host(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)
