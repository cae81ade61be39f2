"""Every text is checked, whatever member it stands in, and nothing unchecked is kept."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from configs import PRICED, write_config
from running import Server, serving
from upstream import Upstream, chunk, completion, says, send_events, sse, upstream

ADDRESS = "jane.doe@example.com"
SECRET = "AKIA" + "Q3EGRXKJ2ZMV7WTB"
Json = dict[str, Any]

POLICY = """\
name: house
refusal: {as: message, text: Not with me.}
checks:
  - name: personal
    use: pii
    at: [input, output, tool_calls, tool_results]
    action: mask
    options: {types: [email]}
  - {name: keys, use: secrets, at: [input, output], action: block}
"""

CONFIG = (
    PRICED
    + """\
routes:
  - {{name: guarded, pool: main, guards: [house], capture: full}}
  - {{name: captured, pool: main, capture: masked}}
  - {{name: locked, pool: main, parameters: {{max_tokens: 10}}, locked: [max_tokens]}}
"""
)


@dataclass
class Place:
    server: Server
    fake: Upstream
    folder: Path

    def rows(self, query: str) -> list[sqlite3.Row]:
        with sqlite3.connect(self.folder / "var" / "headgate.db") as db:
            db.row_factory = sqlite3.Row
            return list(db.execute(query))

    def kept(self) -> str:
        """Everything that the store holds of the calls' texts."""
        rows = self.rows("select record, content from calls")
        blobs = [b for row in rows for b in (row["record"], row["content"]) if b]
        return "\n".join(zlib.decompress(b).decode() for b in blobs)

    def raw_stream(self, model: str, **members: Any) -> str:
        import urllib.request

        body = {"model": model, "stream": True, **members}
        body.setdefault("messages", [{"role": "user", "content": "hi"}])
        request = urllib.request.Request(
            f"{self.server.url}/v1/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            text: str = response.read().decode()
            return text


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("leaks")
    (folder / "guardrails").mkdir()
    (folder / "guardrails" / "house.yaml").write_text(POLICY)
    with upstream() as fake:
        config = write_config(folder, CONFIG.format(url=fake.url))
        with serving(config) as server:
            yield Place(server, fake, folder)


def answers(body: Json) -> Any:
    async def answer(request: web.Request, _: Json) -> web.StreamResponse:
        return web.json_response(body)

    return answer


def streams(*bodies: Json) -> Any:
    async def answer(request: web.Request, _: Json) -> web.StreamResponse:
        events = [sse(b) for b in bodies] + [b"data: [DONE]\n\n"]
        return await send_events(request, events)

    return answer


def with_message(**members: Any) -> Json:
    body = completion("ok")
    body["choices"][0]["message"].update(members)
    return body


@pytest.mark.parametrize(
    "body",
    [
        with_message(content=[{"type": "text", "text": f"Write to {ADDRESS}"}]),
        with_message(function_call={"name": "mail", "arguments": f'{{"to": "{ADDRESS}"}}'}),
        with_message(
            tool_calls=[{"id": "1", "type": "custom", "custom": {"name": "x", "input": ADDRESS}}]
        ),
        with_message(audio={"id": "a", "transcript": f"Write to {ADDRESS}"}),
        with_message(reasoning_content=f"I think of {ADDRESS}"),
        with_message(thinking_blocks=[{"type": "thinking", "thinking": ADDRESS}]),
        with_message(provider_specific_fields={"note": {"deep": [ADDRESS]}}),
    ],
    ids=lambda b: list(b["choices"][0]["message"])[-1],
)
def test_no_member_of_a_whole_message_carries_it_out(place: Place, body: Json) -> None:
    place.fake.answers[:] = [answers(body)]
    status, got = place.server.chat("guarded", "hi")
    assert status == 200
    assert ADDRESS not in json.dumps(got)
    assert "[EMAIL]" in json.dumps(got)


def test_token_logprobs_are_taken_out_of_a_guarded_reply_and_named(place: Place) -> None:
    body = completion(f"Write to {ADDRESS}")
    body["choices"][0]["logprobs"] = {"content": [{"token": ADDRESS, "logprob": -0.1}]}
    place.fake.answers[:] = [answers(body)]
    _, got = place.server.chat("guarded", "hi", logprobs=True)
    assert ADDRESS not in json.dumps(got)
    assert got["headgate"]["dropped"] == ["logprobs"]


def test_text_around_a_tool_call_is_one_text(place: Place) -> None:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    place.fake.answers[:] = [
        streams(
            chunk({"role": "assistant", "content": "mail jane.doe@"}),
            chunk({"tool_calls": [call]}),
            chunk({"content": "example.com"}),
            chunk({}, "tool_calls"),
        )
    ]
    assert "example.com" not in place.raw_stream("guarded")


def test_an_unknown_member_of_a_stream_is_taken_out_when_it_cannot_be_followed(
    place: Place,
) -> None:
    place.fake.answers[:] = [
        streams(chunk({"content": "ok", "musings": {"text": ADDRESS}}), chunk({}, "stop"))
    ]
    text = place.raw_stream("guarded")
    assert ADDRESS not in text
    assert '"dropped":["delta.musings"]' in text


PARTS = [{"type": "thinking", "thinking": [{"type": "text", "text": "Well."}]}]
PARTS += [{"type": "text", "text": "Write to jane.doe@"}, {"type": "text", "text": "example.com"}]


def test_a_list_of_parts_in_a_stream_is_one_text(place: Place) -> None:
    place.fake.answers[:] = [streams(chunk({"content": PARTS}), chunk({}, "stop"))]
    text = place.raw_stream("guarded")
    assert '"reasoning_content":"Well."' in text
    assert "example.com" not in text
    assert "[EMAIL]" in text


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "members",
    [
        {"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"to": ADDRESS}}}]},
        {"function_call": {"name": "f", "arguments": {"to": ADDRESS}}},
        {"annotations": [{"type": "url_citation", "url_citation": {"title": ADDRESS}}]},
        {"tool_calls": [{"id": "1", "function": {"name": ADDRESS, "arguments": "{}"}}]},
        {"content": "Hi", "zz": {ADDRESS: 1}},
    ],
    ids=["arguments", "function_call", "annotations", "name", "member"],
)
def test_no_odd_member_carries_it_out(place: Place, members: Json, stream: bool) -> None:
    place.fake.answers[:] = [
        streams(chunk(members), chunk({}, "tool_calls"))
        if stream
        else answers(with_message(**members))
    ]
    got = place.raw_stream("guarded") if stream else json.dumps(place.server.chat("guarded", "x"))
    assert ADDRESS not in got
    if "Not with me" not in got:
        assert "[EMAIL]" in got or "dropped" in got or "content_filter" in got


def test_a_blocked_stream_tells_the_usage_that_was_asked_for(place: Place) -> None:
    place.fake.answers[:] = [says(f"The key is {SECRET}.")]
    text = place.raw_stream("guarded", stream_options={"include_usage": True})
    bodies = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert bodies[-2]["choices"][0]["finish_reason"] == "content_filter"
    assert bodies[-1]["choices"] == []
    assert bodies[-1]["usage"] == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


@pytest.mark.parametrize("text", [f"data: {ADDRESS}", f"data:text/plain,{ADDRESS}"])
def test_a_text_is_no_file_because_it_begins_like_one(place: Place, text: str) -> None:
    place.fake.answers[:] = [says("ok")]
    place.server.chat("guarded", text)
    assert ADDRESS not in json.dumps(place.fake.seen[-1])


def test_held_text_comes_out_when_the_upstream_never_says_why_it_finished(place: Place) -> None:
    body = completion("hello wonderful-word")
    body["choices"][0]["finish_reason"] = None
    place.fake.answers[:] = [answers(body)]
    _, got = place.server.chat("guarded", "hi")
    assert got["choices"][0]["message"]["content"] == "hello wonderful-word"


def test_the_first_chunk_keeps_its_role(place: Place) -> None:
    place.fake.answers[:] = [
        streams(chunk({"role": "assistant", "content": "unbroken"}), chunk({}, "stop"))
    ]
    assert '"role":"assistant"' in place.raw_stream("guarded")


@pytest.mark.parametrize(
    "members",
    [
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ADDRESS}]}]},
        {
            "messages": [
                {"role": "user", "content": "hi"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "1",
                            "type": "function",
                            "function": {"name": "f", "arguments": f'{{"to": "{ADDRESS}"}}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "1", "content": f"sent to {ADDRESS}"},
            ]
        },
        {"tools": [{"type": "function", "function": {"name": "f", "description": ADDRESS}}]},
        {"prediction": {"type": "content", "content": ADDRESS}},
    ],
    ids=["parts", "tool-calls", "tools", "prediction"],
)
def test_no_member_of_a_request_carries_it_to_the_upstream(place: Place, members: Json) -> None:
    place.fake.answers[:] = [says("ok")]
    body = {"model": "guarded", "messages": [{"role": "user", "content": "hi"}], **members}
    assert place.server.post("/v1/chat/completions", body)[0] == 200
    sent = json.dumps(place.fake.seen[-1])
    assert ADDRESS not in sent
    assert "[EMAIL]" in sent


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
    status, body = place.server.chat("locked", "hi")
    assert (status, body["error"]["code"]) == (502, "upstream_malformed")


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
