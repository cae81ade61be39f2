"""Our span dicts as the OpenTelemetry SDK's ``ReadableSpan``. Imported only when exporting."""

from __future__ import annotations

from functools import cache

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from headgate_core.telemetry.about import service
from headgate_core.telemetry.spans import SpanRecord, has_remote_parent

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


@cache
def resource() -> Resource:
    """Who sends: ``service.name`` headgate, and what ``OTEL_RESOURCE_ATTRIBUTES`` adds."""
    return Resource.create({**service()})


def readable(span: SpanRecord, about: Resource, schema_url: str) -> ReadableSpan:
    """The span as the SDK's exporters take it. Raises ``ValueError`` for ids that are not hex."""
    return ReadableSpan(
        name=span["name"],
        context=_context(span["trace_id"], span["span_id"]),
        parent=_context(span["trace_id"], span["parent_span_id"], has_remote_parent(span)),
        resource=about,
        attributes=span["attributes"],
        events=[
            Event(event["name"], event["attributes"], event["time_unix_ns"])
            for event in span["events"]
        ],
        links=_links(span),
        kind=SpanKind[span["kind"]],
        status=Status(StatusCode.ERROR, span["error"]) if span["error"] else Status(),
        start_time=span["start_unix_ns"],
        end_time=span["end_unix_ns"],
        instrumentation_scope=_scope(schema_url),
    )


def _links(span: SpanRecord) -> list[Link]:
    target = _context(span["trace_id"], span.get("link", ""))
    return [Link(target)] if target else []


def _context(trace_id: str, span_id: str, remote: bool = False) -> SpanContext | None:
    if not span_id:
        return None
    return SpanContext(int(trace_id, 16), int(span_id, 16), remote, _SAMPLED)


@cache
def _scope(schema_url: str) -> InstrumentationScope:
    about = service()
    return InstrumentationScope(about["service.name"], about["service.version"], schema_url or None)
