"""The telemetry service of a serving process: finished calls and late scores, out by OTLP."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

from headgate_core.context import Context
from headgate_core.records import CallRecord, FeedbackRecord, ScoreRecord
from headgate_core.settings.server import TelemetrySettings
from headgate_core.telemetry.evaluations import feedback_span, score_span
from headgate_core.telemetry.otlp import OtlpExporter
from headgate_core.telemetry.profile import profile
from headgate_core.telemetry.spans import SpanRecord, spans

REMEMBERED = 10_000
"""Calls whose trace is known when their scores come."""


class TelemetryHook:
    """Hands records to every configured back-end; nothing it does can fail a call."""

    def __init__(self, settings: TelemetrySettings) -> None:
        self._profile = profile(settings.profile)
        schema = self._profile["schema_url"]
        self.exporters = [OtlpExporter(target, schema) for target in settings.otlp]
        self._traces: OrderedDict[str, str] = OrderedDict()

    async def start(self) -> None:
        """Start one thread a back-end; no connection is opened before the first call."""
        for exporter in self.exporters:
            exporter.start()

    async def stop(self) -> None:
        """Send what is queued, for a few seconds at most."""
        await asyncio.gather(*(asyncio.to_thread(e.stop) for e in self.exporters))

    def on_record(self, ctx: Context) -> None:
        """Take a finished call; its spans are derived in the exporters' threads."""
        if ctx.record is None:
            return
        self._traces[ctx.call_id] = ctx.trace_id
        if len(self._traces) > REMEMBERED:
            self._traces.popitem(last=False)
        self._offer(partial(self._spans, ctx.record))

    def on_scores(
        self, call_id: str, scores: Sequence[ScoreRecord], at_unix_ns: int | None = None
    ) -> None:
        """Take scores of a recent call, as events on a span linked to it; older ones are left."""
        trace_id = self._traces.get(call_id)
        if trace_id:
            at = at_unix_ns or time.time_ns()
            self._offer(partial(self._scores, call_id, trace_id, list(scores), at))

    def on_feedback(self, trace_id: str, feedback: FeedbackRecord) -> None:
        """Take feedback on a call of that trace, as an event on a span linked to it."""
        self._offer(partial(self._feedback, trace_id, feedback))

    def _offer(self, work: partial[list[SpanRecord]]) -> None:
        for exporter in self.exporters:
            exporter.offer(work)

    def _spans(self, record: CallRecord) -> list[SpanRecord]:
        return spans(record, self._profile)

    def _scores(
        self, call_id: str, trace_id: str, scores: list[ScoreRecord], at_unix_ns: int
    ) -> list[SpanRecord]:
        return [score_span(call_id, trace_id, scores, at_unix_ns, self._profile)]

    def _feedback(self, trace_id: str, feedback: FeedbackRecord) -> list[SpanRecord]:
        return [feedback_span(trace_id, feedback, self._profile)]
