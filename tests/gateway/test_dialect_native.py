"""Responses that pass through to an upstream that speaks them: the bytes, the money, the ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from native_wire import PIECES, USAGE, WHOLE, Json, World, events_of, response, run
from replay import Body, json_events, recorded, splits
from upstream import completion

CUT_SHORT = response("".join(PIECES), "incomplete", incomplete_details={"reason": "content_filter"})
INCOMPLETE = {"type": "response.incomplete", "response": CUT_SHORT}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
CALLED = {"type": "response.completed", "response": response("", output=[CALL])}


def own_streams() -> Iterator[Body]:
    shapes = {
        "plain": WHOLE,
        "crlf": WHOLE.replace(b"\n", b"\r\n"),
        "cr": WHOLE.replace(b"\n", b"\r"),
        "data lines alone": b"".join(
            b"data: " + orjson.dumps(e) + b"\n\n" for e in json_events(WHOLE)
        ),
        "no space": WHOLE.replace(b"data: ", b"data:"),
        "comments": b": hello\n\n" + WHOLE.replace(b"\n\n", b"\n\n: still here\n\n"),
        "incomplete": b"".join(events_of(PIECES, INCOMPLETE)),
        "a call": b"".join(events_of([], CALLED)),
        "nothing said": b"".join(events_of([])),
        "no last line end": WHOLE.removesuffix(b"\n\n"),
        "a done after it": WHOLE + b"data: [DONE]\n\n",
        "bom": b"\xef\xbb\xbf" + WHOLE,
    }
    for name, data in shapes.items():
        yield Body(name, data, {})


OWN = list(own_streams())
RECORDED = [b for b in recorded("sse") if b.meta["endpoint"].endswith("/responses")]
needs_data = pytest.mark.skipif(not RECORDED, reason="HEADGATE_DATA names no recorded bodies")


async def equal(world: World, body: Body) -> None:
    """The upstream's own events for every cut, and the same bytes for each of them."""
    wanted = [e for e in json_events(body.data.replace(b"data: [DONE]\n\n", b"")) if e]
    first = b""
    for name, pieces in splits(body.data):
        world.streams(pieces)
        answer = await world.responded(stream=True)
        assert answer.status == 200, (name, answer.body)
        assert json_events(answer.body) == wanted, name
        first = first or answer.body
        assert answer.body == first and answer.ends == 1, name
        record = world.place.records[-1]
        assert (record["outcome"], record["endpoint"]) == ("ok", "responses"), name
        assert not record["usage"]["estimated"] and record["usage"]["output_tokens"] > 0, name


@pytest.mark.parametrize("body", OWN, ids=str)
def test_events_arrive_as_they_were_sent_whatever_the_split(tmp_path: Path, body: Body) -> None:
    run(tmp_path, lambda world: equal(world, body))


@needs_data
@pytest.mark.parametrize("part", range(3))
def test_recorded_streams_of_responses_arrive_whole(tmp_path: Path, part: int) -> None:
    async def each(world: World) -> None:
        for body in RECORDED[part::3]:
            await equal(world, body)

    run(tmp_path, each)


def ends(body: Body) -> Json:
    """The response that the stream ended with."""
    return dict(json_events(body.data)[-1]["response"])


@pytest.mark.parametrize(
    "bodies", [OWN[:1] + OWN[6:9], pytest.param(RECORDED, marks=needs_data)], ids=["own", "rec"]
)
def test_a_stream_costs_what_the_whole_response_costs(tmp_path: Path, bodies: list[Body]) -> None:
    async def compare(world: World) -> None:
        for body in bodies:
            world.streams([body.data])
            await world.responded(stream=True)
            world.says(ends(body))
            answer = await world.responded()
            assert answer.json == ends(body)
            stream, single = world.place.records[-2:]
            for member in ("usage", "cost_pico", "finish_reason", "target"):
                assert stream[member] == single[member], (body, member)
            assert (stream["cost_pico"] > 0) is not stream["unpriced"]  # a tier without a price
            assert ("x-headgate-cost-usd" in answer.headers) is not stream["unpriced"]

    run(tmp_path, compare)


def test_cached_and_reasoning_tokens_are_booked(tmp_path: Path) -> None:
    async def one(world: World) -> None:
        world.says(response("Hello"))
        await world.responded()
        [attempt] = world.place.records[-1]["attempts"]
        told = {"input_tokens": 11, "output_tokens": 7, "cached_input_tokens": 3}
        assert attempt["usage"] is not None
        assert attempt["usage"].items() >= {**told, "reasoning_tokens": 2}.items()
        assert (attempt["response_id"], attempt["response_model"]) == ("resp_1", "one-2026")

    run(tmp_path, one)


@needs_data
def test_recorded_whole_responses_pass_as_they_are(tmp_path: Path) -> None:
    async def each(world: World) -> None:
        bodies = [b for b in recorded("json") if b.meta["endpoint"].endswith("/responses")]
        assert bodies
        for body in bodies:
            world.fake.script = lambda exchange, body=body: exchange.json(200, body.data)  # type: ignore[misc]
            answer = await world.responded()
            assert (answer.status, answer.body) == (200, body.data), body
            assert not world.place.records[-1]["usage"]["estimated"]

    run(tmp_path, each)


def test_the_body_goes_upstream_as_it_came_but_for_model_and_bounds(tmp_path: Path) -> None:
    async def compare(world: World) -> None:
        world.says(response("Hello"))
        asked: Json = {
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
            "tools": [{"type": "web_search"}],
            "include": ["reasoning.encrypted_content"],
            "store": True,
            "made_up": [1],
        }
        await world.responded("main", **asked, headgate={"meta": True})
        assert world.fake.requests[-1] == {**asked, "model": "one", "max_output_tokens": 2048}
        await world.responded("main", max_output_tokens=9)
        assert world.fake.requests[-1]["max_output_tokens"] == 9
        await world.responded("short", max_output_tokens=9, temperature=1)
        sent = world.fake.requests[-1]
        assert (sent["max_output_tokens"], sent["temperature"]) == (50, 1)

    run(tmp_path, compare)


@pytest.mark.parametrize("endpoint", ["responses", "completions"])
def test_metadata_stays_here_unless_the_provider_says_otherwise(
    tmp_path: Path, endpoint: str
) -> None:
    async def compare(world: World) -> None:
        labels = {"session": "s-1"}
        question = "input" if endpoint == "responses" else "prompt"
        asked = {question: "Hi", "metadata": labels}
        world.says(response("Hello") if endpoint == "responses" else completion("Hello"))
        answer = await world.ask(endpoint, {**asked, "model": "main"})
        assert "metadata" not in world.fake.requests[-1]
        assert answer.headers["x-headgate-dropped"] == "metadata"
        assert world.place.records[-1]["session"] == "s-1"
        answer = await world.ask(endpoint, {**asked, "model": "labels"})
        assert world.fake.requests[-1]["metadata"] == labels
        assert "x-headgate-dropped" not in answer.headers

    run(tmp_path, compare)


def test_what_the_gateway_knows_of_a_call_comes_only_when_it_is_asked_for(tmp_path: Path) -> None:
    async def compare(world: World) -> None:
        world.says(response("Hello"))
        own: Json = {"headgate": {"meta": True}}
        whole = (await world.responded(**own)).json
        world.streams(events_of(["Hello"]))
        last = json_events((await world.responded(stream=True, **own)).body)[-1]["response"]
        for told, record in zip((whole, last), world.place.records, strict=True):
            known = told.pop("headgate")
            assert (known["call_id"], known["target"]) == (record["call_id"], "up/one")
            assert known["cost_usd"] == "0.0000156"
            assert told == response("Hello")

    run(tmp_path, compare)


def test_the_last_event_comes_after_the_record(tmp_path: Path) -> None:
    async def watch(world: World) -> None:
        world.streams(events_of(["Hello"]))
        recorded_then: list[int] = []

        def saw(data: bytes) -> None:
            if b"response.completed" in data:
                recorded_then.append(len(world.place.records))

        body = {"model": "main", "input": "Hi", "stream": True}
        await world.ask("responses", body, saw=saw)
        assert recorded_then == [1]

    run(tmp_path, watch)


def test_a_kept_answer_is_replayed_in_its_own_wire(tmp_path: Path) -> None:
    async def twice(world: World) -> None:
        world.streams(events_of(["Hello"]))
        body = {"model": "main", "input": "Hi", "stream": True}
        key = {"idempotency-key": "k"}
        first = await world.ask("responses", body, headers=key)
        again = await world.ask("responses", body, headers=key)
        assert again.body == first.body and again.headers["idempotency-replayed"] == "true"
        assert len(world.fake.requests) == 1
        assert world.place.records[-1]["cost_pico"] == 0
        assert USAGE["total_tokens"] == 18

    run(tmp_path, twice)
