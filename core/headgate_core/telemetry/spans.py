"""One call's record to spans: a server span, one a stage, one CLIENT span an attempt.

Spans are plain dicts; ids follow from the call's, so deriving twice gives the same spans. Text of
messages never goes onto a span. Money stands on the attempts' spans alone: others are sums.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from headgate_core.money import usd_text
from headgate_core.records import AttemptRecord, CallRecord
from headgate_core.telemetry.profile import Profile, StageNames

Attributes: TypeAlias = dict[str, str | bool | int | float | list[str]]

_ANSWERS = frozenset({"serve", "retry", "hedge"})
_WORD = re.compile(r"[a-z][a-z0-9_.]*")
_OF_CALL = (
    *("call_id", "route", "source", "asked_model", "config_hash", "key_id", "team"),
    *("tenant", "session", "user", "tags", "stream", "status", "outcome", "prompt"),
    *("cache", "target", "unpriced", "degraded"),
)
_OF_ATTEMPT = ("call_id", "attempt_id", "n", "why", "purpose", "pool", "outcome", "price")
_OWN_NAMES = {name: f"headgate.{name}" for name in (*_OF_CALL, *_OF_ATTEMPT)}


class EventRecord(TypedDict):
    """A span event."""

    name: str
    time_unix_ns: int
    attributes: Attributes


class SpanRecord(TypedDict):
    """One span. Ids are hexadecimal; ``error`` is empty unless the span failed."""

    name: str
    kind: Literal["SERVER", "CLIENT", "INTERNAL"]
    trace_id: str
    span_id: str
    parent_span_id: str
    start_unix_ns: int
    end_unix_ns: int
    attributes: Attributes
    events: list[EventRecord]
    error: str
    link: NotRequired[str]
    """The span id, in the same trace, of what this span is about."""


def spans(record: CallRecord, profile: Profile) -> list[SpanRecord]:
    """All spans of a call, the server span first: what the store keeps and what is exported."""
    server = _server(record, profile)
    stages = [_stage(record, n, profile) for n in range(len(record["stages"]))]
    attempts = [_attempt(record, attempt, profile) for attempt in record["attempts"]]
    return [server, *stages, *attempts]


@lru_cache(64)
def span_id(call_id: str, what: str) -> str:
    """The id of a part of a call: 16 hexadecimal digits, always the same."""
    return hashlib.blake2b(f"{call_id}/{what}".encode(), digest_size=8).hexdigest()


def has_remote_parent(span: SpanRecord) -> bool:
    """Whether the parent is a span of the caller, which only a server span's can be."""
    return span["kind"] == "SERVER" and bool(span["parent_span_id"])


def _server(record: CallRecord, profile: Profile) -> SpanRecord:
    attributes = _own_of(record, _OF_CALL)
    attributes["headgate.endpoint"] = record.get("endpoint", "")
    failed = record["outcome"] in ("error", "interrupted")
    if failed:
        attributes[profile["names"]["error_type"]] = record["error_code"] or "_OTHER"
    return {
        "name": f"headgate {record['route']}",
        "kind": "SERVER",
        "trace_id": record["trace_id"],
        "span_id": span_id(record["call_id"], "server"),
        "parent_span_id": record["parent_span_id"],
        "start_unix_ns": record["started_unix_ns"],
        "end_unix_ns": _at(record, record["duration_ms"]),
        "attributes": present(attributes),
        "events": [],
        "error": (record["error_code"] or record["outcome"]) if failed else "",
    }


def _stage(record: CallRecord, n: int, profile: Profile) -> SpanRecord:
    stage, call_id = record["stages"][n], record["call_id"]
    name = stage["name"]
    start = record["started_unix_ns"] + round(stage["start_ms"] * 1e6)
    attributes: Attributes = {"headgate.call_id": call_id, "headgate.stage": name}
    kind: Literal["CLIENT", "INTERNAL"] = "INTERNAL"
    known = profile["stages"].get(name)
    if known is not None:
        kind = known.get("kind", kind)
        name = _standard(record, known, attributes, profile["names"]) or name
    return {
        "name": name,
        "kind": kind,
        "trace_id": record["trace_id"],
        "span_id": span_id(call_id, f"stage {n}"),
        "parent_span_id": span_id(call_id, "server"),
        "start_unix_ns": start,
        "end_unix_ns": start + round(stage["ms"] * 1e6),
        "attributes": attributes,
        "events": [],
        "error": "",
    }


def _standard(
    record: CallRecord, known: StageNames, attributes: Attributes, names: Mapping[str, str]
) -> str:
    """Fill in what a stage means in the convention; returns its name there, if it has one."""
    guarded = known.get("guards", ())
    verdicts = [
        f"{v['policy']}/{v['check']} {v['action']}"
        for v in record["verdicts"]
        if v["at"] in guarded
    ]
    if verdicts:
        attributes["headgate.guard.verdicts"] = verdicts
    if "operation" not in known:
        return ""
    source = next((p.get("collection", "") for p in record["passages"]), "")
    attributes[names["operation"]] = known["operation"]
    if source:
        attributes[names["data_source"]] = source
    attributes["headgate.retrieval.passages"] = len(record["passages"])
    return f"{known['operation']} {source}".rstrip()


def _attempt(record: CallRecord, attempt: AttemptRecord, profile: Profile) -> SpanRecord:
    names = profile["names"]
    operation = _operation(record, attempt, profile)
    attributes: Attributes = {
        names["operation"]: operation,
        names["provider"]: _provider(attempt, profile),
        names["request_model"]: attempt["model"],
        names["response_model"]: attempt.get("response_model", ""),
        names["response_id"]: attempt.get("response_id", ""),
        names["conversation"]: record["session"],
        names["server_address"]: attempt.get("server_address", ""),
        **_usage(attempt, names),
        **_answer(record, attempt, names),
        **_own(attempt),
    }
    if "server_port" in attempt:
        attributes[names["server_port"]] = attempt["server_port"]
    error = "" if attempt["outcome"] in ("ok", "cancelled") else _error_type(attempt)
    attributes[names["error_type"]] = error
    started = _at(record, attempt["start_ms"])
    return {
        "name": f"{operation} {attempt['model']}",
        "kind": "CLIENT",
        "trace_id": record["trace_id"],
        "span_id": span_id(record["call_id"], f"attempt {attempt['attempt_id']}"),
        "parent_span_id": _parent(record, attempt),
        "start_unix_ns": started,
        "end_unix_ns": started + round(attempt["duration_ms"] * 1e6),
        "attributes": present(attributes),
        "events": [],
        "error": error,
    }


def _operation(record: CallRecord, attempt: AttemptRecord, profile: Profile) -> str:
    """By purpose; of the attempts that answer the caller, by the endpoint that was called."""
    by_purpose = profile["operations"].get(attempt["purpose"])
    if by_purpose is not None or attempt["purpose"] not in _ANSWERS:
        return by_purpose or "chat"
    return profile["endpoints"].get(record.get("endpoint", ""), "chat")


def _usage(attempt: AttemptRecord, names: Mapping[str, str]) -> Attributes:
    usage = attempt["usage"]
    if usage is None:
        return {}
    attributes: Attributes = {
        names["input_tokens"]: usage["input_tokens"],
        names["output_tokens"]: usage["output_tokens"],
        "headgate.usage.estimated": usage["estimated"],
    }
    if usage["cached_input_tokens"]:
        attributes[names["cached_input_tokens"]] = usage["cached_input_tokens"]
    if usage["reasoning_tokens"]:
        attributes[names["reasoning_tokens"]] = usage["reasoning_tokens"]
    return attributes


def _answer(record: CallRecord, attempt: AttemptRecord, names: Mapping[str, str]) -> Attributes:
    if attempt["purpose"] not in _ANSWERS:
        return {}
    attributes: Attributes = {names["request_stream"]: record["stream"]}
    if record["stream"] and attempt["first_token_ms"] is not None:
        attributes[names["time_to_first_chunk"]] = attempt["first_token_ms"] / 1000
    if record["finish_reason"] and attempt["outcome"] == "ok":
        attributes[names["finish_reasons"]] = [record["finish_reason"]]
    return attributes


def _own(attempt: AttemptRecord) -> Attributes:
    attributes = _own_of(attempt, _OF_ATTEMPT)
    attributes["headgate.unpriced"] = attempt["cost_pico"] is None
    if attempt["cost_pico"] is not None:
        attributes["headgate.cost_pico"] = attempt["cost_pico"]
        attributes["headgate.cost_usd"] = usd_text(attempt["cost_pico"])
    return attributes


def _own_of(what: Mapping[str, Any], names: Sequence[str]) -> Attributes:
    return {_OWN_NAMES[name]: what[name] for name in names}


def _provider(attempt: AttemptRecord, profile: Profile) -> str:
    prefix = attempt["model"].partition("/")[0]
    known = profile["providers"]
    return known.get(prefix) or known.get(attempt["provider"]) or attempt["provider"]


def _error_type(attempt: AttemptRecord) -> str:
    """Few distinct values: the status, else the first word of the error where it is a code."""
    if attempt["status"] is not None and attempt["status"] >= 400:
        return str(attempt["status"])
    word = attempt["error"].partition(":")[0]
    return word if _WORD.fullmatch(word) else "_OTHER"


def _parent(record: CallRecord, attempt: AttemptRecord) -> str:
    """The stage during which the attempt began, else the server span."""
    at = attempt["start_ms"]
    for n in reversed(range(len(record["stages"]))):
        stage = record["stages"][n]
        if stage["start_ms"] <= at <= stage["start_ms"] + stage["ms"]:
            return span_id(record["call_id"], f"stage {n}")
    return span_id(record["call_id"], "server")


def _at(record: CallRecord, ms: float) -> int:
    return record["started_unix_ns"] + round(ms * 1e6)


def present(attributes: Mapping[str, Any]) -> Attributes:
    """Without what is not known: empty texts and lists."""
    return {name: value for name, value in attributes.items() if value not in ("", [])}
