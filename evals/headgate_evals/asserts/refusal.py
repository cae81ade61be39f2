"""``is-refusal``: the call was refused, or the answer says that it has no answer."""

from __future__ import annotations

import re

from headgate_evals.asserts.base import AssertSettings, Delivered, Finding

_SOURCES = (
    r"(?:documents?|documentation|docs|sources?|passages?|context|excerpts?|texts?"
    r"|materials?|information|knowledge base)"
)
_NOT = r"(?:do(?:es)?\s+not|did\s+not|don't|doesn't|didn't|cannot|can't|could\s+not)"
_TELL = (
    r"(?:(?:answer|say|state|tell|mention|address|discuss|cover)\b"
    r"|(?:contain|include|provide|specify|describe|explain|give|have)\s+(?:\w+\s+){0,3}?"
    r"(?:answers?|information|details?|this|that|it|who|what|when|where|how|why)\b)"
)
_HELP = r"(?:help|assist|answer|comply|do\s+that|provide|fulfil+|share|discuss|process|continue)"

PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_SOURCES}\b[^.!?\n]{{0,60}}?\s{_NOT}\s+(?:\w+\s+){{0,2}}?{_TELL}",
        rf"\bno\s+(?:\w+\s+)?(?:answer|information|mention|details?)\b[^.!?\n]{{0,60}}"
        rf"\b{_SOURCES}\b",
        rf"\b(?:not|nowhere|isn't|aren't)\s+(?:\w+\s+)?"
        rf"(?:answered|mentioned|stated|covered|found|contained|described|included)\s+"
        rf"(?:in|by)\s+(?:\w+\s+){{0,3}}?{_SOURCES}\b",
        rf"\bI(?:'m|\s+am)?\s+(?:\w+\s+)?(?:cannot|can't|can\s+not|unable\s+to|not\s+able\s+to"
        rf"|won't|will\s+not)\s+(?:\w+\s+)?{_HELP}\b",
        r"\bI\s+(?:do\s+not|don't)\s+(?:have\s+(?:any\s+|enough\s+|that\s+)*information|know\b)",
        r"\bI(?:'m|\s+am)\s+sorry,?\s+(?:but\s+)?(?:I|we|this|that)\b[^.!?\n]{0,40}?"
        r"(?:cannot|can't|not|unable|won't)\b",
        r"\b(?:this|your)\s+(?:request|message|question|reply|answer)\s+"
        r"(?:was|has\s+been|is)\s+(?:blocked|refused|declined|withheld)\b",
    )
)
"""What an answer that declines says, each pattern anywhere in the text. English alone."""


def is_refusal(_expected: AssertSettings, delivered: Delivered) -> Finding:
    """A guard refused the call, or one of ``PATTERNS`` is in the answer."""
    if delivered.refused:
        return Finding(True, "the call was refused by a guard")
    answer = delivered.answer.replace("\u2019", "'")
    for pattern in PATTERNS:
        if found := pattern.search(answer):
            return Finding(True, f"the answer declines: {found[0]!r}")
    return Finding(False, "the answer does not decline")
