"""OTLP export: what arrives at a collector, and that nothing of it can hurt a call."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence

import pytest
from collector import collector
from ledger_records import attempt, call, score
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from headgate_core.context import Context
from headgate_core.settings.server import OtlpSettings, TelemetrySettings
from headgate_core.telemetry import otlp
from headgate_core.telemetry.hook import TelemetryHook
from headgate_core.telemetry.otlp import OtlpExporter
from headgate_core.telemetry.profile import profile
from headgate_core.telemetry.spans import SpanRecord, spans


def some_spans() -> list[SpanRecord]:
    return spans(call(), profile())


class Raising(SpanExporter):
    """Raises on every call, as the worst of back-ends."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise RuntimeError("telemetry is broken")

    def shutdown(self) -> None:
        pass


def test_a_call_and_its_scores_arrive_decoded_under_their_names() -> None:
    record = call(session="s-1")
    ctx = Context(route="docs", request={}, call_id=record["call_id"], trace_id=record["trace_id"])
    ctx.record = record
    with collector() as server:
        target = OtlpSettings(endpoint=server.endpoint + "/", headers={"x-api-key": "k"})

        async def run() -> None:
            hook = TelemetryHook(TelemetrySettings(otlp=[target]))
            await hook.start()
            hook.on_record(ctx)
            hook.on_scores(record["call_id"], [score("cost.usd", 0.5)])
            hook.on_scores("a call of long ago", [score("cost.usd", 0.5)])
            await hook.stop()
            assert hook.exporters[0].exported == 6

        asyncio.run(run())
    path, headers, _ = server.received[0]
    assert (path, headers["x-api-key"]) == ("/v1/traces", "k")
    sent = [r for _, _, request in server.received for r in request.resource_spans]
    about = {a.key: a.value.string_value for r in sent for a in r.resource.attributes}
    assert about["service.name"] == "headgate"
    arrived = {s.name: s for r in sent for scope in r.scope_spans for s in scope.spans}
    assert set(arrived) == {
        *("headgate docs", "authenticate", "retrieval", "route", "chat gpt-4.1-mini"),
        "headgate scores",
    }
    leaf = arrived["chat gpt-4.1-mini"]
    assert leaf.trace_id.hex() == record["trace_id"]
    assert leaf.parent_span_id == arrived["route"].span_id
    values = {a.key: a.value for a in leaf.attributes}
    assert values["gen_ai.usage.input_tokens"].int_value == 100
    assert values["headgate.cost_usd"].string_value == "0.000072"
    carrier = arrived["headgate scores"]
    assert [link.span_id for link in carrier.links] == [arrived["headgate docs"].span_id]
    assert [event.name for event in carrier.events] == ["gen_ai.evaluation.result"]


def test_an_exporter_that_always_raises_fails_no_call_and_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exporter = OtlpExporter(OtlpSettings(endpoint="http://unused"), connect=Raising)
    exporter.start()
    for _ in range(50):
        exporter.offer(some_spans)
    exporter.stop()
    lost = exporter.failed + exporter.dropped * len(some_spans())
    assert (exporter.exported, lost) == (0, 50 * len(some_spans()))
    assert caplog.text.count("telemetry is broken") == 1


def test_a_record_that_cannot_become_spans_costs_only_telemetry() -> None:
    def broken() -> list[SpanRecord]:
        return spans(call(trace_id="not hexadecimal"), profile())

    with collector() as server:
        exporter = OtlpExporter(OtlpSettings(endpoint=server.endpoint))
        exporter.start()
        exporter.offer(broken)
        deadline = time.monotonic() + 30
        while not exporter.failed and time.monotonic() < deadline:
            os.sched_yield()
        exporter.offer(some_spans)
        exporter.stop()
    assert exporter.exported == len(some_spans())


def test_a_full_queue_drops_and_counts_and_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "QUEUE", 3)
    exporter = OtlpExporter(OtlpSettings(endpoint="http://unused"), connect=Raising)
    for _ in range(10):
        exporter.offer(some_spans)
    assert exporter.dropped == 7


def test_a_back_end_that_refuses_or_is_away_is_counted_and_stopping_is_bounded() -> None:
    with collector(status=503) as server:
        refused = OtlpExporter(OtlpSettings(endpoint=server.endpoint))
        away = OtlpExporter(OtlpSettings(endpoint="http://127.0.0.1:1"))
        for exporter in (refused, away):
            exporter.start()
            exporter.offer(some_spans)
            exporter.stop(timeout_s=0.2)
            assert not exporter._thread.is_alive()
            assert exporter.failed == len(some_spans())


def test_stopping_what_was_never_started_does_nothing() -> None:
    OtlpExporter(OtlpSettings(endpoint="http://unused")).stop()


def test_an_attempt_under_way_at_the_end_is_exported_too() -> None:
    record = call(outcome="interrupted")
    record["attempts"] = [attempt(record["call_id"], outcome="estimated", usage=None)]
    with collector() as server:
        exporter = OtlpExporter(OtlpSettings(endpoint=server.endpoint))
        exporter.start()
        exporter.offer(lambda: spans(record, profile()))
        exporter.stop()
        assert exporter.exported == 5
