"""Feedback on calls: one row a call, key and name; the latest stands."""

from __future__ import annotations

import hashlib
import time
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, select

from headgate_core.errors import Conflict
from headgate_core.records import FeedbackRecord
from headgate_core.store.dialect import dialect_of
from headgate_core.store.tables import feedback

DataType = Literal["boolean", "numeric", "categorical"]
MOST_NAMES = 20
"""Names under which one key may give feedback on one call."""
_KEPT = ("id", "created_unix_ns")


def feedback_id(call_id: str, key_id: str, name: str) -> str:
    """The id of what ``key_id`` thinks of a call under ``name``: always the same."""
    text = "\0".join((call_id, key_id, name))
    return "fb_" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def data_type_of(value: bool | float | str) -> DataType:
    """What kind of value it is."""
    if isinstance(value, bool):
        return "boolean"
    return "categorical" if isinstance(value, str) else "numeric"


def write_feedback(db: Connection, record: FeedbackRecord) -> FeedbackRecord:
    """Store feedback, or replace the earlier one of its id, which keeps the time it was made.

    Raises ``Conflict`` when the key has given feedback on the call under ``MOST_NAMES`` others.
    """
    own = (feedback.c.call_id == record["call_id"], feedback.c.key_id == record["key_id"])
    others = select(func.count()).where(*own, feedback.c.id != record["id"])
    if (db.execute(others).scalar() or 0) >= MOST_NAMES:
        raise Conflict(
            f"There is feedback on this call under {MOST_NAMES} names already. Replace one.",
            param="name",
            code="too_many_names",
        )
    value = record["value"]
    row: dict[str, Any] = {n: v for n, v in record.items() if n != "value"}
    row["number"] = None if isinstance(value, str) else float(value)
    row["label"] = value if isinstance(value, str) else None
    insert = dialect_of(db).insert(feedback).values(row)
    written = db.execute(
        insert.on_conflict_do_update(
            index_elements=[feedback.c.id],
            set_={name: insert.excluded[name] for name in row if name not in _KEPT},
        ).returning(*feedback.c)
    )
    return _record(written.one())


def made(record: FeedbackRecord) -> FeedbackRecord:
    """With its id, its kind of value and the present time."""
    now = time.time_ns()
    return {
        **record,
        "id": feedback_id(record["call_id"], record["key_id"], record["name"]),
        "data_type": data_type_of(record["value"]),
        "created_unix_ns": now,
        "updated_unix_ns": now,
    }


def read_feedback(db: Connection, call_id: str) -> list[FeedbackRecord]:
    """All feedback on a call, the oldest first."""
    query = select(feedback).filter_by(call_id=call_id)
    rows = db.execute(query.order_by(feedback.c.created_unix_ns, feedback.c.id))
    return [_record(row) for row in rows]


def _record(row: Row[Any]) -> FeedbackRecord:
    return {
        "id": row.id,
        "call_id": row.call_id,
        "key_id": row.key_id,
        "name": row.name,
        "value": _value(row),
        "data_type": row.data_type,
        "comment": row.comment,
        "comment_status": row.comment_status,
        "source": row.source,
        "created_unix_ns": row.created_unix_ns,
        "updated_unix_ns": row.updated_unix_ns,
    }


def _value(row: Row[Any]) -> bool | float | str:
    if row.data_type == "categorical":
        return str(row.label)
    return bool(row.number) if row.data_type == "boolean" else float(row.number)
