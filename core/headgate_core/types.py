"""The nouns: values that travel between components. No behaviour beyond arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypeAlias

Json: TypeAlias = dict[str, Any]
"""A JSON object as parsed from the wire."""

At: TypeAlias = Literal["input", "passages", "tool_calls", "tool_results", "output"]
"""Where a check looks."""

Action: TypeAlias = Literal["block", "mask", "drop", "flag"]
"""What a check's finding leads to."""

Source: TypeAlias = Literal["serve", "eval"]
"""Where a call came from; only ``serve`` counts as production traffic."""


class Purpose(StrEnum):
    """Why a model was reached. Closed: money and traces are grouped by it."""

    SERVE = "serve"
    RETRY = "retry"
    HEDGE = "hedge"
    GUARD = "guard"
    JUDGE = "judge"
    EMBED = "embed"
    RERANK = "rerank"
    REWRITE = "rewrite"
    EVAL = "eval"
    REPLAY = "replay"
    SHADOW = "shadow"
    SYNTH = "synth"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one attempt. ``input_tokens`` includes cached, written and audio ones,
    ``output_tokens`` reasoning and audio ones."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cache_written_tokens: int = 0
    """Input that was written to the provider's cache, for however long it is kept."""
    cache_written_1h_tokens: int = 0
    """Of these the ones that are kept for an hour."""
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    search_units: int = 0
    """What rerankers are billed by: a query with up to 100 documents."""

    def __add__(self, other: Usage) -> Usage:
        """Add two attempts; the sum is estimated as soon as one part is."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.estimated or other.estimated,
            self.cache_written_tokens + other.cache_written_tokens,
            self.cache_written_1h_tokens + other.cache_written_1h_tokens,
            self.audio_input_tokens + other.audio_input_tokens,
            self.audio_output_tokens + other.audio_output_tokens,
            self.search_units + other.search_units,
        )


@dataclass(frozen=True, slots=True)
class Principal:
    """Who pays and whose data may be seen. Comes from the key, never from the request."""

    key_id: str
    name: str = ""
    team: str = "default"
    tenant: str = "default"
    project: str = ""
    groups: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """Routes, aliases and pools this key may name; empty = all routes."""
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """One retrieved piece of a document.

    ``start`` and ``end`` are character offsets into the loaded text of ``document``;
    ``heading`` is the trail of headings above it, outermost first.
    """

    id: str
    document: str
    text: str
    start: int
    end: int
    title: str = ""
    heading: tuple[str, ...] = ()
    anchor: str = ""
    score: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)
    """Provenance: rank and score per list, e.g. ``{"dense": 0.71, "bm25": 8.2, "rrf": 0.031}``."""
    url: str = ""
    collection: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Citation:
    """A marker ``[number]`` in the delivered answer and the passage it names.

    ``start``/``end`` are the character span of the cited passage in its document;
    ``at`` is the span of the marker in the delivered text.
    """

    number: int
    passage_id: str
    document: str
    title: str
    heading: tuple[str, ...]
    start: int
    end: int
    url: str
    at: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Span:
    """A finding in one text: characters ``[start, end)``, its kind, a confidence 0..1."""

    start: int
    end: int
    kind: str
    score: float = 1.0


class Replaced(NamedTuple):
    """Characters ``[start, end)`` of a checked text, and what stands in their place now."""

    start: int
    end: int
    text: str


Told: TypeAlias = list[Replaced] | None
"""Where a caller that asks for it is told what is replaced, in its order."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check decided about one text. Never holds the text itself."""

    policy: str
    check: str
    at: At
    action: Action | Literal["pass", "error"]
    mode: Literal["enforce", "shadow"] = "enforce"
    kinds: tuple[str, ...] = ()
    """Kinds of what was found, e.g. ``("email", "iban")``, one entry a finding."""
    subject: str = ""
    """Which text: ``message 2``, ``passage 3``, ``choice 0``."""
    ms: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """One number about one call, or the reason why there is none. Never NaN, never missing.

    ``metric`` is the full name, with its member where it has one: ``latency.first_token_s``.
    """

    metric: str
    value: float | None
    unscored: str = ""
    """Closed set: no_context, no_citation, no_answer, not_captured, not_streamed, unpriced,
    refused, call_failed, metric_error, not_sampled, over_budget, truncated, judge_error,
    no_reference."""
    version: str = "1"
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a metric may look at: one call, with its text where the route let it be kept.

    Money is in integer pico-dollars, times in seconds.
    """

    call_id: str
    route: str
    question: str | None
    answer: str | None
    passages: Sequence[Passage] = ()
    cited: Sequence[int] = ()
    """Numbers (1-based) of the passages that the answer cites."""
    reference: str | None = None
    refused: bool = False
    failed: bool = False
    """The call ended in an error or was given up by the caller: there is nothing to score."""
    total_s: float = 0.0
    first_token_s: float | None = None
    cost_pico: int | None = None
    """None: the model has no known price."""
    usage: Usage = Usage()
    output_tokens_per_s: float | None = None
