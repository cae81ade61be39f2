"""``headgate traces show --spans`` and back-ends that misbehave, with a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from asking import client_of, user
from collector import Collector, collector
from configs import write_config
from running import Server, headgate, serving, until
from sqlalchemy import text

from headgate_core.store import Store

pytestmark = pytest.mark.slow

CONFIG = """\
auth: {{keys: open}}
providers: [{{name: echo, use: echo}}]
pools: [{{name: main, targets: [{{provider: echo, model: echo}}]}}]
routes: [{{name: plain, pool: main, capture: full}}]
telemetry: {{otlp: [{{endpoint: "{endpoint}"}}]}}
"""
SECRET = "the words of a caller"


@dataclass
class Place:
    config: Path
    server: Server
    collector: Collector

    def ask(self, *, stream: bool = False) -> str:
        """One call through the official client; its id."""
        with client_of(self.server.url) as client:
            raw = client.chat.completions.with_raw_response.create(
                model="plain", messages=user(SECRET), stream=stream
            )
            if stream:
                list(raw.parse())
            return raw.headers["x-request-id"]

    def show(self, *arguments: str) -> str:
        """What the command says, once the call is in the store."""

        def shown() -> CompletedProcess[str] | None:
            done = headgate("traces", "show", *arguments, "--config", str(self.config))
            return None if "There is no call" in done.stderr else done

        done: CompletedProcess[str] = until(shown)
        assert done.returncode == 0, done.stderr
        assert "made from its record" not in done.stderr
        return done.stdout


def served(folder: Path, back_end: Collector) -> Iterator[Place]:
    config = write_config(folder, CONFIG.format(endpoint=back_end.endpoint))
    with serving(config) as server:
        yield Place(config, server, back_end)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with collector() as back_end:
        yield from served(tmp_path_factory.mktemp("spans"), back_end)


def exported(back_end: Collector, call_id: str, until: str) -> dict[str, Any]:
    """Spans of the call at the collector by id, once the one named ``until`` is there."""
    deadline = time.monotonic() + 30
    found: dict[str, Any] = {}
    while until not in {span.name for span in found.values()}:
        assert time.monotonic() < deadline, f"only {[s.name for s in found.values()]} arrived"
        back_end.arrived.wait(0.1)
        back_end.arrived.clear()
        found = {span.span_id.hex(): span for span in back_end.spans() if call_id in str(span)}
    return found


def test_the_store_keeps_the_very_spans_that_a_back_end_gets(place: Place) -> None:
    call_id = place.ask(stream=True)
    place.server.post("/v1/feedback", {"call_id": call_id, "value": True, "comment": SECRET})
    sent = exported(place.collector, call_id, "headgate feedback")
    document = json.loads(place.show(call_id, "--spans", "--json"))
    kept = {span["spanId"]: span for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]}
    assert {i: s["name"] for i, s in kept.items()} == {i: s.name for i, s in sent.items()}
    for span_id, span in kept.items():
        other = sent[span_id]
        assert span["traceId"] == other.trace_id.hex()
        assert span.get("parentSpanId", "") == other.parent_span_id.hex()
        assert (span["name"], span["kind"]) == (other.name, other.kind)
        assert span["startTimeUnixNano"] == str(other.start_time_unix_nano)
        assert span["endTimeUnixNano"] == str(other.end_time_unix_nano)
        assert [a["key"] for a in span["attributes"]] == [a.key for a in other.attributes]
        assert len(span.get("events", [])) == len(other.events)
    assert {"headgate plain", "route", "chat echo", "headgate scores"} <= {
        span["name"] for span in kept.values()
    }


def test_the_tree_shows_attempts_under_their_stage_with_standard_names(place: Place) -> None:
    shown = place.show(place.ask(), "--spans")
    lines = [line.lstrip("│├└─ ") for line in shown.splitlines()]
    heads = [line.partition(" [")[0] for line in lines if " ms, " in line]
    assert heads.index("chat echo") == heads.index("route") + 1
    for part in ("gen_ai.request.model: echo", "gen_ai.usage.input_tokens: ", "headgate.cost_usd"):
        assert any(line.startswith(part) for line in lines), part


def test_words_of_callers_are_on_no_span_though_the_route_keeps_them(place: Place) -> None:
    call_id = place.ask()
    assert SECRET in place.show(call_id)
    assert SECRET not in place.show(call_id, "--spans")
    assert SECRET not in place.show(call_id, "--spans", "--json")


def test_a_call_of_an_earlier_version_is_shown_and_that_is_said(place: Place) -> None:
    call_id = place.ask()
    place.show(call_id)
    assert place.server.get(f"/v1/calls/{call_id}")[0] == 200
    store = Store.open(f"sqlite:///{place.config.parent / 'var' / 'headgate.db'}")
    with store.begin() as db:
        db.execute(text("update calls set spans = null where call_id = :id"), {"id": call_id})
    store.close()
    done = headgate("traces", "show", call_id, "--spans", "--config", str(place.config))
    assert done.returncode == 0 and "chat echo [CLIENT]" in done.stdout
    assert "made from its record" in done.stderr


def test_an_unknown_call_is_an_error_for_spans_too(place: Place) -> None:
    done = headgate("traces", "show", "ffff", "--spans", "--json", "--config", str(place.config))
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no call 'ffff'" in done.stderr


@pytest.mark.parametrize("status", [None, 500], ids=["hangs", "refuses"])
def test_a_back_end_that_hangs_or_refuses_delays_and_fails_no_call(
    tmp_path: Path, status: int | None
) -> None:
    with collector(status) as back_end:
        for place in served(tmp_path, back_end):
            first = place.ask()
            assert back_end.arrived.wait(30), "the exporter never called"
            # The exporter's thread is held up by now, and each of these is recorded all the same.
            calls = [first, *(place.ask(stream=n % 2 == 0) for n in range(10))]
            for call_id in calls:
                status_of, record = place.server.get(f"/v1/calls/{call_id}")
                assert (status_of, record["outcome"]) == (200, "ok")
            assert place.server.post("/v1/feedback", {"call_id": first, "value": 1})[0] == 200
            assert "chat echo" in place.show(calls[-1], "--spans")
