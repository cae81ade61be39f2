"""What streams lose elsewhere: usage, cost, and pieces of tool calls."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from configs import proxy_config
from in_process import Answer, Place, opened
from raw_upstream import Exchange, RawUpstream, raw_upstream
from shapes import DONE, SHAPES, Said, cut, said
from upstream import USAGE, chunk, sse

Json = dict[str, Any]

ANSWERS = 12
"""Answers that are tried in every shape."""
POLICY = """\
name: house
checks:
  - {name: personal, use: pii, at: [output, tool_calls], action: mask, options: {types: [email]}}
"""


def with_gateway(folder: Path, work: Callable[[Place, RawUpstream], Awaitable[None]]) -> None:
    async def run() -> None:
        async def unset(exchange: Exchange) -> None:
            raise AssertionError("the test has set no script")

        (folder / "guardrails").mkdir()
        (folder / "guardrails" / "house.yaml").write_text(POLICY)
        async with raw_upstream(unset) as fake:
            config = proxy_config(folder, fake.url)
            with config.open("a") as file:
                file.write("  - {name: checked, pool: main, guards: [house]}\n")
            async with opened(config) as place:
                await work(place, fake)

    asyncio.run(run())


def answers(answer: Said, stream: Callable[[Said], bytes]) -> Callable[[Exchange], Awaitable[None]]:
    """The upstream says ``answer``, streamed in this shape where a stream is asked for."""

    async def script(exchange: Exchange) -> None:
        if exchange.body.get("stream"):
            await exchange.stream([stream(answer)])
        else:
            await exchange.json(200, answer.whole)

    return script


@pytest.mark.parametrize("reports", [True, False], ids=["usage", "no usage"])
@pytest.mark.parametrize("model", ["plain", "checked"])
def test_a_call_costs_the_same_streamed_in_any_shape_and_whole(
    tmp_path: Path, model: str, reports: bool
) -> None:
    assert len(SHAPES) >= 12

    async def compare(place: Place, fake: RawUpstream) -> None:
        for seed, (name, shape) in itertools.product(range(ANSWERS), SHAPES.items()):
            answer = said(seed, reports=reports)
            fake.script = answers(answer, shape)
            whole = await place.chat(model)
            stream = await place.chat(model, stream=True)
            assert (whole.status, stream.status, stream.done) == (200, 200, True), name
            one, two = place.records[-2:]
            assert one["usage"] == two["usage"], (seed, name)
            assert one["cost_pico"] == two["cost_pico"] > 0, (seed, name)
            assert not (one["unpriced"] or two["unpriced"])
            assert one["usage"]["estimated"] == (not reports), (seed, name)
            if answer.usage is not None:
                assert two["usage"]["output_tokens"] == answer.usage["completion_tokens"]

    with_gateway(tmp_path, compare)


def calls_of(answer: Said, seed: int) -> bytes:
    """Tool calls in random pieces: interleaved or one after the other, some without an index."""
    source = random.Random(seed)
    calls = answer.message["tool_calls"]
    style = source.choice(["interleaved", "in a row", "no index", "always index 0"])
    whole_first = source.random() < 0.3
    lists: list[list[Json]] = []
    for n, call in enumerate(calls):
        index: Json = {"index": n}
        if style != "interleaved" and len(calls) >= 1:
            index = {"in a row": {"index": n}, "no index": {}, "always index 0": {"index": 0}}[
                style
            ]
        pieces = cut(source, call["function"]["arguments"])
        first = pieces.pop(0) if whole_first else ""
        head = {**index, **call, "function": {**call["function"], "arguments": first}}
        lists.append([head, *({**index, "function": {"arguments": p}} for p in pieces)])
    if style == "interleaved":
        rows = list(itertools.zip_longest(*lists))
        if source.random() < 0.5:  # several calls in one chunk
            deltas = [{"tool_calls": [c for c in row if c is not None]} for row in rows]
        else:
            deltas = [{"tool_calls": [c]} for row in rows for c in row if c is not None]
    else:
        deltas = [{"tool_calls": [c]} for one in lists for c in one]
    empty: list[Json] = [{}, {"content": ""}, {"tool_calls": []}, {"content": None}]
    for _ in range(source.randint(0, 4)):
        deltas.insert(source.randint(0, len(deltas)), source.choice(empty))
    events = [chunk({"role": "assistant", "content": None}), *map(chunk, deltas)]
    return b"".join(map(sse, [*events, chunk({}, "tool_calls"), USAGE])) + DONE


def assembled(chunks: list[Json]) -> list[tuple[str, str, str]]:
    """The tool calls that a client makes of the deltas: a new id is a new call."""
    calls: list[Json] = []
    for delta in (c["delta"] for b in chunks for c in b.get("choices") or ()):
        for piece in delta.get("tool_calls") or ():
            known = _known(calls, piece)
            function = piece.get("function") or {}
            known["id"] = known["id"] or piece.get("id")
            known["name"] += function.get("name") or ""
            known["text"] += function.get("arguments") or ""
    return [(c["id"], c["name"], c["text"]) for c in calls]


def _known(calls: list[Json], piece: Json) -> Json:
    index, own = piece.get("index"), piece.get("id")
    for call in reversed(calls):
        if index in (None, call["index"]) and own in (None, call["id"]):
            return call
    calls.append({"index": index, "id": own, "name": "", "text": ""})
    return calls[-1]


def meant(answer: Said) -> list[tuple[str, str, str]]:
    return [
        (c["id"], c["function"]["name"], c["function"]["arguments"])
        for c in answer.message["tool_calls"]
    ]


def blocks(answer: Answer) -> list[tuple[str, str, Json]]:
    """The tool calls of a streamed Anthropic message, put together from its events."""
    found: dict[int, Json] = {}
    for event in map(orjson.loads, answer.data):
        if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
            found[event["index"]] = {**event["content_block"], "text": ""}
        elif event["type"] == "content_block_delta" and event["index"] in found:
            found[event["index"]]["text"] += event["delta"]["partial_json"]
    return [(b["id"], b["name"], orjson.loads(b["text"])) for b in found.values()]


@pytest.mark.parametrize("model", ["plain", "checked"])
@pytest.mark.parametrize("part", range(4))
def test_tool_calls_in_any_pieces_are_the_calls_of_the_whole_answer(
    tmp_path: Path, part: int, model: str
) -> None:
    async def compare(place: Place, fake: RawUpstream) -> None:
        for seed in range(part * 50, part * 50 + 50):
            answer = said(seed, tools=True)
            data = calls_of(answer, seed)
            fake.script = answers(answer, lambda _, data=data: data)  # type: ignore[misc]
            options = {"stream": True, "stream_options": {"include_usage": True}}
            stream = await place.chat(model, **options)
            if model == "plain":
                assert stream.body == data, seed  # byte for byte
            assert assembled(stream.chunks) == meant(answer), (seed, data.decode())
            whole = (await place.chat(model)).json["choices"][0]["message"]
            assert whole["tool_calls"] == answer.message["tool_calls"]
            asked: Json = {"model": model, "max_tokens": 99, "messages": QUESTION}
            spoken = await place.ask({**asked, "stream": True}, path="/v1/messages")
            content = (await place.ask(asked, path="/v1/messages")).json["content"]
            uses = [(b["id"], b["name"], b["input"]) for b in content if b["type"] == "tool_use"]
            assert blocks(spoken) == uses, (seed, data.decode())
            assert [(i, n, orjson.loads(t)) for i, n, t in meant(answer)] == uses

    with_gateway(tmp_path, compare)


QUESTION = [{"role": "user", "content": "Use the tools."}]
