"""OTLP over HTTP: spans leave in a thread of their own, by a bounded queue that may lose some.

Nothing here can fail or slow a call: a full queue drops (counted), an export that raises is
counted and logged once until one succeeds again.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from headgate_core.settings.server import OtlpSettings
from headgate_core.telemetry.spans import SpanRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

log = logging.getLogger("headgate.telemetry")

QUEUE = 4096
BATCH = 128
EXPORT_TIMEOUT_S = 5.0

T = TypeVar("T")
Work: TypeAlias = Callable[[], Sequence[SpanRecord]]
"""Derives spans, in the exporter's thread."""


class OtlpExporter:
    """One OTLP back-end. ``connect`` makes the SDK's exporter, in the exporter's thread."""

    def __init__(
        self,
        settings: OtlpSettings,
        schema_url: str = "",
        connect: Callable[[], SpanExporter] | None = None,
    ) -> None:
        self.endpoint = settings.endpoint.rstrip("/") + "/v1/traces"
        self.exported = 0
        self.dropped = 0
        """Calls whose spans found the queue full, or were left over at the end."""
        self.failed = 0
        """Spans that the back-end did not take."""
        self._settings = settings
        self._schema_url = schema_url
        self._connect = connect or self._over_http
        self._queue: queue.Queue[Work | None] = queue.Queue(QUEUE)
        self._thread = threading.Thread(target=self._run, name="otlp exporter", daemon=True)
        self._exporter: SpanExporter | None = None
        self._stopping = False
        self._complained = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, work: Work) -> None:
        """Hand over something to derive spans from; returns at once and never raises."""
        try:
            self._queue.put_nowait(work)
        except queue.Full:
            if not self.dropped:
                log.warning("spans for %s are dropped: its queue is full", self.endpoint)
            self.dropped += 1

    def stop(self, timeout_s: float = 3.0) -> None:
        """Send what is queued, for ``timeout_s`` at most, and end. Blocks: call it in a thread."""
        if not self._thread.is_alive():
            return
        self._stopping = True
        with contextlib.suppress(queue.Full):  # the thread looks at _stopping after a batch too
            self._queue.put_nowait(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._shut_down()  # cuts short the wait between its retries
            self._thread.join(1.0)
        self.dropped += self._queue.qsize()

    def _run(self) -> None:
        while work := self._batch():
            sent = self._send(work)
            if self._stopping and (not sent or self._queue.empty()):
                break
        self._shut_down()

    def _shut_down(self) -> None:
        if self._exporter is None:
            return
        _, fault = _guarded(self._exporter.shutdown)
        if fault:
            log.warning("the exporter of %s could not be closed: %s", self.endpoint, fault)

    def _batch(self) -> list[Work]:
        """At least one piece of work, waiting for it; empty at the end."""
        found: list[Work] = []
        item = self._queue.get()
        while item is not None:
            found.append(item)
            if len(found) == BATCH or self._queue.empty():
                break
            item = self._queue.get_nowait()
        return found

    def _send(self, work: Sequence[Work]) -> bool:
        spans: list[SpanRecord] = []

        def export() -> bool:
            spans.extend([span for derive in work for span in derive()])
            self._exporter = self._exporter or self._connect()
            return self._export(self._exporter, spans)

        ok, fault = _guarded(export)
        return self._note(bool(ok), len(spans), fault or "it refused them")

    def _export(self, exporter: SpanExporter, spans: Sequence[SpanRecord]) -> bool:
        from opentelemetry.sdk.trace.export import SpanExportResult

        from headgate_core.telemetry.readable import readable, resource

        about = resource()
        ready: list[ReadableSpan] = [readable(span, about, self._schema_url) for span in spans]
        return exporter.export(ready) is SpanExportResult.SUCCESS

    def _note(self, ok: bool, count: int, reason: str) -> bool:
        if ok:
            self.exported += count
            if self._complained:
                log.warning("%s takes spans again", self.endpoint)
        else:
            self.failed += count
            if not self._complained:
                log.warning("%s did not take %d spans: %s", self.endpoint, count, reason)
        self._complained = not ok
        return ok

    def _over_http(self) -> SpanExporter:
        import requests  # noqa: TID251 - the exporter's own client, in the exporter's thread
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        # The library logs every failed batch; this class says it once.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        session = requests.Session()
        session.max_redirects = 0  # spans and their headers go where the operator sent them
        return OTLPSpanExporter(
            endpoint=self.endpoint,
            headers=self._settings.headers,
            timeout=EXPORT_TIMEOUT_S,
            session=session,
        )


def _guarded(work: Callable[[], T]) -> tuple[T | None, str]:
    """What ``work`` gives, and what went wrong with it; one of the two is empty."""
    try:
        return work(), ""
    except Exception as error:  # noqa: BLE001 - telemetry may fail, calls and shutdowns may not
        return None, str(error) or type(error).__name__
