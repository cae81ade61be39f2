"""Nothing that was blocked or refused is kept, and nothing that cannot be is booked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from leaks_world import ADDRESS, SECRET, Place, answers, leaks_world
from upstream import completion, says


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with leaks_world(tmp_path_factory.mktemp("leaks")) as made:
        yield made


def test_a_blocked_answer_is_booked_with_what_the_upstream_reported(place: Place) -> None:
    place.fake.answers[:] = [says(f"The key is {SECRET}.")]
    _, whole = place.server.chat("guarded", "hi")
    assert whole["headgate"]["cost_usd"] == "0.0000156"
    place.raw_stream("guarded")
    place.server.get(f"/v1/calls/{whole['headgate']['call_id']}")
    rows = place.rows(
        "select a.outcome, a.input_tokens, a.cost_pico, c.cost_pico as call_pico, c.unpriced "
        "from attempts a join calls c using (call_id) where c.outcome = 'refused' "
        "and a.attempt_id is not null order by a.started_unix_ns"
    )[-2:]
    assert [r["outcome"] for r in rows] == ["ok", "ok"]
    assert all(r["cost_pico"] == r["call_pico"] > 0 and not r["unpriced"] for r in rows)
    assert rows[0]["input_tokens"] == 11


def test_nothing_is_kept_of_what_a_guard_blocked(place: Place) -> None:
    place.fake.answers[:] = [says("ok")]
    _, body = place.server.chat("guarded", f"my key is {SECRET} and I am {ADDRESS}")
    place.server.get(f"/v1/calls/{body['headgate']['call_id']}")
    assert SECRET not in place.kept()


def test_nothing_is_kept_of_callers_who_are_not_admitted(place: Place) -> None:
    text = "words of a stranger"
    status, body = place.server.post(
        "/v1/chat/completions",
        {"model": "captured", "messages": [{"role": "user", "content": text}]},
        {"Authorization": "Bearer hg-bad"},
    )
    assert status == 401
    place.server.get(f"/v1/calls/{body['error']['call_id']}")
    assert text not in place.kept()


def test_masked_capture_masks_whatever_the_guards_say(place: Place) -> None:
    place.fake.answers[:] = [says(f"I wrote to {ADDRESS}.")]
    _, body = place.server.chat("captured", f"Write to {ADDRESS}, please")
    assert ADDRESS in body["choices"][0]["message"]["content"]
    status, _ = place.server.get(f"/v1/calls/{body['headgate']['call_id']}")
    assert status == 200
    kept = place.kept()
    assert "[EMAIL]" in kept
    assert "I wrote to" in kept
    assert ADDRESS not in kept


def test_a_call_id_is_needed_whole_over_the_wire(place: Place) -> None:
    status, body = place.server.get("/v1/calls/0")
    assert status == 404
    assert "is no call id" in body["error"]["message"]


@pytest.mark.parametrize(
    "usage", [{"prompt_tokens": -1_000_000}, {"prompt_tokens": 10**20}, "none", [1]]
)
def test_usage_that_cannot_be_is_not_booked(place: Place, usage: Any) -> None:
    place.fake.answers[:] = [answers({**completion("ok"), "usage": usage})]
    status, body = place.server.chat("locked", "hi", headgate={"meta": True})
    assert (status, body["choices"][0]["message"]["content"]) == (200, "ok")
    status, call = place.server.get(f"/v1/calls/{body['headgate']['call_id']}")
    told = call["usage"]
    assert (told["input_tokens"], told["output_tokens"], told["estimated"]) == (1, 1, True)


@pytest.mark.parametrize("choices", [[None], ["x"], [{"index": "a", "message": {}}]])
def test_a_reply_that_is_no_completion_is_the_upstreams_fault(place: Place, choices: Any) -> None:
    place.fake.answers[:] = [answers({**completion("ok"), "choices": choices})]
    status, body = place.server.chat("locked", "hi")
    assert (status, body["error"]["code"]) == (502, "upstream_malformed")


def test_a_locked_limit_has_no_second_name(place: Place) -> None:
    place.fake.answers[:] = [says("ok")]
    place.server.chat("locked", "hi", max_completion_tokens=99999)
    sent = place.fake.seen[-1]
    assert sent["max_tokens"] == 10
    assert "max_completion_tokens" not in sent


def test_metadata_that_is_not_forwarded_is_named(place: Place) -> None:
    place.fake.answers[:] = [says("ok")]
    body = {
        "model": "locked",
        "messages": [{"role": "user", "content": "hi"}],
        "metadata": {"a": "b"},
        "headgate": {"meta": True},
    }
    _, got = place.server.post("/v1/chat/completions", body)
    assert "metadata" not in place.fake.seen[-1]
    assert got["headgate"]["dropped"] == ["metadata"]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"X-Forwarded-Server": "x"}, "proxy"),
        ({"X-Forwarded-For": ""}, "proxy"),
        ({"X-Client-IP": "127.0.0.1"}, "proxy"),
        ({"Host": "["}, "Host"),
        ({"Origin": "http://["}, "web page"),
    ],
)
def test_odd_marks_of_a_proxy_are_marks_too(
    place: Place, headers: dict[str, str], reason: str
) -> None:
    body = {"model": "locked", "messages": [{"role": "user", "content": "hi"}]}
    status, got = place.server.post("/v1/chat/completions", body, headers)
    assert status == 401
    assert reason in got["error"]["message"]


@pytest.mark.parametrize(
    ("name", "value"), [("stream_options", "x"), ("response_format", "text"), ("tools", {})]
)
def test_members_of_the_wrong_kind_are_named(place: Place, name: str, value: Any) -> None:
    status, got = place.server.chat("locked", "hi", **{name: value})
    assert (status, got["error"]["param"]) == (400, name)
