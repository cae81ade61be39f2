"""Calls, their attempts and their scores: written in batches exactly once, read by id or page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Table, select

from headgate_core.errors import InvalidRequest, NotFound
from headgate_core.records import CallRecord, FeedbackRecord, JournalLine, ScoreRecord, ScoresLine
from headgate_core.store.dialect import dialect_of
from headgate_core.store.engine import Store
from headgate_core.store.feedback import read_feedback
from headgate_core.store.rows import attempt_row, call_row, score_rows, unpack
from headgate_core.store.tables import attempts, calls, scores


class CallSummary(NamedTuple):
    """One line of a list of calls; fields as in ``CallRecord``."""

    call_id: str
    started_unix_ns: int
    source: str
    route: str
    outcome: str
    status: int
    target: str
    input_tokens: int
    output_tokens: int
    cost_pico: int
    unpriced: bool
    duration_ms: float
    error_code: str


class StoredCall(NamedTuple):
    """One call as kept: its record (with ``content`` where captured), scores and feedback."""

    record: CallRecord
    scores: list[ScoreRecord]
    feedback: list[FeedbackRecord]


class Filter(NamedTuple):
    """Which calls to list; an empty member does not restrict."""

    route: str = ""
    outcome: str = ""
    source: str = ""
    key_id: str = ""
    trace_id: str = ""


ALL = Filter()


def write_batch(db: Connection, lines: Iterable[JournalLine]) -> None:
    """Write lines of a journal. What is there already stays as it is, so replaying is harmless.

    Of two scores of one metric and version the later one stands. Begin lines are skipped.
    """
    call_rows: list[dict[str, Any]] = []
    attempt_rows: list[dict[str, Any]] = []
    for line in lines:
        if line["t"] == "call":
            call_rows.append(call_row(line["call"]))
            attempt_rows.extend(map(attempt_row, line["call"]["attempts"]))
        elif line["t"] == "attempt":
            attempt_rows.append(attempt_row(line["attempt"]))
        elif line["t"] == "scores":
            write_scores(db, line)
    _insert_new(db, calls, call_rows)
    _insert_new(db, attempts, attempt_rows)


def write_scores(db: Connection, line: ScoresLine) -> None:
    """Insert scores, or replace those of the same metric and version that are older."""
    for row in score_rows(line):
        insert = dialect_of(db).insert(scores).values(row)
        db.execute(
            insert.on_conflict_do_update(
                index_elements=list(scores.primary_key.columns),
                set_={name: insert.excluded[name] for name in row},
                where=scores.c.scored_unix_ns < insert.excluded.scored_unix_ns,
            )
        )


def list_calls(
    store: Store, limit: int = 20, before: str = "", where: Filter = ALL
) -> list[CallSummary]:
    """The latest calls first, at most ``limit``; ``before`` is the last id of the page before.

    Raises ``NotFound`` for an unknown ``before``.
    """
    query = select(*(calls.c[name] for name in CallSummary._fields))
    for name, value in where._asdict().items():
        if value:
            query = query.where(calls.c[name] == value)
    with store.begin() as db:
        if before:
            started = _started(db, before)
            query = query.where(
                (calls.c.started_unix_ns < started)
                | ((calls.c.started_unix_ns == started) & (calls.c.call_id < before))
            )
        query = query.order_by(calls.c.started_unix_ns.desc(), calls.c.call_id.desc())
        return [CallSummary(*row) for row in db.execute(query.limit(limit))]


def key_of(store: Store, call_id: str) -> str | None:
    """The id of the key that made the call of exactly this id; None = there is no such call."""
    with store.begin() as db:
        found: str | None = db.execute(select(calls.c.key_id).filter_by(call_id=call_id)).scalar()
        return found


def get_call(store: Store, call_id: str) -> StoredCall:
    """The call whose id is, or uniquely begins with, ``call_id``.

    Raises ``NotFound``, or ``InvalidRequest`` when several calls' ids begin so.
    """
    with store.begin() as db:
        whole = whole_id(db, call_id)
        row = db.execute(select(calls.c.record, calls.c.content).filter_by(call_id=whole)).one()
        record: CallRecord = unpack(row.record)
        if row.content is not None:
            record["content"] = unpack(row.content)
        return StoredCall(record, read_scores(db, whole), read_feedback(db, whole))


def read_scores(db: Connection, call_id: str, at_unix_ns: int | None = None) -> list[ScoreRecord]:
    """All scores of a call, or those of one time, by metric."""
    query = select(scores).filter_by(call_id=call_id).order_by(scores.c.metric, scores.c.version)
    if at_unix_ns is not None:
        query = query.filter_by(scored_unix_ns=at_unix_ns)
    return [
        {
            "metric": row.metric,
            "value": row.value,
            "unscored": row.unscored,
            "version": row.version,
            "details": orjson.loads(row.details),
        }
        for row in db.execute(query)
    ]


def whole_id(db: Connection, start: str) -> str:
    """The id of the one call whose id is ``start`` or begins so.

    Raises ``NotFound``, or ``InvalidRequest`` when several do.
    """
    if db.execute(select(calls.c.call_id).filter_by(call_id=start)).scalar():
        return start
    query = select(calls.c.call_id).where(calls.c.call_id.startswith(start, autoescape=True))
    found: Sequence[str] = db.execute(query.order_by(calls.c.call_id).limit(3)).scalars().all()
    if not found or not start:
        raise NotFound(f"There is no call {start!r}. `headgate traces list` shows the latest ones.")
    if len(found) > 1:
        raise InvalidRequest(
            f"Several calls' ids begin with {start!r}, {found[0]} and {found[1]} among them: "
            "give more of the id."
        )
    return found[0]


def _started(db: Connection, call_id: str) -> int:
    started = db.execute(select(calls.c.started_unix_ns).filter_by(call_id=call_id)).scalar()
    if started is None:
        raise NotFound(f"There is no call {call_id!r} to list earlier ones of.")
    return int(started)


def _insert_new(db: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows whose key is not there yet; of twins within ``rows`` the first."""
    if not rows:
        return
    db.execute(dialect_of(db).insert(table).on_conflict_do_nothing(), rows)
