"""C32, C42 and C44: cut off after every byte, one envelope however deep, telemetry that breaks."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest
from asking import client_of, user
from configs import PRICED, proxy_config, write_config
from in_process import Answer, Place, opened
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from raw_upstream import Exchange, RawUpstream, raw_upstream
from running import Server, serving
from upstream import Upstream, completion, fails, says, send_events, sse, stream_of, upstream

from headgate_core.context import Context
from headgate_core.telemetry import hook
from headgate_core.telemetry.otlp import OtlpExporter

Json = dict[str, Any]
Script = Callable[[Exchange], Awaitable[None]]

# C32: an upstream that is cut off after k bytes, for every k.

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


# C42: one envelope, never wrapped twice.


@contextmanager
def chain(folder: Path) -> Iterator[tuple[Server, Upstream]]:
    """A gateway whose upstream is a gateway whose upstream is scripted."""
    for name in ("inner", "outer"):
        (folder / name).mkdir()
    with upstream() as fake, serving(proxy_config(folder / "inner", fake.url)) as inner:
        outer = proxy_config(folder / "outer", f"{inner.url}/v1")
        outer.write_text(outer.read_text().replace("fake", "plain"))
        with serving(outer) as server:
            yield server, fake


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Upstream]]:
    with chain(tmp_path_factory.mktemp("chain")) as made:
        yield made


def is_one_envelope(body: Any) -> None:
    """All four members, the message a sentence and not another envelope."""
    assert isinstance(body, dict)
    assert {"message", "type", "param", "code"} <= set(body)
    assert body["message"] and isinstance(body["message"], str)
    assert isinstance(body["type"], str) and body["type"]
    assert body["param"] is None or isinstance(body["param"], str)
    assert body["code"] is None or isinstance(body["code"], str)
    assert "error" not in body and "detail" not in body
    assert '"error"' not in body["message"] and "'error'" not in body["message"]


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.InternalServerError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_gateway_behind_a_gateway_wraps_nothing_twice(
    chained: tuple[Server, Upstream], sent: int, kind: type[openai.APIStatusError], stream: bool
) -> None:
    server, fake = chained
    fake.answers[:] = [fails(sent, "because of the weather")]
    with client_of(server.url) as client, pytest.raises(kind) as caught:
        client.chat.completions.create(model="plain", messages=user("hi"), stream=stream)
    is_one_envelope(caught.value.body)
    if sent not in (401,):  # of a refused credential nothing is passed on
        assert caught.value.message.count("because of the weather") == 1
    assert caught.value.request_id
    assert caught.value.response.json() == {"error": caught.value.body}


def test_an_error_in_mid_stream_is_wrapped_once_too(chained: tuple[Server, Upstream]) -> None:
    server, fake = chained

    async def breaks(request: Any, body: Json) -> Any:
        told = {"error": {"message": "out of luck", "type": "x", "param": None, "code": "y"}}
        return await send_events(request, [*stream_of(["Hel"])[:2], sse(told)])

    fake.answers[:] = [breaks]
    with (
        client_of(server.url) as client,
        client.chat.completions.create(model="plain", messages=user("hi"), stream=True) as stream,
        pytest.raises(openai.APIError) as caught,
    ):
        list(stream)
    is_one_envelope(caught.value.body)
    assert caught.value.message.count("out of luck") == 1


LITELLM = {
    "rate limit": (
        429,
        {
            "error": {
                "message": "litellm.RateLimitError: RateLimitError: OpenAIException - slow down",
                "type": "throttling_error",
                "param": None,
                "code": "429",
            }
        },
    ),
    "context": (
        400,
        {
            "error": {
                "message": "litellm.ContextWindowExceededError: too many tokens",
                "type": None,
                "param": None,
                "code": "400",
            }
        },
    ),
    "wrapped by its framework": (
        400,
        {"detail": {"error": {"message": "no such team", "type": "x", "param": "team"}}},
    ),
    "wrapped by itself": (
        500,
        {"error": {"error": {"message": "deep down", "type": "x", "code": None}}},
    ),
    "an envelope in its message": (
        400,
        {
            "error": {
                "message": 'OpenAIException - {"error": {"message": "bad tool", "code": null}}',
                "type": "invalid_request_error",
                "param": None,
                "code": "400",
            }
        },
    ),
    "a detail": (403, {"detail": "Not for you."}),
    "a list of details": (422, {"detail": [{"loc": ["body", "n"], "msg": "not a number"}]}),
    "no words": (503, {"error": {"message": "", "type": "None", "param": "None", "code": 503}}),
    "not an object": (502, {"error": ["a", "b"]}),
}


@pytest.mark.parametrize("name", LITELLM)
def test_the_envelopes_of_other_gateways_become_ours(
    chained: tuple[Server, Upstream], name: str
) -> None:
    server, fake = chained
    status, body = LITELLM[name]

    async def answer(request: Any, asked: Json) -> Any:
        from aiohttp import web

        return web.json_response(body, status=status)

    fake.answers[:] = [answer]
    with client_of(server.url) as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="plain", messages=user("hi"))
    is_one_envelope(caught.value.body)
    said = caught.value.message
    for words in ("slow down", "too many tokens", "no such team", "deep down", "bad tool"):
        if words in json.dumps(body):
            assert said.count(words) == 1, said


# C44: telemetry may fail, requests may not.


class Broken(SpanExporter):
    """Raises whatever it is asked to do."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise RuntimeError("telemetry is broken")

    def shutdown(self) -> None:
        raise RuntimeError("telemetry is broken")

    def force_flush(self, timeout_millis: int = 0) -> bool:
        raise RuntimeError("telemetry is broken")


def never_connects() -> SpanExporter:
    raise RuntimeError("telemetry cannot even begin")


TOOLS = [
    sse(
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}],
        }
    )
    for call in (
        {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": "{}"}},
    )
]


@pytest.mark.parametrize("connect", [Broken, never_connects])
def test_an_exporter_that_raises_on_every_call_fails_no_request(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    connect: Callable[[], SpanExporter],
) -> None:
    monkeypatch.setattr(hook, "OtlpExporter", partial(OtlpExporter, connect=connect))
    caplog.set_level(logging.CRITICAL, "headgate.record")

    def raises(ctx: Context) -> None:
        raise RuntimeError("a hook is broken as well")

    async def tools(exchange: Exchange) -> None:
        end = stream_of(["x"])[2:]
        await exchange.stream([*TOOLS, *end])

    async def whole(exchange: Exchange) -> None:
        await exchange.json(200, WHOLE)

    async def run() -> None:
        async with raw_upstream(tools) as fake:
            more = 'telemetry: {otlp: [{endpoint: "http://127.0.0.1:1"}]}\n'
            config = write_config(tmp_path, CUT.format(url=fake.url) + more)
            async with opened(config) as place:
                place.endpoints.gateway.parts.hooks.insert(0, raises)
                for script in (tools, whole):
                    fake.script = script
                    for _ in range(50):
                        answer = await place.chat("plain", stream=script is tools)
                        assert answer.status == 200
                        assert answer.done or script is whole
                assert [r["outcome"] for r in place.records] == ["ok"] * 100

    asyncio.run(run())


@contextmanager
def hanging() -> Iterator[str]:
    """A back-end that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for connection in held:
                connection.close()


def test_back_ends_that_hang_or_are_away_fail_no_request_and_no_shutdown(tmp_path: Path) -> None:
    with upstream(says("ok")) as fake, hanging() as silent:
        ends = f'[{{endpoint: "{silent}"}}, {{endpoint: "http://127.0.0.1:1"}}]'
        config = proxy_config(tmp_path, fake.url, more=f"telemetry: {{otlp: {ends}}}\n")
        with serving(config) as server:
            for n in range(100):
                status, body = server.chat("plain", "hi")
                assert status == 200, (n, body)
            assert server.get("/ready")[0] == 200
        assert server.process.returncode == 0, "it had to be killed"
