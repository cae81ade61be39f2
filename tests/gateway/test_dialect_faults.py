"""A fault of ours while a reply is told: an error in the caller's form, on record, never kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from configs import write_config
from in_process import Answer, Place, opened

from headgate_core.context import Context
from headgate_gateway.http.dialects.anthropic import Anthropic
from headgate_gateway.http.dialects.completions import Completions
from headgate_gateway.http.dialects.responses import Responses
from headgate_gateway.http.meta import Finale

Json = dict[str, Any]
CONFIG = """\
auth: {keys: open}
providers: [{name: up, use: echo}]
pools:
  - {name: main, targets: [{provider: up, model: echo}]}
routes:
  - {name: plain, pool: main}
  - {name: captured, pool: main, capture: full}
"""
USER = [{"role": "user", "content": "one two three"}]
ASKED: dict[str, Json] = {
    "messages": {"messages": USER, "max_tokens": 99},
    "responses": {"input": "one two three"},
    "completions": {"prompt": "one two three"},
    "chat/completions": {"messages": USER},
}
DIALECTS: dict[str, Any] = {
    "messages": Anthropic,
    "responses": Responses,
    "completions": Completions,
}
ENDS = (b"[DONE]", b"message_stop", b"response.completed")


def run(folder: Path, work: Any) -> None:
    async def inside() -> None:
        async with opened(write_config(folder, CONFIG)) as place:
            await work(place)

    asyncio.run(inside())


async def ask(place: Place, path: str, **more: Any) -> Answer:
    body = {"model": "plain", **ASKED[path], **more}
    return await place.ask(body, path=f"/v1/{path}", headers={"idempotency-key": "k"})


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a fault of ours")


def told_once(kind: Any) -> Any:
    """Tells of the first chunk as it should, then breaks."""
    well = kind.chunk
    calls: list[int] = []

    def chunk(self: Any, ctx: Context, body: Json) -> Iterator[bytes]:
        calls.append(1)
        if len(calls) > 2:
            broken()
        found: Iterator[bytes] = well(self, ctx, body)
        return found

    return chunk


def is_ours(place: Place, path: str, error: Json) -> None:
    """The error in its dialect's form; the record says the same."""
    assert error["error"]["code"] == "internal_error"
    assert "a fault of ours" not in str(error)
    record = place.records[-1]
    own = error["request_id"] if path == "messages" else error["error"]["call_id"]
    assert own == record["call_id"]
    assert (record["outcome"], record["error_code"]) == ("error", "internal_error")


@pytest.mark.parametrize("path", DIALECTS)
def test_a_whole_reply(tmp_path: Path, path: str) -> None:
    async def twice(place: Place) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DIALECTS[path], "whole", broken)
            answer = await ask(place, path)
        assert answer.status == 500
        assert answer.headers["x-request-id"] == place.records[-1]["call_id"]
        is_ours(place, path, answer.json)
        again = await ask(place, path)
        assert again.status == 200 and "idempotency-replayed" not in again.headers

    run(tmp_path, twice)


@pytest.mark.parametrize("path", DIALECTS)
def test_a_stream_that_has_begun(tmp_path: Path, path: str) -> None:
    async def twice(place: Place) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DIALECTS[path], "chunk", told_once(DIALECTS[path]))
            answer = await ask(place, path, stream=True)
        assert (answer.status, answer.ends) == (200, 1)
        assert not [end for end in ENDS if end in answer.body]
        record = place.records[-1]
        assert (record["outcome"], record["error_code"]) == ("error", "internal_error")
        last = answer.chunks[-1]
        if path == "responses":
            assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
            assert answer.chunks[-2]["code"] == "internal_error"
        else:
            is_ours(place, path, last)
        again = await ask(place, path, stream=True)
        assert any(end in again.body for end in ENDS)
        assert "idempotency-replayed" not in again.headers

    run(tmp_path, twice)


@pytest.mark.parametrize("stream", [False, True])
def test_chat_where_the_text_is_needed(tmp_path: Path, stream: bool) -> None:
    path = "chat/completions"

    async def twice(place: Place) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Finale, "pass_on", broken)
            patch.setattr("headgate_gateway.http.chat.with_meta", broken)
            answer = await ask(place, path, model="captured", stream=stream)
        assert answer.status == 500
        assert answer.json["error"]["code"] == "internal_error"
        assert answer.json["error"]["call_id"] == place.records[-1]["call_id"]
        if stream:
            is_ours(place, path, answer.json)

    run(tmp_path, twice)
