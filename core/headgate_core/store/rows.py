"""Records to rows: what has a column of its own, and the whole record as a compact blob."""

from __future__ import annotations

import logging
import zlib
from typing import Any

import orjson
from sqlalchemy import Table

from headgate_core.records import AttemptRecord, CallRecord, ScoresLine, UsageRecord
from headgate_core.store.tables import attempts, calls, scores
from headgate_core.telemetry import packed
from headgate_core.telemetry.profile import profile
from headgate_core.telemetry.spans import spans

log = logging.getLogger("headgate.store")

NO_USAGE: UsageRecord = {
    "input_tokens": 0,
    "output_tokens": 0,
    "cached_input_tokens": 0,
    "reasoning_tokens": 0,
    "estimated": False,
}

_ODD = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What comes of a record whose members are missing or of another kind."""

SHORT = 8192
"""Bytes that fit into the window of 2^13 that short texts are compressed with."""

_LENGTHS = {
    table.name: {c.name: getattr(c.type, "length", None) for c in table.c}
    for table in (calls, attempts, scores)
}


def pack(value: Any) -> bytes:
    """JSON, compressed: what ``unpack`` reads."""
    data = orjson.dumps(value)
    if len(data) > SHORT:
        return zlib.compress(data, 1)
    # A window as long as the text needs half the time: less memory has to be made ready.
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 13, 6)
    return squeeze.compress(data) + squeeze.flush()


def unpack(data: bytes) -> Any:
    """The JSON value that ``pack`` was given."""
    return orjson.loads(zlib.decompress(data))


def call_row(record: CallRecord) -> dict[str, Any]:
    """The row of ``calls``; the record's blob holds everything but its captured content."""
    whole = {name: value for name, value in record.items() if name != "content"}
    own = {name: value for name, value in whole.items() if name in calls.c}
    content = record.get("content")
    return _fitting(calls, own) | {
        "input_tokens": record["usage"]["input_tokens"],
        "output_tokens": record["usage"]["output_tokens"],
        "record": pack(whole),
        "content": None if content is None else pack(content),
        "spans": _spans(record),
    }


def _spans(record: CallRecord) -> bytes | None:
    """The call's spans as a blob: the same ones that exporters send."""
    try:
        return packed.pack(spans(record, profile()))
    except _ODD:  # the record must not be lost for it
        log.exception("no spans can be made of call %s", record["call_id"])
        return None


def attempt_row(record: AttemptRecord) -> dict[str, Any]:
    """The row of ``attempts``: the ledger's entry."""
    own: dict[str, Any] = {name: value for name, value in record.items() if name in attempts.c}
    usage = record["usage"] or NO_USAGE
    own["key_id"] = record["principal"]
    counted = {name: value for name, value in usage.items() if name in attempts.c}
    return _fitting(attempts, own) | counted


def score_rows(line: ScoresLine) -> list[dict[str, Any]]:
    """The rows of ``scores``, one a metric; the last one wins where a line names a metric twice."""
    rows = {}
    for score in line["scores"]:
        rows[score["metric"], score["version"]] = _fitting(
            scores,
            {
                "call_id": line["call_id"],
                "metric": score["metric"],
                "version": score["version"],
                "value": score["value"],
                "unscored": score["unscored"],
                "details": orjson.dumps(score["details"]).decode(),
                "scored_unix_ns": line.get("scored_unix_ns", 0),
            },
        )
    return list(rows.values())


def _fitting(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Texts cut to their columns and without NUL, which PostgreSQL refuses: a caller chose some."""
    lengths = _LENGTHS[table.name]
    return {
        name: value.replace("\0", "")[: lengths[name]] if isinstance(value, str) else value
        for name, value in row.items()
    }
