"""Records and journal lines with sensible values, for tests that care about a few of them."""

from __future__ import annotations

from typing import Any, cast

from headgate_core.ids import trace_id, uuid7
from headgate_core.records import (
    AttemptHead,
    AttemptLine,
    AttemptRecord,
    BeginLine,
    CallHead,
    CallLine,
    CallRecord,
    ScoreRecord,
    ScoresLine,
)

STARTED = 1_700_000_000_000_000_000


def attempt(call_id: str, **changes: Any) -> AttemptRecord:
    record = {
        "attempt_id": uuid7(),
        "call_id": call_id,
        "n": 1,
        "why": "first",
        "purpose": "serve",
        "pool": "small",
        "provider": "openai",
        "model": "gpt-4.1-mini",
        "started_unix_ns": STARTED,
        "start_ms": 1.5,
        "duration_ms": 20.0,
        "first_token_ms": 8.0,
        "outcome": "ok",
        "status": 200,
        "error": "",
        "usage": usage(100, 20),
        "cost_pico": 72_000_000,
        "price": "bundled gpt-4.1-mini: in 0.4 cached 0.1 out 1.6 USD/Mtok",
        "principal": "key-1",
        "team": "default",
    }
    return cast(AttemptRecord, record | changes)


def usage(input_tokens: int, output_tokens: int, **changes: Any) -> Any:
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cached_input_tokens": 0,
        "reasoning_tokens": 0,
        "estimated": False,
    } | changes


def call(**changes: Any) -> CallRecord:
    call_id = changes.pop("call_id", None) or uuid7()
    record = {
        "call_id": call_id,
        "trace_id": trace_id(),
        "parent_span_id": "",
        "source": "serve",
        "route": "docs",
        "asked_model": "docs",
        "config_hash": "0123456789ab",
        "key_id": "key-1",
        "key_name": "tests",
        "team": "default",
        "tenant": "default",
        "session": "",
        "user": "",
        "tags": [],
        "started_unix_ns": STARTED,
        "duration_ms": 25.0,
        "first_token_ms": 10.0,
        "stream": False,
        "status": 200,
        "outcome": "ok",
        "error_code": "",
        "error_message": "",
        "finish_reason": "stop",
        "prompt": "answer@1",
        "cache": "off",
        "target": "openai/gpt-4.1-mini",
        "usage": usage(100, 20),
        "cost_pico": 72_000_000,
        "unpriced": False,
        "capture": "none",
        "degraded": [],
        "stages": [
            {"name": "authenticate", "start_ms": 0.0, "ms": 0.1},
            {"name": "retrieve", "start_ms": 0.1, "ms": 1.0},
            {"name": "route", "start_ms": 1.4, "ms": 2.0},
        ],
        "attempts": [attempt(call_id)],
        "verdicts": [],
        "passages": [],
        "citations": [],
    }
    return cast(CallRecord, record | changes)


def call_line(**changes: Any) -> CallLine:
    return {"t": "call", "call": call(**changes)}


def head_of(record: CallRecord) -> CallHead:
    names = CallHead.__required_keys__
    return cast(CallHead, {name: value for name, value in record.items() if name in names})


def begin_line(record: AttemptRecord, head: CallHead | None, **changes: Any) -> BeginLine:
    names = AttemptHead.__required_keys__
    known = {name: value for name, value in record.items() if name in names}
    return {"t": "begin", "attempt": cast(AttemptHead, known | changes), "call": head}


def attempt_line(record: AttemptRecord) -> AttemptLine:
    return {"t": "attempt", "attempt": record}


def score(metric: str, value: float | None, unscored: str = "") -> ScoreRecord:
    return {
        "metric": metric,
        "value": value,
        "unscored": unscored,
        "version": "1",
        "details": {},
    }


def scores_line(call_id: str, at: int, *scores: ScoreRecord) -> ScoresLine:
    return {"t": "scores", "call_id": call_id, "scores": list(scores), "scored_unix_ns": at}
