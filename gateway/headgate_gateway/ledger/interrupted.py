"""What a crash left open, told honestly: attempts become ``estimated``, calls ``interrupted``."""

from __future__ import annotations

from collections.abc import Sequence

from headgate_core.endpoints import CHAT
from headgate_core.records import (
    AttemptHead,
    AttemptLine,
    AttemptRecord,
    BeginLine,
    CallHead,
    CallLine,
    CallRecord,
    JournalLine,
    usage_record,
)
from headgate_core.types import Usage

MESSAGE = "The process ended before the call did; its journal was found at a later start."


def settle(group: Sequence[Sequence[BeginLine | AttemptLine]]) -> list[JournalLine]:
    """The lines that are missing for one open call (or lone attempt), as ``OpenAttempts`` has it.

    An attempt without an outcome costs what was reserved for it, its worst case: the target may
    have done the work. Without a reservation its cost is unknown (None), not zero.
    """
    lines: list[JournalLine] = []
    attempts: list[AttemptRecord] = []
    head: CallHead | None = None
    for begin, *settled in group:
        assert begin["t"] == "begin"
        head = head or begin["call"]
        if settled and settled[0]["t"] == "attempt":
            attempts.append(settled[0]["attempt"])
            continue
        attempts.append(_estimated(begin["attempt"]))
        lines.append(AttemptLine(t="attempt", attempt=attempts[-1]))
    if head is not None:
        lines.append(CallLine(t="call", call=_interrupted(head, attempts)))
    return lines


def _estimated(head: AttemptHead) -> AttemptRecord:
    reserved = head.get("reserved_pico")
    return {
        "attempt_id": head["attempt_id"],
        "call_id": head["call_id"],
        "n": head["n"],
        "why": head["why"],
        "purpose": head["purpose"],
        "pool": head["pool"],
        "provider": head["provider"],
        "model": head["model"],
        "started_unix_ns": head["started_unix_ns"],
        "start_ms": head["start_ms"],
        "duration_ms": 0.0,
        "first_token_ms": None,
        "outcome": "estimated",
        "status": None,
        "error": "interrupted: the process ended during the attempt",
        "usage": usage_record(Usage(input_tokens=head.get("input_tokens", 0), estimated=True)),
        "cost_pico": reserved,
        "price": f"estimated: {'nothing was' if reserved is None else 'worst case'} reserved",
        "principal": head["principal"],
        "team": head["team"],
        "reserved_pico": reserved,
    }


def _interrupted(head: CallHead, attempts: list[AttemptRecord]) -> CallRecord:
    usages = [Usage(**attempt["usage"]) for attempt in attempts if attempt["usage"]]
    return {
        "call_id": head["call_id"],
        "trace_id": head["trace_id"],
        "parent_span_id": head.get("parent_span_id", ""),
        "source": head["source"],
        "route": head["route"],
        "asked_model": head["asked_model"],
        "config_hash": head["config_hash"],
        "key_id": head["key_id"],
        "key_name": head["key_name"],
        "team": head["team"],
        "tenant": head["tenant"],
        "session": head["session"],
        "user": head["user"],
        "tags": head["tags"],
        "started_unix_ns": head["started_unix_ns"],
        "duration_ms": 0.0,
        "first_token_ms": None,
        "stream": head["stream"],
        "status": 0,
        "outcome": "interrupted",
        "error_code": "interrupted",
        "error_message": MESSAGE,
        "finish_reason": "",
        "prompt": "",
        "cache": "off",
        "target": "",
        "usage": usage_record(sum(usages, Usage())),
        "cost_pico": sum(attempt["cost_pico"] or 0 for attempt in attempts),
        "unpriced": any(attempt["cost_pico"] is None for attempt in attempts),
        "capture": "none",
        "degraded": [],
        "stages": [],
        "attempts": attempts,
        "verdicts": [],
        "passages": [],
        "citations": [],
        "endpoint": head.get("endpoint", CHAT),
    }
