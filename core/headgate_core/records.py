"""The shape of what is written down: one record a call, one an attempt. Plain JSON values only."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict, cast

from headgate_core.types import Usage


class StageRecord(TypedDict):
    """One stage's time: both in milliseconds, ``start`` since the call arrived."""

    name: str
    start_ms: float
    ms: float


class UsageRecord(TypedDict):
    """Tokens as in ``headgate_core.types.Usage``; the rarer kinds only where there are any."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    estimated: bool
    cache_written_tokens: NotRequired[int]
    cache_written_1h_tokens: NotRequired[int]
    audio_input_tokens: NotRequired[int]
    audio_output_tokens: NotRequired[int]
    search_units: NotRequired[int]


_NAMES = tuple(field.name for field in fields(Usage))
_ALWAYS = frozenset(_NAMES[: _NAMES.index("estimated") + 1])


def usage_record(usage: Usage) -> UsageRecord:
    """``Usage`` as plain JSON values."""
    counted = {name: getattr(usage, name) for name in _NAMES}
    return cast(UsageRecord, {n: v for n, v in counted.items() if v or n in _ALWAYS})


class AttemptRecord(TypedDict):
    """One try at one target. Money in pico-dollars; ``cost_pico`` None = no known price."""

    attempt_id: str
    call_id: str
    n: int
    why: str
    """first | retry | fallback | hedge"""
    purpose: str
    pool: str
    provider: str
    model: str
    started_unix_ns: int
    start_ms: float
    duration_ms: float
    first_token_ms: float | None
    """Since this attempt was sent."""
    outcome: str
    """ok | error | cancelled | estimated (found unsettled after a crash)"""
    status: int | None
    error: str
    usage: UsageRecord | None
    cost_pico: int | None
    price: str
    """The prices it was settled with (``bundled gpt-4.1: in 2 out 8 USD/Mtok``), or why none."""
    principal: str
    """The key id that pays."""
    team: str
    reserved_pico: NotRequired[int | None]
    """The worst case that was reserved before it was sent; None = no known price."""
    service_tier: NotRequired[str]
    """The tier that it was priced in, where one was told or asked for."""
    response_model: NotRequired[str]
    response_id: NotRequired[str]
    server_address: NotRequired[str]
    server_port: NotRequired[int]


class CitationRecord(TypedDict):
    """A citation as in the reply's ``headgate`` member."""

    number: int
    passage_id: str
    document: str
    title: str
    heading: list[str]
    start: int
    end: int
    url: str
    at: list[int]


class PassageRecord(TypedDict):
    """A retrieved passage without its text."""

    number: int
    id: str
    document: str
    heading: list[str]
    start: int
    end: int
    scores: dict[str, float]
    collection: NotRequired[str]


class VerdictRecord(TypedDict):
    """A check's verdict; verdicts that passed are counted, not listed, unless they cost time."""

    policy: str
    check: str
    at: str
    action: str
    mode: str
    kinds: list[str]
    subject: str
    ms: float
    error: str


class Content(TypedDict):
    """Captured text; present only where the route's ``capture`` is ``masked`` or ``full``."""

    messages: list[dict[str, object]]
    answer: str
    passages: list[str]


class CallRecord(TypedDict):
    """One call, complete: what the store keeps and exporters derive spans from."""

    call_id: str
    trace_id: str
    parent_span_id: str
    source: str
    route: str
    asked_model: str
    config_hash: str
    key_id: str
    key_name: str
    team: str
    tenant: str
    session: str
    user: str
    tags: list[str]
    started_unix_ns: int
    duration_ms: float
    first_token_ms: float | None
    stream: bool
    status: int
    outcome: str
    """ok | refused | error | cancelled | interrupted (found open after a crash)"""
    error_code: str
    error_message: str
    finish_reason: str
    prompt: str
    cache: str
    target: str
    """provider/model that answered, empty when none did."""
    usage: UsageRecord
    cost_pico: int
    unpriced: bool
    capture: str
    degraded: list[str]
    dropped: NotRequired[list[str]]
    """Members taken out of the request or the reply."""
    stages: list[StageRecord]
    attempts: list[AttemptRecord]
    verdicts: list[VerdictRecord]
    passages: list[PassageRecord]
    citations: list[CitationRecord]
    endpoint: NotRequired[str]
    """Below ``/v1``, e.g. ``embeddings``; calls of earlier versions were ``chat/completions``."""
    content: NotRequired[Content]
    cache_similarity: NotRequired[float]
    """Of the nearest kept question (semantic caches): cosine, 1 = the same."""
    cache_nearest: NotRequired[str]
    """The call that had asked it."""
    cancelled_in: NotRequired[str]
    """Where a cancelled call was: queued | before_first_byte | mid_stream | whole_reply."""
    replayed: NotRequired[str]
    """The earlier call whose kept answer this one got for its ``Idempotency-Key``."""


class ScoreRecord(TypedDict):
    """A score as in ``headgate_core.types.Score``."""

    metric: str
    value: float | None
    unscored: str
    version: str
    details: dict[str, Any]


class FeedbackRecord(TypedDict):
    """What a person or an application thinks of a call; one for each call, key and name."""

    id: str
    call_id: str
    key_id: str
    name: str
    value: bool | float | str
    data_type: Literal["boolean", "numeric", "categorical"]
    comment: str | None
    comment_status: Literal["none", "kept", "masked", "not_captured"]
    """What the route's ``capture`` made of the comment."""
    source: Literal["person", "application"]
    created_unix_ns: int
    updated_unix_ns: int


class AttemptHead(TypedDict):
    """What is known of an attempt before it is sent; fields as in ``AttemptRecord``."""

    attempt_id: str
    call_id: str
    n: int
    why: str
    purpose: str
    pool: str
    provider: str
    model: str
    started_unix_ns: int
    start_ms: float
    principal: str
    team: str
    reserved_pico: NotRequired[int | None]
    input_tokens: NotRequired[int]
    """Estimated tokens of the request."""


class CallHead(TypedDict):
    """What is known of a call before it has an outcome; fields as in ``CallRecord``."""

    call_id: str
    trace_id: str
    source: str
    route: str
    asked_model: str
    config_hash: str
    key_id: str
    key_name: str
    team: str
    tenant: str
    session: str
    user: str
    tags: list[str]
    started_unix_ns: int
    stream: bool
    parent_span_id: NotRequired[str]
    endpoint: NotRequired[str]


class BeginLine(TypedDict):
    """Written before an attempt is sent.

    ``call`` is None for an attempt whose call gets no ``CallLine`` (a judge's, an embedding's).
    """

    t: Literal["begin"]
    attempt: AttemptHead
    call: CallHead | None


class CallLine(TypedDict):
    """Written once a call, before the reply's last byte; settles the attempts it lists."""

    t: Literal["call"]
    call: CallRecord


class AttemptLine(TypedDict):
    """Settles one attempt outside a call's line, or ahead of it."""

    t: Literal["attempt"]
    attempt: AttemptRecord


class ScoresLine(TypedDict):
    """Scores of a call; ``scored_unix_ns`` is filled in by the journal where it is missing."""

    t: Literal["scores"]
    call_id: str
    scores: list[ScoreRecord]
    scored_unix_ns: NotRequired[int]


class WithdrawnLine(TypedDict):
    """What a begin line announced was never sent: there is no such attempt."""

    t: Literal["withdrawn"]
    call_id: str
    attempt_id: str


JournalLine: TypeAlias = BeginLine | CallLine | AttemptLine | ScoresLine | WithdrawnLine
"""One line of a process's journal."""
