"""Telling random text from words, names and placeholders."""

from __future__ import annotations

import math
import re
from collections import Counter

_PLACEHOLDER = re.compile(
    r"(.)\1{4,}|x{4,}|\*{3,}|\.{3}|…|<|>|\{\{|\$\{|\$\(|%\(|example|placeholder|changeme"
    r"|change[-_]me|redacted|dummy|your[-_]|[-_]your|my[-_](?:key|token|secret|password|api)"
    r"|insert[-_]|put[-_]your|goes[-_]here|here\Z|not[-_]a[-_]real|beispiel|platzhalter",
    re.IGNORECASE,
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z", re.IGNORECASE)


def bits(text: str) -> float:
    """Shannon entropy in bits a character; 0.0 for an empty text."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values()) if size else 0.0


def is_placeholder(text: str) -> bool:
    """Whether ``text`` stands for a value that a reader is to fill in, or shows only its shape."""
    return _PLACEHOLDER.search(text) is not None


def is_uuid(text: str) -> bool:
    """Whether ``text`` is a UUID: an identifier far more often than a secret."""
    return _UUID.match(text) is not None


def is_random(text: str, least_bits: float = 3.0) -> bool:
    """Whether ``text`` has the entropy of a key and is no placeholder."""
    return bits(text) >= least_bits and not is_placeholder(text)
