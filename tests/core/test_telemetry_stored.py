"""Spans at rest: what was packed comes back, old stores are told apart, JSON is OTLP's own."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
from ledger_records import attempt, attempt_line, call, call_line, score, scores_line
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import text

from headgate_core.records import CallRecord
from headgate_core.store import Store
from headgate_core.store.call_spans import get_spans
from headgate_core.store.calls import get_call, list_calls, write_batch
from headgate_core.store.feedback import made, read_feedback, write_feedback
from headgate_core.store.migrations import REVISIONS
from headgate_core.store.tables import attempts, calls
from headgate_core.telemetry import packed
from headgate_core.telemetry.evaluations import feedback_span, score_span
from headgate_core.telemetry.otlp_json import document
from headgate_core.telemetry.profile import profile
from headgate_core.telemetry.readable import readable, resource
from headgate_core.telemetry.spans import SpanRecord, spans

FORM_1 = (
    "01783f94d0abc48b5632484c33373335b434344b4e31314e49b13031b1484d3232344cb6303036b44c56d231"
    "3407198402401507383fa41794e89ae819eae602630968223c6f249927a69825991b9a591a19181b1b83d21e"
    "2803020b5230209c6de03e024515d4c5b1b1b10089272f6b"
)
"""One span, as a store holds it."""


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'headgate.db'}"


def rich() -> CallRecord:
    """A call with a failed attempt, a stream, text in other alphabets and a parent elsewhere."""
    record = call(
        stream=True,
        session="s-1",
        tags=["a", "ü"],
        parent_span_id="00f067aa0ba902b7",
        route="Fragen-über-Ärzte",
        outcome="error",
        error_code="upstream_truncated",
    )
    record["attempts"] = [
        attempt(record["call_id"], outcome="error", status=503, error="upstream_error: down"),
        attempt(record["call_id"], n=2, start_ms=1.6, server_address="h", server_port=443),
    ]
    return record


def feedback(call_id: str, value: Any, **changes: Any) -> Any:
    return {
        "id": "",
        "call_id": call_id,
        "key_id": "key-1",
        "name": "user",
        "value": value,
        "data_type": "boolean",
        "comment": "private words",
        "comment_status": "kept",
        "source": "person",
        "created_unix_ns": 0,
        "updated_unix_ns": 0,
        **changes,
    }


def judged(record: CallRecord) -> list[SpanRecord]:
    """All spans of a call, and those of its scores and feedback."""
    scored = score_span(
        record["call_id"], record["trace_id"], [score("cost.usd", 0.5)], 7, profile()
    )
    values = (True, 4.5, "wrong source")
    opinions = [
        feedback_span(record["trace_id"], made(feedback(record["call_id"], v)), profile())
        for v in values
    ]
    return [*spans(record, profile()), scored, *opinions]


def test_spans_come_back_from_the_store_exactly_as_exporters_get_them(tmp_path: Path) -> None:
    store = Store.open(url_of(tmp_path))
    record = rich()
    with store.begin() as db:
        write_batch(db, [{"t": "call", "call": record}])
    found = get_spans(store, record["call_id"][:-1])
    assert found == (spans(record, profile()), False)
    store.close()


def test_a_stored_span_takes_little_room() -> None:
    many = [packed.pack(spans(call(), profile())) for _ in range(20)]
    raw = len(json.dumps(spans(call(), profile())))
    assert max(map(len, many)) < raw / 5


def test_blobs_of_form_1_stay_readable() -> None:
    (span,) = packed.unpack(bytes.fromhex(FORM_1))
    assert span["name"] == "chat gpt-4.1-mini"
    assert span["attributes"] == {"gen_ai.operation.name": "chat", "headgate.n": 1}


def test_a_blob_of_a_newer_form_says_so() -> None:
    with pytest.raises(ValueError, match="newer version of Headgate"):
        packed.unpack(b"\x09whatever")


def test_a_record_that_cannot_become_spans_is_stored_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store.open(url_of(tmp_path))
    record = call()
    record["stages"] = [{"name": "route"}]  # type: ignore[typeddict-item]
    with store.begin() as db:
        write_batch(db, [{"t": "call", "call": record}])
    assert get_call(store, record["call_id"]).record == record
    assert f"no spans can be made of call {record['call_id']}" in caplog.text
    store.close()


def test_a_store_of_an_earlier_version_keeps_its_calls_and_takes_spans_and_feedback(
    tmp_path: Path,
) -> None:
    old, lone = call_line(), attempt_line(attempt("gone"))
    _store_at_0002(tmp_path, old["call"], lone["attempt"])
    store = Store.open(url_of(tmp_path))
    with store.begin() as db:
        assert db.execute(text("select version_num from alembic_version")).scalar() == REVISIONS[-1]
        fresh = call_line()
        write_batch(db, [fresh])
        write_feedback(db, made(feedback(old["call"]["call_id"], True)))
    assert get_call(store, old["call"]["call_id"]).record == old["call"]
    assert [one["value"] for one in get_call(store, old["call"]["call_id"]).feedback] == [True]
    assert len(list_calls(store)) == 2
    before = get_spans(store, old["call"]["call_id"])
    assert before.derived and before.spans[:-1] == spans(old["call"], profile())
    assert not get_spans(store, fresh["call"]["call_id"]).derived
    store.close()


def _store_at_0002(folder: Path, record: CallRecord, lone: Any) -> None:
    """A database as revision 0002 left it, with a call and an attempt in it."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import insert

    from headgate_core.store.rows import attempt_row, call_row

    store = Store(url_of(folder))
    config = Config()
    config.set_main_option("script_location", "headgate_core.store:migrations")
    with store.begin() as db:
        config.attributes["connection"] = db
        command.upgrade(config, "0002")
    row = {name: value for name, value in call_row(record).items() if name != "spans"}
    with store.begin() as db:
        db.execute(insert(calls).values(row))
        db.execute(insert(attempts).values(attempt_row(lone)))
    store.close()


def test_scores_and_feedback_of_a_stored_call_are_among_its_spans(tmp_path: Path) -> None:
    store = Store.open(url_of(tmp_path))
    record = call()
    with store.begin() as db:
        write_batch(db, [{"t": "call", "call": record}])
        write_batch(db, [scores_line(record["call_id"], 5, score("a", 1.0), score("b", 0.5))])
        write_batch(db, [scores_line(record["call_id"], 9, score("c", None, "judge_error"))])
        stored = write_feedback(db, made(feedback(record["call_id"], "wrong source")))
    *_, first, second, given = get_spans(store, record["call_id"]).spans
    assert first == score_span(
        record["call_id"], record["trace_id"], [score("a", 1.0), score("b", 0.5)], 5, profile()
    )
    assert [e["attributes"]["gen_ai.evaluation.name"] for e in second["events"]] == ["c"]
    assert given == feedback_span(record["trace_id"], stored, profile())
    assert given["events"][0]["attributes"] == {
        "gen_ai.evaluation.name": "user",
        "gen_ai.evaluation.score.label": "wrong source",
        "headgate.feedback.source": "person",
    }
    assert "private words" not in json.dumps(given)
    store.close()


def test_feedback_that_is_given_again_replaces_what_was_there(tmp_path: Path) -> None:
    store = Store.open(url_of(tmp_path))
    with store.begin() as db:
        first = write_feedback(db, made(feedback("c", True)))
        second = write_feedback(db, made(feedback("c", "slow", comment=None)))
        other = write_feedback(db, made(feedback("c", 4.0, key_id="key-2")))
        found = read_feedback(db, "c")
    assert (second["id"], second["created_unix_ns"]) == (first["id"], first["created_unix_ns"])
    assert second["updated_unix_ns"] > first["updated_unix_ns"]
    assert (second["value"], second["data_type"], second["comment"]) == (
        "slow",
        "categorical",
        None,
    )
    assert found == [second, other]
    store.close()


def test_the_json_document_is_what_the_exporter_would_have_sent() -> None:
    """The mapping of OTLP/JSON: hexadecimal ids, numbers for enumerations, texts for uint64."""
    all_spans = judged(rich())
    made_here = document(all_spans, profile())
    read = ParseDict(_as_protobuf_json(made_here), ExportTraceServiceRequest())
    about = resource()
    sent = encode_spans([readable(span, about, profile()["schema_url"]) for span in all_spans])
    ours, theirs = read.resource_spans[0], sent.resource_spans[0]
    assert list(ours.scope_spans[0].spans) == list(theirs.scope_spans[0].spans)
    assert ours.scope_spans[0].schema_url == theirs.scope_spans[0].schema_url
    assert ours.scope_spans[0].scope == theirs.scope_spans[0].scope
    described = {a.key: a.value.string_value for a in theirs.resource.attributes}
    assert {a.key: a.value.string_value for a in ours.resource.attributes}.items() <= (
        described.items()
    )


def test_the_json_document_writes_ids_times_and_kinds_as_collectors_read_them() -> None:
    record = rich()
    (found,) = document(spans(record, profile()), profile())["resourceSpans"]
    made_here = found["scopeSpans"][0]["spans"]
    server, leaf = made_here[0], made_here[-2]
    assert server["traceId"] == record["trace_id"]
    assert server["parentSpanId"] == "00f067aa0ba902b7"
    assert server["startTimeUnixNano"] == str(record["started_unix_ns"])
    assert (server["kind"], leaf["kind"]) == (2, 3)
    assert leaf["status"] == {"code": 2, "message": "503"}
    values = {a["key"]: a["value"] for a in leaf["attributes"]}
    assert values["gen_ai.usage.input_tokens"] == {"intValue": "100"}
    assert values["gen_ai.request.stream"] == {"boolValue": True}
    assert values["gen_ai.response.time_to_first_chunk"] == {"doubleValue": 0.008}
    tags = {a["key"]: a["value"] for a in server["attributes"]}["headgate.tags"]
    assert tags == {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "ü"}]}}


def _as_protobuf_json(value: Any, name: str = "") -> Any:
    """Protobuf's own JSON has ids in base64; that is the one difference on the way in."""
    if isinstance(value, dict):
        return {key: _as_protobuf_json(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_protobuf_json(item) for item in value]
    if name in ("traceId", "spanId", "parentSpanId"):
        return base64.b64encode(bytes.fromhex(value)).decode()
    return value
