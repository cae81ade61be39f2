"""Findings put together, and the one masker that writes placeholders over them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from headgate_core.types import Span

StandIn: TypeAlias = Callable[[Span, str], str]
"""What is written in the place of a finding, given it and the text that it covers."""


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


def mask(text: str, spans: Sequence[Span], begin: int, stand_in: StandIn) -> str:
    """``text`` with every span, overlaps put together, replaced once by its ``stand_in``.

    ``begin`` is the position of the text's first character.
    """
    pieces: list[str] = []
    at = begin
    for span in merge(spans):
        covered = text[span.start - begin : span.end - begin]
        pieces += [text[at - begin : span.start - begin], stand_in(span, covered)]
        at = span.end
    return "".join([*pieces, text[at - begin :]])
