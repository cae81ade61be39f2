"""C32: an upstream that is cut off after k bytes, for every k."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from configs import PRICED, write_config
from in_process import Answer, Place, opened
from raw_upstream import Exchange, RawUpstream, raw_upstream
from upstream import completion, sse

Json = dict[str, Any]
Script = Callable[[Exchange], Awaitable[None]]


CUT = (
    PRICED
    + """\
routes:
  - {{name: plain, pool: main}}
  - {{name: text, pool: main, capture: full}}
"""
)
STREAM = b"".join(
    sse({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    for delta, finish in (({"content": "Hel"}, None), ({"content": "lo!"}, None), ({}, "stop"))
) + sse({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
WHOLE = orjson.dumps(completion("Hello!"))
FINISHED = STREAM.index(b'"stop"') + len(b'"stop"}]}\n\n')
"""Once this much has come, the answer is complete; only usage and terminator may be missing."""
MESSAGES = [{"role": "user", "content": "Say hello."}]
DIALECTS: dict[str, tuple[str, Json]] = {
    "chat": ("/v1/chat/completions", {"model": "plain", "messages": MESSAGES}),
    "chat on a text route": ("/v1/chat/completions", {"model": "text", "messages": MESSAGES}),
    "completions": ("/v1/completions", {"model": "plain", "prompt": "Say hello."}),
    "messages": ("/v1/messages", {"model": "plain", "messages": MESSAGES, "max_tokens": 9}),
    "responses": ("/v1/responses", {"model": "plain", "input": "Say hello.", "store": False}),
}
LAST_WORDS = (b"[DONE]", b"message_stop", b"response.completed")


def cut_at(data: bytes, k: int, *, stream: bool, orderly: bool) -> Script:
    """Sends k bytes; then the connection closes, after a proper end of the body if ``orderly``."""

    async def script(exchange: Exchange) -> None:
        if stream:
            await exchange.stream([data[:k]], end=orderly)
        elif orderly:
            await exchange.json(200, data[:k])
        else:
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
            )
            await exchange.write(head.encode() + b"\r\n\r\n" + data[:k])
        if not orderly:
            exchange.writer.close()

    return script


@asynccontextmanager
async def cutting(folder: Path) -> AsyncIterator[tuple[Place, RawUpstream]]:
    async def unset(exchange: Exchange) -> None:
        raise AssertionError("the test has set no script")

    async with (
        raw_upstream(unset) as fake,
        opened(write_config(folder, CUT.format(url=fake.url))) as place,
    ):
        yield place, fake


def code_of(answer: Answer) -> str:
    """The error's code, whether it is the whole answer or an event, in any dialect."""
    if answer.status != 200:
        bodies = [answer.json]
    else:
        bodies = [orjson.loads(d) for d in answer.data if d != b"[DONE]"]
    for body in reversed(bodies):
        inner = body.get("error") or {}
        code = inner.get("code") or (body.get("code") if body.get("type") == "error" else None)
        if code:
            return str(code)
    return ""


def shown(answer: Answer) -> bool:
    """Whether the client got any of the text."""
    return any(part in answer.body for part in (b"Hel", b"lo!"))


@pytest.mark.parametrize("orderly", [False, True], ids=["cut", "ended"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_cut_after_any_byte_is_never_shown_as_complete(
    tmp_path: Path, dialect: str, orderly: bool
) -> None:
    path, body = DIALECTS[dialect]

    async def run() -> None:
        async with cutting(tmp_path) as (place, fake):
            for k in range(FINISHED - 2):
                fake.script = cut_at(STREAM, k, stream=True, orderly=orderly)
                answer = await place.ask({**body, "stream": True}, path=path)
                assert not any(word in answer.body for word in LAST_WORDS), (k, answer.body)
                assert code_of(answer) == "upstream_truncated", (k, answer.body)
                record = place.records[-1]
                assert (record["outcome"], record["error_code"]) == ("error", code_of(answer)), k
                if shown(answer):
                    _partly_booked(record)

    asyncio.run(run())


def _partly_booked(record: Any) -> None:
    usage = record["usage"]
    assert usage["output_tokens"] > 0 and usage["input_tokens"] > 0
    assert usage["estimated"]
    assert record["cost_pico"] > 0
    assert [a["outcome"] for a in record["attempts"]] == ["error"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_cut_after_its_finish_may_end_but_is_booked_in_full(
    tmp_path: Path, dialect: str
) -> None:
    path, body = DIALECTS[dialect]

    async def run() -> None:
        async with cutting(tmp_path) as (place, fake):
            for k in range(FINISHED, len(STREAM) + 1, 5):
                fake.script = cut_at(STREAM, k, stream=True, orderly=True)
                answer = await place.ask({**body, "stream": True}, path=path)
                assert shown(answer)
                complete = any(word in answer.body for word in LAST_WORDS)
                assert complete == (code_of(answer) == ""), (k, answer.body)
                usage = place.records[-1]["usage"]
                assert usage["output_tokens"] > 0

    asyncio.run(run())


@pytest.mark.parametrize("orderly", [False, True], ids=["cut", "ended"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_whole_answer_cut_after_any_byte_is_an_error(
    tmp_path: Path, dialect: str, orderly: bool
) -> None:
    path, body = DIALECTS[dialect]

    async def run() -> None:
        async with cutting(tmp_path) as (place, fake):
            for k in range(len(WHOLE)):
                fake.script = cut_at(WHOLE, k, stream=False, orderly=orderly)
                answer = await place.ask(body, path=path)
                assert answer.status == 502, (k, answer.body)
                # A body that ends where its length says is whole, and no JSON.
                wanted = "upstream_malformed" if orderly else "upstream_truncated"
                assert code_of(answer) == wanted, (k, answer.body)
                assert not shown(answer)

    asyncio.run(run())


def test_a_retry_after_a_cut_before_the_first_content_hides_it(tmp_path: Path) -> None:
    """Before any content was shown there is nothing to mend: another try answers."""
    config = CUT.replace("retries: {{attempts: 1}}", "retries: {{attempts: 2}}")
    first = STREAM.index(b"Hel")

    async def run() -> None:
        async def twice(exchange: Exchange) -> None:
            cut = len(fake.requests) % 2 == 1
            await cut_at(STREAM, first if cut else len(STREAM), stream=True, orderly=not cut)(
                exchange
            )

        async with (
            raw_upstream(twice) as fake,
            opened(write_config(tmp_path, config.format(url=fake.url))) as place,
        ):
            answer = await place.chat("plain", stream=True)
        assert answer.done and answer.text == "Hello!"
        assert answer.headers["x-headgate-attempts"] == "2"

    asyncio.run(run())
