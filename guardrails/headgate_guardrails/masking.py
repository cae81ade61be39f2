"""Findings put together, and the one masker that writes placeholders over them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from headgate_core.types import Span


def merge(spans: Iterable[Span]) -> list[Span]:
    """Overlapping spans become one, of the kind and score of the longest (then the first) of them.

    Spans that only touch stay apart. The result is sorted by start.
    """
    merged: list[Span] = []
    best: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end, s.kind)):
        if merged and span.start < merged[-1].end:
            if span.end - span.start > best[-1].end - best[-1].start:
                best[-1] = span
            last = merged[-1]
            end = max(last.end, span.end)
            merged[-1] = Span(last.start, end, best[-1].kind, best[-1].score)
        else:
            merged.append(span)
            best.append(span)
    return merged


def placeholder(kind: str) -> str:
    """What stands in a masked text for a finding: ``[EMAIL]``, ``[CREDIT_CARD]``."""
    return f"[{re.sub(r'[^A-Z0-9]+', '_', kind.upper()).strip('_') or 'MASKED'}]"


def mask(text: str, spans: Sequence[Span]) -> str:
    """``text`` with every span, overlaps put together, replaced once by its placeholder."""
    pieces: list[str] = []
    at = 0
    for span in merge(spans):
        pieces += [text[at : span.start], placeholder(span.kind)]
        at = span.end
    return "".join([*pieces, text[at:]])
