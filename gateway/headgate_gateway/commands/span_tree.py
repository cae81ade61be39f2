"""The OpenTelemetry spans of one call drawn as a tree for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.tree import Tree

from headgate_core.telemetry.spans import Attributes, EventRecord, SpanRecord
from headgate_gateway.commands.tables import plain


def tree(spans: Sequence[SpanRecord]) -> Tree:
    """Each span under its parent, children by their start; times count from the first span's."""
    base = spans[0]["start_unix_ns"]
    top = Tree(plain(f"trace {spans[0]['trace_id']}", "bold"))
    known = {span["span_id"] for span in spans}
    for span in spans:
        if span["parent_span_id"] not in known:
            _grow(top, span, spans, base)
    return top


def _grow(above: Tree, span: SpanRecord, spans: Sequence[SpanRecord], base: int) -> None:
    style = "bold red" if span["error"] else "bold"
    branch = above.add(plain(_headline(span, base), style))
    for line in _facts(span, base):
        branch.add(plain(line, "dim"))
    children = [one for one in spans if one["parent_span_id"] == span["span_id"]]
    for child in sorted(children, key=lambda one: one["start_unix_ns"]):
        _grow(branch, child, spans, base)


def _headline(span: SpanRecord, base: int) -> str:
    start = (span["start_unix_ns"] - base) / 1e6
    took = (span["end_unix_ns"] - span["start_unix_ns"]) / 1e6
    status = f", error {span['error']}" if span["error"] else ""
    return f"{span['name']} [{span['kind']}] +{start:.2f} ms, {took:.2f} ms{status}"


def _facts(span: SpanRecord, base: int) -> Iterator[str]:
    remote = f", parent {span['parent_span_id']}" if span["parent_span_id"] else ""
    yield f"span {span['span_id']}{remote}"
    yield from _attributes(span["attributes"])
    for event in span["events"]:
        yield _event(event, base)


def _attributes(attributes: Attributes) -> Iterator[str]:
    for name, value in attributes.items():
        yield f"{name}: {_shown(value)}"


def _event(event: EventRecord, base: int) -> str:
    facts = ", ".join(_attributes(event["attributes"]))
    return f"event {event['name']} +{(event['time_unix_ns'] - base) / 1e6:.2f} ms: {facts}"


def _shown(value: str | bool | int | float | list[str]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else str(value)
