"""Every text is checked, whatever member it stands in, and nothing unchecked is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from leaks_world import ADDRESS, SECRET, Json, Place, answers, leaks_world, streams, with_message
from upstream import chunk, completion, says


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with leaks_world(tmp_path_factory.mktemp("leaks")) as made:
        yield made


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
