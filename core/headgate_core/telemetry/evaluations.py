"""What was judged about a call after its spans were made: scores and feedback as events.

Events stand on a span of their own that is linked to the call's server span. The text of a comment
is never on one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headgate_core.records import FeedbackRecord, ScoreRecord
from headgate_core.telemetry.profile import Profile
from headgate_core.telemetry.spans import Attributes, EventRecord, SpanRecord, present, span_id


def score_span(
    call_id: str, trace_id: str, scores: Sequence[ScoreRecord], at_unix_ns: int, profile: Profile
) -> SpanRecord:
    """A carrier for scores that were made together: one event a score."""
    events = [_score_event(score, at_unix_ns, profile["names"]) for score in scores]
    return _carrier("scores", call_id, trace_id, at_unix_ns, events)


def feedback_span(trace_id: str, feedback: FeedbackRecord, profile: Profile) -> SpanRecord:
    """A carrier for one piece of feedback."""
    event = _feedback_event(feedback, profile["names"])
    return _carrier("feedback", feedback["call_id"], trace_id, feedback["updated_unix_ns"], [event])


def _carrier(
    what: str, call_id: str, trace_id: str, at_unix_ns: int, events: list[EventRecord]
) -> SpanRecord:
    server = span_id(call_id, "server")
    return {
        "name": f"headgate {what}",
        "kind": "INTERNAL",
        "trace_id": trace_id,
        "span_id": span_id(call_id, f"{what} {at_unix_ns}"),
        "parent_span_id": server,
        "start_unix_ns": at_unix_ns,
        "end_unix_ns": at_unix_ns,
        "attributes": {"headgate.call_id": call_id},
        "events": events,
        "error": "",
        "link": server,
    }


def _score_event(score: ScoreRecord, at_unix_ns: int, names: Mapping[str, str]) -> EventRecord:
    attributes: Attributes = {
        names["evaluation_name"]: score["metric"],
        names["evaluation_version"]: score["version"],
    }
    if score["value"] is not None:
        attributes[names["evaluation_value"]] = float(score["value"])
    elif score["unscored"].endswith("_error"):
        attributes[names["error_type"]] = score["unscored"]
        attributes[names["evaluation_explanation"]] = "The evaluator failed."
    else:
        attributes["headgate.unscored"] = score["unscored"]
    return {
        "name": names["evaluation_event"],
        "time_unix_ns": at_unix_ns,
        "attributes": present(attributes),
    }


def _feedback_event(feedback: FeedbackRecord, names: Mapping[str, str]) -> EventRecord:
    value = feedback["value"]
    attributes: Attributes = {
        names["evaluation_name"]: feedback["name"],
        "headgate.feedback.source": feedback["source"],
    }
    if isinstance(value, str):
        attributes[names["evaluation_label"]] = value
    else:
        attributes[names["evaluation_value"]] = float(value)
    if isinstance(value, bool):
        attributes[names["evaluation_label"]] = "pass" if value else "fail"
    return {
        "name": names["evaluation_event"],
        "time_unix_ns": feedback["updated_unix_ns"],
        "attributes": attributes,
    }
