"""An OpenTelemetry collector on loopback that keeps what it is sent, or never answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector(ThreadingHTTPServer):
    """Answers with ``status``; with none of them it holds every request until it is closed."""

    daemon_threads = True

    def __init__(self, status: int | None) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.status = status
        self.received: list[tuple[str, dict[str, str], ExportTraceServiceRequest]] = []
        self.arrived = threading.Event()
        self.closing = threading.Event()

    @property
    def endpoint(self) -> str:
        """What goes into ``telemetry.otlp``."""
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self) -> list[Any]:
        """All spans received so far."""
        return [
            span
            for _, _, request in self.received
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Receiver(BaseHTTPRequestHandler):
    """One request of an exporter."""

    server: Collector

    def do_POST(self) -> None:
        """Keep it and answer."""
        body = self.rfile.read(int(self.headers["content-length"]))
        request = ExportTraceServiceRequest.FromString(body)
        self.server.received.append((self.path, dict(self.headers), request))
        self.server.arrived.set()
        if self.server.status is None:
            self.server.closing.wait(60)
            return
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def collector(status: int | None = 200) -> Iterator[Collector]:
    """A collector until the block ends."""
    with Collector(status) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
