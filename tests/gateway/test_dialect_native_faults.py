"""Responses that pass through: what is cut off or fails never looks complete."""

from __future__ import annotations

from pathlib import Path

import pytest
from in_process import Answer
from native_wire import WHOLE, Json, World, event, events_of, response, run
from replay import json_events


def failed_after_all(answer: Answer) -> Json:
    """The stream's ``error``; ``response.failed`` follows it, numbered on."""
    events = json_events(answer.body)
    error, failed = events[-2:]
    assert (error["type"], failed["type"]) == ("error", "response.failed")
    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"]["code"] in ("server_error", error["code"])
    assert failed["response"]["error"]["message"] == error["message"]
    return error


@pytest.mark.parametrize("how", ["cut", "ended"])
def test_a_truncated_response_never_looks_complete(tmp_path: Path, how: str) -> None:
    async def every(world: World) -> None:
        done = len(WHOLE) - 2
        for k in range(0, done, 37 if how == "cut" else 23):
            world.streams([WHOLE[:k]], end=how == "ended")
            answer = await world.responded(stream=True)
            assert b"event: response.completed" not in answer.body, k
            record = world.place.records[-1]
            assert (record["outcome"], record["error_code"]) == ("error", "upstream_truncated"), k
            if answer.status != 200:
                assert answer.json["error"]["code"] == "upstream_truncated", k
                continue
            assert failed_after_all(answer)["code"] == "upstream_truncated"
            assert record["usage"]["estimated"] and record["usage"]["output_tokens"] > 0

    run(tmp_path, every)


BROKEN = {"code": "server_error", "message": "too busy"}
FAILURES: list[tuple[Json, int]] = [
    ({"type": "error", "sequence_number": 5, **BROKEN, "param": None}, 502),
    ({"type": "error", "sequence_number": 5, "error": BROKEN}, 502),
    ({"type": "response.failed", "response": response("", "failed", error=BROKEN)}, 502),
    ({"type": "error", "code": "rate_limit_exceeded", "message": "too busy"}, 429),
    ({"type": "error", "code": "invalid_prompt", "message": "too busy"}, 400),
    ({"type": "error", "code": "context_length_exceeded", "message": "too busy"}, 400),
    ({"type": "error", "code": "content_policy_violation", "message": "too busy"}, 400),
    ({"type": "error", "code": "unsupported_value", "message": "too busy"}, 400),
    ({"type": "error", "error": {"type": "invalid_request_error", "message": "too busy"}}, 400),
    ({"type": "error", "code": "connection_error", "message": "too busy"}, 502),
    ({"type": "error", "code": "concurrency_limit", "message": "too busy"}, 502),
    ({"type": "error", "code": "unsupported_country", "message": "too busy"}, 502),
]


@pytest.mark.parametrize(("failure", "status"), FAILURES)
def test_an_error_in_a_200_is_an_error(tmp_path: Path, failure: Json, status: int) -> None:
    async def before_and_after(world: World) -> None:
        world.streams([*events_of([])[:4], event(failure)])
        answer = await world.responded(stream=True)
        assert (answer.status, answer.json["error"]["message"]) == (status, "too busy")
        world.streams([*events_of(["Hel", "lo"])[:6], event(failure)])
        answer = await world.responded(stream=True)
        assert answer.status == 200
        assert failed_after_all(answer)["message"] == "too busy"
        assert [r["outcome"] for r in world.place.records] == ["error", "error"]

    run(tmp_path, before_and_after)


def test_words_about_the_gateways_own_key_do_not_reach_the_caller(tmp_path: Path) -> None:
    async def one(world: World) -> None:
        refused = {"type": "error", "code": "invalid_api_key", "message": "no such key: sk-1"}
        world.streams([*events_of([])[:4], event(refused)])
        answer = await world.responded(stream=True)
        assert (answer.status, answer.json["error"]["upstream_status"]) == (502, 401)
        assert b"sk-1" not in answer.body

    run(tmp_path, one)


def test_a_bare_error_object_in_a_stream_is_an_error(tmp_path: Path) -> None:
    async def one(world: World) -> None:
        world.streams([b'data: {"error": {"message": "too busy", "code": 429}}\n\n'])
        assert (await world.responded(stream=True)).status == 429

    run(tmp_path, one)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (response("", "failed", error=BROKEN), "upstream_error"),
        ({"status": "completed"}, "upstream_malformed"),
        ({"output": [5], "usage": {"input_tokens": "x"}}, "upstream_malformed"),
        (response("", "queued"), "upstream_malformed"),
    ],
)
def test_a_whole_response_that_is_none_is_the_upstreams_fault(
    tmp_path: Path, body: Json, code: str
) -> None:
    async def one(world: World) -> None:
        world.says(body)
        answer = await world.responded()
        assert (answer.status, answer.json["error"]["code"]) == (502, code)

    run(tmp_path, one)
