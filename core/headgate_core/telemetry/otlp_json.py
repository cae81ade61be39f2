"""Spans as an OTLP/JSON document, ready to be posted to the ``/v1/traces`` of any collector.

Its rules where they differ from plain Protobuf JSON: ids are hexadecimal, enumerations are numbers,
64-bit integers are texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headgate_core.telemetry.about import service
from headgate_core.telemetry.profile import Profile
from headgate_core.telemetry.spans import Attributes, SpanRecord, has_remote_parent
from headgate_core.types import Json

_KINDS = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3}
_ERROR = 2
_HAS_REMOTE, _REMOTE = 0x100, 0x200


def document(spans: Sequence[SpanRecord], profile: Profile) -> Json:
    """The body of an ``ExportTraceServiceRequest``."""
    about = service()
    scope = {"name": about["service.name"], "version": about["service.version"]}
    of_scope = {
        "scope": scope,
        "spans": [_span(span) for span in spans],
        "schemaUrl": profile["schema_url"],
    }
    of_resource = {"resource": {"attributes": _attributes(about)}, "scopeSpans": [of_scope]}
    return {"resourceSpans": [of_resource]}


def _span(span: SpanRecord) -> Json:
    parent, link = span["parent_span_id"], span.get("link")
    made: Json = {
        "traceId": span["trace_id"],
        "spanId": span["span_id"],
        "flags": _flags(span),
        "name": span["name"],
        "kind": _KINDS[span["kind"]],
        "startTimeUnixNano": str(span["start_unix_ns"]),
        "endTimeUnixNano": str(span["end_unix_ns"]),
        "attributes": _attributes(span["attributes"]),
        "status": {"code": _ERROR, "message": span["error"]} if span["error"] else {},
    }
    if parent:
        made["parentSpanId"] = parent
    if span["events"]:
        made["events"] = [
            {
                "timeUnixNano": str(event["time_unix_ns"]),
                "name": event["name"],
                "attributes": _attributes(event["attributes"]),
            }
            for event in span["events"]
        ]
    if link:
        made["links"] = [{"traceId": span["trace_id"], "spanId": link, "flags": _HAS_REMOTE}]
    return made


def _flags(span: SpanRecord) -> int:
    """Whether the parent is another service's span."""
    return _HAS_REMOTE | (_REMOTE if has_remote_parent(span) else 0)


def _attributes(values: Attributes | Mapping[str, str]) -> list[Json]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: str | bool | int | float | list[str]) -> Json:
    match value:
        case bool():
            return {"boolValue": value}
        case str():
            return {"stringValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
    return {"arrayValue": {"values": [_value(one) for one in value]}}
