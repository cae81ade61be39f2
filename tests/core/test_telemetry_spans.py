"""Spans of a call: standard names only, money on leaves only, never a word of content."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ledger_records import STARTED, attempt, call, score, usage

from headgate_core.records import CallRecord
from headgate_core.telemetry.evaluations import score_span
from headgate_core.telemetry.profile import FILES, profile
from headgate_core.telemetry.spans import SpanRecord, spans

CLIENT_ATTRIBUTES: dict[str, type] = {
    "gen_ai.operation.name": str,
    "gen_ai.provider.name": str,
    "gen_ai.request.model": str,
    "gen_ai.request.stream": bool,
    "gen_ai.response.model": str,
    "gen_ai.response.id": str,
    "gen_ai.response.finish_reasons": list,
    "gen_ai.response.time_to_first_chunk": float,
    "gen_ai.usage.input_tokens": int,
    "gen_ai.usage.output_tokens": int,
    "gen_ai.usage.cache_read.input_tokens": int,
    "gen_ai.usage.reasoning.output_tokens": int,
    "gen_ai.conversation.id": str,
    "error.type": str,
    "server.address": str,
    "server.port": int,
}
"""Of semantic-conventions 1.41.1, what an inference span may carry, with types."""

RETRIEVAL_ATTRIBUTES = {"gen_ai.operation.name", "gen_ai.data_source.id", "error.type"}
EVALUATION_ATTRIBUTES: dict[str, type] = {
    "gen_ai.evaluation.name": str,
    "gen_ai.evaluation.score.value": float,
    "gen_ai.evaluation.score.label": str,
    "gen_ai.evaluation.explanation": str,
    "gen_ai.evaluation.evaluator.version": str,
    "error.type": str,
}
OPERATIONS = {"chat", "generate_content", "text_completion", "embeddings", "retrieval"}
PROVIDERS = {
    *("openai", "gcp.gen_ai", "gcp.vertex_ai", "gcp.gemini", "anthropic", "cohere"),
    *("azure.ai.inference", "azure.ai.openai", "ibm.watsonx.ai", "aws.bedrock", "perplexity"),
    *("x_ai", "deepseek", "groq", "mistral_ai"),
}
NAMES = profile()


def everything() -> CallRecord:
    """A call in which everything happened."""
    record = call(
        session="s-1",
        user="u-1",
        tags=["beta"],
        stream=True,
        outcome="error",
        error_code="upstream_truncated",
        degraded=["retrieve: slow"],
        passages=[
            {
                "number": 1,
                "id": "p",
                "document": "a.md",
                "heading": [],
                "start": 0,
                "end": 1,
                "scores": {},
                "collection": "handbook",
            }
        ],
        verdicts=[
            {
                "policy": "default",
                "check": "pii",
                "at": "input",
                "action": "mask",
                "mode": "enforce",
                "kinds": ["email"],
                "subject": "message 1",
                "ms": 0.1,
                "error": "",
            }
        ],
        content={"messages": [{"role": "user", "content": "CANARY"}], "answer": "", "passages": []},
    )
    record["stages"].insert(1, {"name": "guard_input", "start_ms": 0.1, "ms": 0.1})
    record["attempts"] = [
        attempt(record["call_id"], outcome="error", status=503, error="upstream_status: 503"),
        attempt(
            record["call_id"],
            model="anthropic/claude",
            usage=usage(9, 9, cached_input_tokens=4, reasoning_tokens=2),
            response_model="claude-1",
            response_id="r",
            server_address="api.example.com",
            server_port=443,
        ),
        attempt(record["call_id"], purpose="embed", model="minilm", cost_pico=None, start_ms=900.0),
    ]
    return record


def of_kind(found: list[SpanRecord], kind: str) -> list[SpanRecord]:
    return [span for span in found if span["kind"] == kind]


def test_every_name_is_of_the_convention_or_under_our_prefix() -> None:
    for span in spans(everything(), NAMES):
        for name, value in span["attributes"].items():
            if name.startswith("headgate."):
                continue
            if span["name"].startswith("retrieval"):
                assert name in RETRIEVAL_ATTRIBUTES
            elif span["kind"] == "CLIENT":
                assert type(value) is CLIENT_ATTRIBUTES[name], name
            else:
                assert name == "error.type"


def test_all_that_the_convention_requires_of_an_inference_span_is_there() -> None:
    for span in of_kind(spans(everything(), NAMES), "CLIENT"):
        assert span["attributes"]["gen_ai.operation.name"] in OPERATIONS
        if not span["name"].startswith("retrieval"):
            assert {"gen_ai.provider.name", "gen_ai.request.model"} <= span["attributes"].keys()


def test_standard_providers_are_named_as_the_convention_does() -> None:
    assert set(NAMES["providers"].values()) <= PROVIDERS
    found = [s["attributes"].get("gen_ai.provider.name") for s in spans(everything(), NAMES)]
    assert found[-3:] == ["openai", "anthropic", "openai"]
    own = call()
    own["attempts"] = [attempt(own["call_id"], provider="gpu", model="qwen3-8b")]
    assert spans(own, NAMES)[-1]["attributes"]["gen_ai.provider.name"] == "gpu"


def test_spans_are_one_server_one_a_stage_and_one_an_attempt() -> None:
    record = everything()
    found = spans(record, NAMES)
    assert [(s["kind"], s["name"]) for s in found] == [
        ("SERVER", "headgate docs"),
        ("INTERNAL", "authenticate"),
        ("INTERNAL", "guard_input"),
        ("CLIENT", "retrieval handbook"),
        ("INTERNAL", "route"),
        ("CLIENT", "chat gpt-4.1-mini"),
        ("CLIENT", "chat anthropic/claude"),
        ("CLIENT", "embeddings minilm"),
    ]
    assert found[2]["attributes"]["headgate.guard.verdicts"] == ["default/pii mask"]
    assert len({s["span_id"] for s in found}) == len(found)
    assert {s["trace_id"] for s in found} == {record["trace_id"]}


def test_an_attempt_hangs_under_the_stage_it_began_in_else_under_the_call() -> None:
    server, *_, route, first, _, late = spans(everything(), NAMES)
    assert first["parent_span_id"] == route["span_id"]
    assert late["parent_span_id"] == server["span_id"]
    assert spans(call(parent_span_id="ab" * 8), NAMES)[0]["parent_span_id"] == "ab" * 8


def test_money_stands_on_the_attempts_alone_and_exactly() -> None:
    found = spans(everything(), NAMES)
    with_money = [s for s in found if any("cost" in name for name in s["attributes"])]
    assert [s["name"] for s in with_money] == ["chat gpt-4.1-mini", "chat anthropic/claude"]
    assert with_money[0]["attributes"]["headgate.cost_usd"] == "0.000072"
    assert found[-1]["attributes"]["headgate.unpriced"] is True


def test_no_content_is_on_any_span_although_the_record_has_it() -> None:
    assert "CANARY" in json.dumps(everything())
    assert "CANARY" not in json.dumps(spans(everything(), NAMES))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": 503, "error": "upstream_status: 503 from x"}, "503"),
        ({"status": None, "error": "upstream_timeout: first_token_s 60"}, "upstream_timeout"),
        ({"status": None, "error": "Something went wrong at 12:30"}, "_OTHER"),
        ({"status": None, "error": ""}, "_OTHER"),
    ],
)
def test_an_errors_type_has_few_distinct_values(changes: dict[str, Any], expected: str) -> None:
    record = call()
    record["attempts"] = [attempt(record["call_id"], outcome="error", **changes)]
    span = spans(record, NAMES)[-1]
    assert (span["attributes"]["error.type"], span["error"]) == (expected, expected)


@pytest.mark.parametrize("outcome", ["ok", "cancelled"])
def test_what_did_not_fail_has_no_error(outcome: str) -> None:
    record = call(outcome=outcome)
    record["attempts"] = [attempt(record["call_id"], outcome=outcome, status=None)]
    assert all(
        s["error"] == "" and "error.type" not in s["attributes"] for s in spans(record, NAMES)
    )


def test_times_are_those_of_the_record() -> None:
    server, *_, last = spans(call(), NAMES)
    assert (server["start_unix_ns"], server["end_unix_ns"]) == (STARTED, STARTED + 25_000_000)
    assert (last["start_unix_ns"], last["end_unix_ns"]) == (
        STARTED + 1_500_000,
        STARTED + 21_500_000,
    )


def test_deriving_twice_gives_the_same_spans() -> None:
    record = everything()
    assert spans(record, NAMES) == spans(json.loads(json.dumps(record)), NAMES)


def test_scores_are_events_on_a_carrier_linked_to_the_call() -> None:
    record = call()
    scores = [
        score("latency.total_s", 0.25),
        score("helpful", None, "judge_error"),
        score("grounded", None, "no_context"),
    ]
    span = score_span(record["call_id"], record["trace_id"], scores, STARTED, NAMES)
    assert span.get("link") == spans(record, NAMES)[0]["span_id"]
    for event in span["events"]:
        assert event["name"] == "gen_ai.evaluation.result"
        for name, value in event["attributes"].items():
            if not name.startswith("headgate."):
                assert type(value) is EVALUATION_ATTRIBUTES[name]
    good, failed, without = (event["attributes"] for event in span["events"])
    assert good["gen_ai.evaluation.score.value"] == 0.25
    assert failed["error.type"] == "judge_error"
    assert without["headgate.unscored"] == "no_context"
    for one in (failed, without):
        assert "gen_ai.evaluation.score.value" not in one


def test_every_profile_of_the_settings_has_its_table() -> None:
    for name in FILES:
        assert profile(name)["names"].keys() == NAMES["names"].keys()
