"""The OpenTelemetry spans of a stored call, with what was judged about it later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from headgate_core.records import CallRecord
from headgate_core.store.calls import read_scores, whole_id
from headgate_core.store.engine import Store
from headgate_core.store.feedback import read_feedback
from headgate_core.store.rows import unpack
from headgate_core.store.tables import calls, scores
from headgate_core.telemetry import packed
from headgate_core.telemetry.evaluations import feedback_span, score_span
from headgate_core.telemetry.profile import profile
from headgate_core.telemetry.spans import SpanRecord, spans


class StoredSpans(NamedTuple):
    """All spans of a call, the server span first."""

    spans: list[SpanRecord]
    derived: bool
    """Whether the store had none, so that they were made from the call's record just now."""


def get_spans(store: Store, call_id: str) -> StoredSpans:
    """Spans of the call whose id is, or uniquely begins with, ``call_id``.

    Raises ``NotFound``, or ``InvalidRequest`` when several calls' ids begin so.
    """
    with store.begin() as db:
        whole = whole_id(db, call_id)
        row = db.execute(select(calls.c.record, calls.c.spans).filter_by(call_id=whole)).one()
        record: CallRecord = unpack(row.record)
        own = spans(record, profile()) if row.spans is None else packed.unpack(row.spans)
        judged = list(_judged(db, whole, record["trace_id"]))
        return StoredSpans([*own, *judged], row.spans is None)


def _judged(db: Connection, call_id: str, trace_id: str) -> Iterator[SpanRecord]:
    times = select(scores.c.scored_unix_ns).filter_by(call_id=call_id).distinct()
    for at in db.execute(times.order_by(scores.c.scored_unix_ns)).scalars():
        yield score_span(call_id, trace_id, read_scores(db, call_id, at), at, profile())
    for feedback in read_feedback(db, call_id):
        yield feedback_span(trace_id, feedback, profile())
