"""Why a hosted answer ends: what the provider says on the wire reaches the caller."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hosted_bodies import DIALECTS, READ, TEXT, WRITTEN, Dialect, frame
from hosted_checks import SDK_WARNINGS
from hosted_world import streams, whole, with_hosted
from in_process import Place
from raw_upstream import RawUpstream
from upstream import chunk, sse

Json = dict[str, Any]

pytestmark = SDK_WARNINGS

BY_NAME = {one.name: one for one in DIALECTS}
USUAL = {"gemini": "STOP", "cohere": "COMPLETE", "anthropic": "end_turn", "bedrock": "end_turn"}
CUT_SHORT = [
    *(("anthropic", word) for word in ("model_context_window_exceeded", "pause_turn")),
    *(("bedrock", "model_context_window_exceeded"), ("mistral", "model_length")),
    *(("cohere", "MAX_TOKENS"), ("gemini", "MAX_TOKENS"), ("anthropic", "max_tokens")),
]
FAILED = [
    *(("openai", "error"), ("mistral", "error"), ("openai", "network_error")),
    *(("cohere", "ERROR"), ("cohere", "TIMEOUT"), ("bedrock", "malformed_model_output")),
    *(("gemini", word) for word in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL")),
]
USAGE = {"promptTokenCount": 100, "candidatesTokenCount": 5, "thoughtsTokenCount": 4000,
         "totalTokenCount": 4105}  # fmt: skip


def streamed(one: Dialect, word: str) -> bytes:
    """The dialect's stream, which ends for this reason."""
    data, usual = one.stream(one.usage), USUAL.get(one.name, "stop")
    if one.name == "bedrock":
        stops = [frame("messageStop", {"stopReason": said}) for said in (usual, word)]
        return data.replace(stops[0], stops[1])
    return data.replace(f'"{usual}"'.encode(), f'"{word}"'.encode())


def in_one(one: Dialect, word: str) -> bytes:
    """The dialect's whole reply, which ends for this reason."""
    usual = USUAL.get(one.name, "stop")
    return json.dumps(one.whole(one.usage)).replace(f'"{usual}"', f'"{word}"').encode()


@pytest.mark.parametrize(("name", "word"), CUT_SHORT)
def test_an_answer_that_was_cut_short_says_length_and_the_providers_own_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, word: str
) -> None:
    one = BY_NAME[name]

    async def both(place: Place, fake: RawUpstream) -> None:
        fake.script = streams(one, [streamed(one, word)])
        answer = await place.chat(name, stream=True)
        ends = [c for b in answer.chunks for c in b["choices"] if c.get("finish_reason")]
        fake.script = whole(in_one(one, word))
        ends += (await place.chat(name)).json["choices"]
        assert answer.done and len(ends) == 2
        for end in ends:
            assert (end["finish_reason"], end["native_finish_reason"]) == ("length", word)
        assert [record["finish_reason"] for record in place.records] == ["length", "length"]

    with_hosted(tmp_path, monkeypatch, both)


@pytest.mark.parametrize(("name", "word"), FAILED)
def test_an_answer_that_failed_is_no_answer_and_what_it_cost_is_booked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, word: str
) -> None:
    one = BY_NAME[name]

    async def each(place: Place, fake: RawUpstream) -> None:
        fake.script = streams(one, [streamed(one, word)])
        answer = await place.chat(name, stream=True)
        assert not answer.done and answer.text == TEXT, answer.body
        assert answer.error is not None and word in answer.error["message"]
        assert not any(c.get("finish_reason") for b in answer.chunks for c in b.get("choices", ()))
        fake.script = whole(in_one(one, word))
        failed = await place.chat(name)
        assert failed.status == 502 and word in failed.json["error"]["message"]
        for record in place.records:
            [attempt] = record["attempts"]
            assert attempt["outcome"] == "error" and attempt["cost_pico"]
        assert attempt["usage"] is not None
        assert (attempt["usage"]["input_tokens"], attempt["usage"]["output_tokens"]) == (
            READ,
            WRITTEN,
        )
        safe = await place.chat(f"{name}-safe")
        assert safe.headers["x-headgate-target"] == "echo/echo"

    with_hosted(tmp_path, monkeypatch, each)


@pytest.mark.parametrize("word", ["STOP", "SAFETY", "RECITATION"])
def test_geminis_stream_and_whole_reply_say_and_cost_the_same_whatever_ends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    one = BY_NAME["gemini"]
    said = {"content": {"role": "model", "parts": [{"text": "some text"}]}, "index": 0}
    body = {"candidates": [said | {"finishReason": word}], "usageMetadata": USAGE}

    async def both(place: Place, fake: RawUpstream) -> None:
        fake.script = streams(one, [sse(body)])
        assert (await place.chat("gemini", stream=True)).text == "some text"
        fake.script = whole(json.dumps(body).encode())
        answer = await place.chat("gemini")
        assert answer.json["choices"][0]["message"]["content"] == "some text"
        stream, single = place.records
        assert stream["usage"] == single["usage"] and stream["usage"]["output_tokens"] == 4005
        assert stream["cost_pico"] == single["cost_pico"] > 0
        assert stream["finish_reason"] == single["finish_reason"]

    with_hosted(tmp_path, monkeypatch, both)


def test_a_blocked_prompt_of_gemini_is_filtered_in_a_stream_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"candidates": [], "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": 21, "totalTokenCount": 21}}  # fmt: skip

    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = streams(BY_NAME["gemini"], [sse(body)])
        assert (await place.chat("gemini", stream=True)).done
        assert place.records[-1]["finish_reason"] == "content_filter"

    with_hosted(tmp_path, monkeypatch, ask)


def candidate(index: int, text: str, **ends: str) -> Json:
    return {"content": {"role": "model", "parts": [{"text": text}]}, "index": index, **ends}


TWO: dict[str, list[Json]] = {
    "gemini": [
        {"candidates": [candidate(0, "a"), candidate(1, "b")]},
        {"candidates": [candidate(0, "c", finishReason="STOP"),
                        candidate(1, "d", finishReason="MAX_TOKENS")]},
    ],
    "openai": [
        chunk({"content": "ac"}),
        chunk({}, "stop"),
        {**chunk({}), "choices": [{"index": 1, "delta": {"content": "bd"}}]},
        {**chunk({}), "choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]},
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", TWO)
def test_each_of_two_answers_says_why_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = streams(BY_NAME[name], [sse(event) for event in TWO[name]])
        answer = await place.chat(name, stream=True, n=2)
        told: dict[int, list[str]] = {0: [], 1: []}
        for choice in (c for b in answer.chunks for c in b["choices"]):
            told[choice["index"]] += [choice["delta"].get("content") or ""]
            told[choice["index"]] += [choice.get("finish_reason") or ""]
        said = {index: "".join(words) for index, words in told.items()}
        assert answer.done and said == {0: "acstop", 1: "bdlength"}

    with_hosted(tmp_path, monkeypatch, ask)


def test_a_refusal_of_a_whole_reply_reaches_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = BY_NAME["openai"].whole(BY_NAME["openai"].usage)
    body["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": "No."}

    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = whole(json.dumps(body).encode())
        answer = await place.chat("openai")
        assert answer.json["choices"][0]["message"]["refusal"] == "No."

    with_hosted(tmp_path, monkeypatch, ask)


@pytest.mark.parametrize(
    ("word", "seen"),
    [
        ("pause_turn", "pause_turn"),
        ("model_context_window_exceeded", "model_context_window_exceeded"),
        ("stop_sequence", "stop_sequence"),
        ("max_tokens", "max_tokens"),
        ("end_turn", "end_turn"),
    ],
)
def test_claudes_own_reasons_are_told_in_its_own_dialect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, seen: str
) -> None:
    one = BY_NAME["anthropic"]
    sequence = "END" if word == "stop_sequence" else None
    asked = {"model": "anthropic", "max_tokens": 50, "stop_sequences": ["END"],
             "messages": [{"role": "user", "content": "hi"}]}  # fmt: skip

    async def both(place: Place, fake: RawUpstream) -> None:
        data = streamed(one, word).replace(b'"stop_sequence": null', _pair(sequence))
        fake.script = streams(one, [data])
        answer = await place.ask({**asked, "stream": True}, path="/v1/messages")
        [delta] = [c["delta"] for c in answer.chunks if c["type"] == "message_delta"]
        body = {**json.loads(in_one(one, word)), "stop_sequence": sequence}
        fake.script = whole(json.dumps(body).encode())
        single = (await place.ask(asked, path="/v1/messages")).json
        for end in (delta, single):
            assert (end["stop_reason"], end["stop_sequence"]) == (seen, sequence)

    with_hosted(tmp_path, monkeypatch, both)


def _pair(sequence: str | None) -> bytes:
    return f'"stop_sequence": {json.dumps(sequence)}'.encode()
