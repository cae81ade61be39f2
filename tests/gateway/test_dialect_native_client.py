"""The official client, sync and async, at an upstream that speaks its wires itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import web
from configs import write_config
from native_wire import CONFIG, events_of, response, text_chunk
from pydantic import BaseModel
from running import Server, serving
from upstream import Answer, Upstream, send_events, sse, upstream

Json = dict[str, Any]
TEXTS = ("Hello", " world")


@dataclass
class Place:
    server: Server
    fake: Upstream

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.server.url}/v1", api_key="none", max_retries=0)

    def asynchronous(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.server.url}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with opened(tmp_path_factory.mktemp("native-client")) as made:
        yield made


@contextmanager
def opened(folder: Path) -> Iterator[Place]:
    with upstream() as fake:
        config = write_config(folder, CONFIG.format(url=fake.url))
        with serving(config) as server:
            yield Place(server, fake)


def responds(*texts: str) -> Answer:
    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        if body.get("stream"):
            return await send_events(request, events_of(texts))
        return web.json_response(response("".join(texts)))

    return answer


def completes(*texts: str) -> Answer:
    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        whole = text_chunk("".join(texts), "stop") | {"usage": usage}
        if not body.get("stream"):
            return web.json_response(whole)
        chunks = [*map(text_chunk, texts), text_chunk("", "stop")]
        told = {**text_chunk(""), "choices": [], "usage": usage}
        return await send_events(request, [*map(sse, [*chunks, told]), b"data: [DONE]\n\n"])

    return answer


class Weather(BaseModel):
    """What is parsed from a response."""

    city: str
    degrees: int


WEATHER = '{"city": "Bonn", "degrees": 7}'


def test_a_response_at_once_and_streamed(place: Place) -> None:
    place.fake.answers[:] = [responds(*TEXTS)]
    with place.client() as client:
        raw = client.responses.with_raw_response.create(model="main", input="Say hello.")
        answer = raw.parse()
        assert (answer.output_text, answer.id, answer.model) == (
            "Hello world",
            "resp_1",
            "one-2026",
        )
        assert answer.usage is not None and answer.usage.output_tokens_details.reasoning_tokens == 2
        assert raw.headers["x-headgate-target"] == "up/one"
        assert place.fake.paths[-1] == "/v1/responses"
        kinds = []
        with client.responses.stream(model="main", input="Say hello.") as stream:
            kinds = [event.type for event in stream]
            final = stream.get_final_response()
        assert (final.output_text, kinds[0], kinds[-1]) == (
            "Hello world",
            "response.created",
            "response.completed",
        )


def test_the_asynchronous_client_streams(place: Place) -> None:
    place.fake.answers[:] = [responds(*TEXTS)]

    async def stream() -> str:
        async with place.asynchronous() as client:
            events = await client.responses.create(model="main", input="Hi", stream=True)
            return "".join(
                [e.delta async for e in events if e.type == "response.output_text.delta"]
            )

    assert asyncio.run(stream()) == "Hello world"


def test_a_response_is_parsed_into_a_model(place: Place) -> None:
    place.fake.answers[:] = [responds(WEATHER)]
    with place.client() as client:
        parsed = client.responses.parse(model="main", input="Weather?", text_format=Weather)
        assert parsed.output_parsed == Weather(city="Bonn", degrees=7)
        assert place.fake.seen[-1]["text"]["format"]["type"] == "json_schema"
        with client.responses.stream(
            model="main", input="Weather?", text_format=Weather
        ) as streamed:
            streamed.until_done()
            assert streamed.get_final_response().output_parsed == parsed.output_parsed

    async def asynchronously() -> Weather | None:
        async with place.asynchronous() as client:
            answer = await client.responses.parse(model="main", input="?", text_format=Weather)
            return answer.output_parsed

    assert asyncio.run(asynchronously()) == parsed.output_parsed


def test_a_cut_stream_shows_that_it_failed(place: Place) -> None:
    async def cut(request: web.Request, body: Json) -> web.StreamResponse:
        return await send_events(request, events_of(["Hello"])[:5])

    place.fake.answers[:] = [cut]
    with place.client() as client:
        events = list(client.responses.create(model="main", input="Hi", stream=True))
    assert [e.type for e in events[-2:]] == ["error", "response.failed"]
    assert events[-2].type == "error" and events[-2].code == "upstream_truncated"


def test_a_client_that_leaves_a_stream_stops_the_upstream(place: Place) -> None:
    async def hangs(request: web.Request, body: Json) -> web.StreamResponse:
        stream = await send_events(request, events_of(["Hel"])[:5])
        while True:
            await stream.write(b": waiting\n\n")
            await asyncio.sleep(0.05)

    place.fake.hung_up = threading.Event()
    place.fake.answers[:] = [hangs]
    with place.client() as client:
        stream = client.responses.create(model="main", input="Hi", stream=True)
        assert next(iter(stream)).type == "response.created"
        stream.close()
    assert place.fake.hung_up.wait(10)


def test_kept_responses_are_named_as_not_served(place: Place) -> None:
    with place.client() as client:
        for ask in (
            lambda: client.responses.retrieve("resp_1"),
            lambda: client.responses.delete("resp_1"),
            lambda: client.responses.cancel("resp_1"),
            lambda: client.responses.input_items.list("resp_1"),
        ):
            with pytest.raises(openai.NotFoundError) as refused:
                ask()
            assert refused.value.code == "endpoint_not_served"
            assert "keeps no responses" in refused.value.message


def test_a_text_completion_at_once_and_streamed(place: Place) -> None:
    place.fake.answers[:] = [completes(*TEXTS)]
    with place.client() as client:
        raw = client.completions.with_raw_response.create(
            model="main", prompt=["Say hello.", "Again."], logprobs=2, echo=True, best_of=3, n=2
        )
        assert raw.parse().choices[0].text == "Hello world"
        assert place.fake.paths[-1] == "/v1/completions"
        sent = place.fake.seen[-1]
        assert (sent["prompt"], sent["best_of"]) == (["Say hello.", "Again."], 3)
        chunks = list(client.completions.create(model="main", prompt=[1, 2], stream=True))
        assert "".join(c.choices[0].text for c in chunks) == "Hello world"
        assert all(c.usage is None for c in chunks)


def test_the_asynchronous_client_completes(place: Place) -> None:
    place.fake.answers[:] = [completes(*TEXTS)]

    async def both() -> tuple[str, int]:
        async with place.asynchronous() as client:
            whole = await client.completions.create(model="main", prompt="Hi", suffix="!")
            chunks = await client.completions.create(
                model="main", prompt="Hi", stream=True, stream_options={"include_usage": True}
            )
            told = [c.usage.total_tokens async for c in chunks if c.usage is not None]
            return whole.choices[0].text, told[0]

    assert asyncio.run(both()) == ("Hello world", 18)
