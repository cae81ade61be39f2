"""What fails at a hosted provider before any content, through litellm's SDK, in each dialect."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hosted_bodies import DIALECTS, Dialect, frame
from hosted_checks import SDK_WARNINGS
from hosted_world import clean, streams, whole, with_hosted
from in_process import Answer, Place
from raw_upstream import Exchange, RawUpstream

Json = dict[str, Any]

pytestmark = SDK_WARNINGS

STATUS = {"s401": 401, "s429": 429, "s500": 500, "s503": 503}
SAID: Json = {"error": {"message": "no luck today", "code": 503, "type": "overloaded_error"}}
BODIES = {
    "html": b"<html>hello</html>",
    "cutjson": b'{"a": [',
    "nothing": b"",
    "braces": b"{}",
    "error": json.dumps({"type": "error", **SAID}).encode(),
}
"""Sent with status 200, as whole replies and instead of streams."""
NOT_READ, CUT_OFF = "upstream_malformed", "upstream_truncated"
CODES = {
    "reset": ("upstream_unreachable",),
    "s401": ("upstream_error",),
    "s429": ("overloaded_error",),
    "s500": ("upstream_error",),
    "s503": ("upstream_error",),
    "html": (NOT_READ, CUT_OFF),
    "cutjson": (NOT_READ, CUT_OFF),
    "nothing": (NOT_READ, CUT_OFF),
    "braces": (NOT_READ, CUT_OFF),
    "error": ("upstream_error",),
    "empty": (CUT_OFF,),
    "junk": (NOT_READ,),
    "told": ("upstream_error",),
}
"""How it fails, to the codes of which the caller gets one where nobody else can answer."""
STREAMED = ("empty", "junk", "told")


def stream_body(one: Dialect, kind: str) -> bytes:
    """A stream that is over before its first event, cannot be read, or tells of an error."""
    if kind == "empty":
        return b""
    if one.name == "bedrock":
        told = frame("internalServerException", {"message": "no luck today"}, "exception")
        return told if kind == "told" else b"\xff" * 40
    if kind == "told":
        return b"event: error\ndata: " + BODIES["error"] + b"\n\n"
    return b'data: {"choices": [\n\n'


def failing(one: Dialect) -> Any:
    """Fails in the way that the message asks for."""

    async def script(exchange: Exchange) -> None:
        asked = re.search(r"kind:(\w+)", json.dumps(exchange.body))
        assert asked is not None
        kind = asked[1]
        if kind == "reset":
            exchange.reset()
        elif kind == "hang":
            await exchange.gone()
        elif kind in STATUS:
            data = b"<html>busy</html>" if kind == "s503" else json.dumps(SAID).encode()
            await exchange.json(STATUS[kind], data)
        elif kind in STREAMED:
            await streams(one, [stream_body(one, kind)])(exchange)
        else:
            await whole(BODIES[kind])(exchange)

    return script


KINDS = [*CODES, "hang"]
CASES = [f"{k}-{how}" for k in KINDS for how in ("whole", "stream")]
"""Each has a target of its own. Some kinds are ways to fail of streams alone."""
ASKED = [c for c in CASES if c.endswith("stream") or c.removesuffix("-whole") not in STREAMED]


async def ask(place: Place, case: str, pool: str) -> Answer:
    kind, how = case.split("-")
    messages = [{"role": "user", "content": f"kind:{kind}"}]
    return await place.ask({"model": pool, "messages": messages, "stream": how == "stream"})


@pytest.mark.parametrize("one", DIALECTS, ids=str)
def test_whatever_fails_before_content_is_answered_by_the_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Dialect
) -> None:
    async def each(place: Place, fake: RawUpstream) -> None:
        fake.script = failing(one)
        answers = await asyncio.gather(*(ask(place, case, f"{case}-safe") for case in ASKED))
        for case, answer in zip(ASKED, answers, strict=True):
            assert answer.status == 200, (case, answer.body)
            assert answer.headers["x-headgate-target"] == "echo/echo", (case, answer.body)
            assert answer.done or case.endswith("whole")
        for record in place.records:
            failed, answered = record["attempts"]
            assert (failed["outcome"], answered["outcome"]) == ("error", "ok")

    with_hosted(tmp_path, monkeypatch, each, one, CASES)


@pytest.mark.parametrize("one", DIALECTS, ids=str)
def test_the_error_says_what_happened_and_nothing_of_the_sdk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Dialect
) -> None:
    async def each(place: Place, fake: RawUpstream) -> None:
        fake.script = failing(one)
        for case in ASKED:
            kind = case.split("-")[0]
            answer = await ask(place, case, case)
            error = answer.json["error"]
            assert answer.status == {"s429": 429, "hang": 504}.get(kind, 502), (case, error)
            assert error["code"] in CODES.get(kind, ("upstream_timeout",)), (case, error)
            assert clean(error["message"]), (case, error)
            if kind in ("s429", "s500", "error", "told"):
                assert error["message"] == "no luck today", (case, error)

    with_hosted(tmp_path, monkeypatch, each, one, CASES)


def test_what_the_sdk_raised_is_in_the_log_with_the_calls_id_and_no_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def each(place: Place, fake: RawUpstream) -> None:
        fake.script = failing(DIALECTS[2])
        error = (await ask(place, "html-whole", "html-whole")).json["error"]
        [line] = [r.getMessage() for r in caplog.records if r.name == "headgate.providers"]
        assert error["call_id"] in line and "JSONDecodeError" in line
        assert "hello" not in line and "kind:" not in line

    with_hosted(tmp_path, monkeypatch, each, DIALECTS[2], CASES)
