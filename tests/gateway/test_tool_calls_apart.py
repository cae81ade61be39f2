"""Tool calls of servers that leave out ids or indexes: none is lost, joined or torn."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from aiohttp import web
from dialect_world import World, dialect_world
from upstream import USAGE, Answer, chunk, completion, send_events, sse

from headgate_gateway.replies.tool_numbers import Calls, ToolNumbers

Json = dict[str, Any]
USER: list[Any] = [{"role": "user", "content": "Which way?"}]
WEATHER, TIME = '{"city":"Paris"}', '{"city":"Rome"}'
BOTH = [("weather", {"city": "Paris"}), ("time", {"city": "Rome"})]


def named(name: str, arguments: str, **own: Any) -> Json:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **own}


def more(arguments: str, **own: Any) -> Json:
    return {"function": {"arguments": arguments}, **own}


TWO: dict[str, list[list[Json]]] = {
    "neither ids nor indexes, in one chunk": [[named("weather", WEATHER), named("time", TIME)]],
    "neither ids nor indexes, in two": [[named("weather", WEATHER)], [named("time", TIME)]],
    "neither, in pieces": [
        *([named("weather", '{"city"')], [more(':"Paris"}')]),
        *([named("time", "")], [more('{"city":')], [more('"Rome"}')]),
    ],
    "index 0 for both, no ids": [
        *([named("weather", WEATHER, index=0)], [named("time", TIME, index=0)]),
    ],
    "indexes, no ids": [
        [named("weather", '{"city":', index=0), named("time", '{"city":', index=1)],
        [more('"Rome"}', index=1)],
        [more('"Paris"}', index=0)],
    ],
    "an id for each piece": [
        [named("weather", "", index=0, id="a1")],
        [more('{"city":', index=0, id="a2")],
        [more('"Paris"}', index=0, id="a3")],
        [named("time", TIME, index=0, id="b1")],
    ],
    "an id for each piece, no index": [
        [named("weather", "", id="a1")],
        [more('{"city":', id="a2")],
        [more('"Paris"}', id="a3")],
        [named("time", TIME, id="b1")],
    ],
    "the name in each piece": [
        [named("weather", '{"city":', index=0)],
        [named("weather", '"Paris"}', index=0)],
        [named("time", TIME, index=1)],
    ],
    "the name in each piece, the last one empty": [
        [named("weather", WEATHER, index=0, id="a")],
        [named("weather", "", index=0, id="")],
        [named("time", TIME, index=1, id="b")],
        [named("time", "", index=1)],
    ],
    "the name in each piece, no index, the last one empty": [
        [named("weather", WEATHER)],
        [named("weather", "")],
        [named("time", TIME)],
    ],
    "ids alone, interleaved": [
        [named("weather", '{"city":', id="a"), named("time", '{"city":', id="b")],
        [more('"Paris"}', id="a"), more('"Rome"}', id="b")],
    ],
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with dialect_world(tmp_path_factory.mktemp("calls")) as made:
        yield made


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[openai.OpenAI]:
    url = f"{world.server.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def claude(world: World) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=world.server.url, api_key="none", max_retries=0) as made:
        yield made


def streams(pieces: list[list[Json]]) -> Answer:
    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        deltas: list[Json] = [{"role": "assistant", "content": ""}]
        deltas += [{"tool_calls": p} for p in pieces]
        events = [*(chunk(d) for d in deltas), chunk({}, "tool_calls"), USAGE]
        return await send_events(request, [*map(sse, events), b"data: [DONE]\n\n"])

    return answer


def calls_with(*calls: Json) -> Answer:
    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        whole = completion("")
        message = {"role": "assistant", "content": None, "tool_calls": list(calls)}
        whole["choices"][0] |= {"message": message, "finish_reason": "tool_calls"}
        return web.json_response(whole)

    return answer


def read(calls: Any) -> list[tuple[str, Any]]:
    return [(c.function.name, json.loads(c.function.arguments)) for c in calls]


@pytest.mark.parametrize("how", TWO)
def test_the_chat_client_gets_both_calls_of_a_guarded_stream(
    world: World, client: openai.OpenAI, how: str
) -> None:
    world.fake.answers[:] = [streams(TWO[how])]
    asked: Any = {"model": "guarded", "messages": USER}
    with client.chat.completions.stream(**asked) as stream:
        found = stream.get_final_completion().choices[0].message.tool_calls
    assert found is not None and read(found) == BOTH
    assert len({call.id for call in found}) == 2 and all(len(c.id) < 64 for c in found)


@pytest.mark.parametrize(("how", "model"), [*itertools.product(TWO, ["plain", "guarded"])])
def test_anthropics_client_gets_both_calls_of_a_stream(
    world: World, claude: anthropic.Anthropic, how: str, model: str
) -> None:
    world.fake.answers[:] = [streams(TWO[how])]
    with claude.messages.stream(model=model, max_tokens=9, messages=USER) as stream:
        blocks: Any = stream.get_final_message().content
    assert [(b.name, b.input) for b in blocks] == BOTH
    assert len({b.id for b in blocks} - {""}) == 2


@pytest.mark.parametrize(("how", "model"), [*itertools.product(TWO, ["plain", "guarded"])])
def test_a_response_has_both_calls_of_a_stream(
    world: World, client: openai.OpenAI, how: str, model: str
) -> None:
    world.fake.answers[:] = [streams(TWO[how])]
    with client.responses.stream(model=model, input="Which way?") as stream:
        ids = {e.item.id for e in stream if e.type == "response.output_item.added"}
        items: Any = stream.get_final_response().output
    assert [(i.name, json.loads(i.arguments)) for i in items] == BOTH
    assert {i.id for i in items} == ids and len({i.call_id for i in items} - {""}) == 2


@pytest.mark.parametrize("own", [{}, {"id": ""}, {"id": "same"}, {"index": 0}])
@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_each_entry_of_a_whole_message_is_a_call_of_its_own(
    world: World, client: openai.OpenAI, claude: anthropic.Anthropic, model: str, own: Json
) -> None:
    world.fake.answers[:] = [calls_with(*(named("weather", a, **own) for a in (WEATHER, TIME)))]
    message: Any = claude.messages.create(model=model, max_tokens=9, messages=USER)
    assert [b.input for b in message.content] == [{"city": "Paris"}, {"city": "Rome"}]
    response: Any = client.responses.create(model=model, input="Which way?")
    assert [i.arguments for i in response.output] == [WEATHER, TIME]
    asked: Any = {"model": model, "messages": USER}
    found = client.chat.completions.create(**asked).choices[0].message.tool_calls
    assert found is not None and [a for _, a in read(found)] == [
        {"city": "Paris"},
        {"city": "Rome"},
    ]
    if model == "guarded":
        assert all(call.id for call in found)


def test_a_call_whose_id_is_empty_gets_one_where_its_client_needs_it(
    world: World, client: openai.OpenAI, claude: anthropic.Anthropic
) -> None:
    world.fake.answers[:] = [calls_with(named("now", "{}", id=""))]
    message: Any = claude.messages.create(model="plain", max_tokens=9, messages=USER)
    assert message.stop_reason == "tool_use" and message.content[0].id.startswith("toolu_")
    response: Any = client.responses.create(model="plain", input="Which way?")
    assert response.output[0].call_id
    asked: Any = {"model": "guarded", "messages": USER}
    [call] = client.chat.completions.create(**asked).choices[0].message.tool_calls or []
    assert call.id.startswith("call_")


GET_WEATHER = [("get_weather", {"city": "Paris"})]
IN_PIECES: dict[str, list[list[Json]]] = {
    "one call": [
        [named("get_", "", index=0, id="a")],
        [named("weather", "", index=0)],
        [more(WEATHER, index=0)],
    ],
    "the end with the arguments": [
        [named("get_", "", index=0, id="a")],
        [named("weather", WEATHER, index=0)],
    ],
    "the name after the id": [
        [more("", index=0, id="a")],
        [named("get_weather", "", index=0)],
        [more(WEATHER, index=0)],
    ],
    "the name after the arguments": [
        [more(WEATHER, index=0, id="a")],
        [named("get_weather", "", index=0)],
    ],
    "repeated with a blank end": [
        [named("get_weather", WEATHER, index=0, id="a")],
        [named("get_weather", "\n", index=0)],
    ],
    "a second call": [
        [named("time", TIME, index=0, id="a")],
        [named("get_", "", index=1, id="b")],
        [named("weather", "", index=1)],
        [more(WEATHER, index=1)],
    ],
    "both calls by turns": [
        [named("ti", "", index=0, id="a"), named("get_", "", index=1, id="b")],
        [named("me", "", index=0), named("weather", "", index=1)],
        [more(WEATHER, index=1), more(TIME, index=0)],
    ],
    "a call without arguments before it": [
        [named("now", "", index=0, id="a")],
        [named("get_", "", index=1, id="b")],
        [named("weather", WEATHER, index=1)],
    ],
    "of a custom tool before it": [
        [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "no", "input": ""}}],
        [{"index": 0, "custom": {"name": "w", "input": ""}}, named("get_", "", index=1, id="b")],
        [named("weather", WEATHER, index=1)],
    ],
}


@pytest.mark.parametrize(("how", "model"), [*itertools.product(IN_PIECES, ["plain", "guarded"])])
def test_a_name_in_pieces_is_one_name_for_every_client(
    world: World, client: openai.OpenAI, claude: anthropic.Anthropic, how: str, model: str
) -> None:
    pieces = IN_PIECES[how]
    first = [("time", {"city": "Rome"})] * ("second" in how or "both" in how)
    other = ["now"] * ("before it" in how)
    world.fake.answers[:] = [streams(pieces)]
    with claude.messages.stream(model=model, max_tokens=9, messages=USER) as blocks:
        uses: Any = blocks.get_final_message().content
    assert [b.name for b in uses] == [*other, *(n for n, _ in [*first, *GET_WEATHER])]
    assert [b.input for b in uses][len(other) :] == [i for _, i in [*first, *GET_WEATHER]]
    with client.responses.stream(model=model, input="Which way?") as stream:
        begun: Any = [e for e in stream if e.type == "response.output_item.added"]
        items: Any = stream.get_final_response().output
    assert [i.name for i in items] == [b.name for b in uses] == [e.item.name for e in begun]
    if model == "guarded" and "custom" not in how:
        asked: Any = {"model": model, "messages": USER}
        with client.chat.completions.stream(**asked) as told:
            found = told.get_final_completion().choices[0].message.tool_calls or []
        assert [c.function.name for c in found] == [b.name for b in uses]
        assert read(found[len(other) :]) == [*first, *GET_WEATHER]


def test_a_member_of_two_kinds_does_not_end_a_guarded_stream(
    world: World, client: openai.OpenAI
) -> None:
    odd = [[named("get_weather", WEATHER, index=1, id="b", extra="x")]]
    odd += [[{"index": 1, "extra": {"a": "b"}}], [{"index": 1, "extra": "y"}]]
    world.fake.answers[:] = [streams([[named("time", TIME, index=0, id="a")], *odd])]
    with client.chat.completions.stream(model="guarded", messages=USER) as stream:
        found = stream.get_final_completion().choices[0].message.tool_calls
    assert found is not None and read(found) == [("time", {"city": "Rome"}), *GET_WEATHER]


def test_two_names_with_ids_of_their_own_are_two_calls() -> None:
    pieces = [named("get_", "", index=0, id="a"), named("weather", "", index=0, id="b")]
    calls = Calls()
    assert [p.call.place for one in pieces for p in calls.place([one], whole=False)] == [0, 1]


def test_a_piece_without_a_name_goes_on_with_the_last_call() -> None:
    calls = Calls()
    pieces = [named("a", "{"), more("}", id="x"), more("", index=0), more(" ", index=None)]
    assert [p.call.index for piece in pieces for p in calls.place([piece], whole=False)] == [0] * 4


def test_ids_and_indexes_that_are_right_stay_as_they_are() -> None:
    numbers = ToolNumbers()
    body = chunk({"tool_calls": [named("a", "{}", index=3, id="x"), named("b", "", index=1)]})
    numbers.assign(body)
    first, second = body["choices"][0]["delta"]["tool_calls"]
    assert (first["index"], first["id"], second["index"]) == (3, "x", 1)
    later = chunk({"tool_calls": [more("{}", index=1, id="y")]})
    numbers.assign(later)
    assert later["choices"][0]["delta"]["tool_calls"] == [more("{}", index=1)]
    assert second["id"].startswith("call_")
