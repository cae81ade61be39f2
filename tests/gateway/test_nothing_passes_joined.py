"""What a client joins out of a stream's odd members, and what is left of them that is harmless."""

from __future__ import annotations

from typing import Any

import pytest
from openai._models import construct_type
from openai.lib.streaming.chat._completions import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk
from passes_world import ADDRESS, SECRET, Json, delivered
from upstream import chunk

from headgate_core.reply import Facts
from headgate_gateway.replies.chunks import observe


def joined(sent: list[Json]) -> str:
    """What the official client makes of the chunks."""
    state: Any = ChatCompletionStreamState()
    for body in sent:
        state.handle_chunk(construct_type(type_=ChatCompletionChunk, value=body))
    return str(state.current_completion_snapshot.model_dump_json(exclude_none=True))


def call(index: int = 0, **more: Any) -> Json:
    return {"tool_calls": [{"index": index, **more}]}


def function(arguments: str, **more: Any) -> Json:
    return call(function={"arguments": arguments, **more})


def note(index: int | None, **more: Any) -> Json:
    return {"annotations": [more if index is None else {"index": index, **more}]}


def begun(**more: Any) -> Json:
    said = {"name": "f", "arguments": "", **more}
    return {"role": "assistant", **call(id="c1", type="function", function=said)}


def cut(forbidden: str) -> dict[str, list[Json]]:
    """Ways of sending it in two pieces that a client puts together."""
    a, b = forbidden[:10], forbidden[10:]
    cite = "url_citation"
    return {
        "title": [
            note(0, type=cite, url_citation={"title": a}),
            note(0, url_citation={"title": b}),
        ],
        "crossed": [note(5, url_citation={"title": a}), note(0, url_citation={"title": b})],
        "last": [note(None, url_citation={"title": a}), note(-1, url_citation={"title": b})],
        "untold": [note(None, url_citation={"title": a}), note(0, url_citation={"title": b})],
        "call": [begun(), call(extra_content={"x": {"y": a}}), call(extra_content={"x": {"y": b}})],
        "type": [begun(), call(type=a), call(type=b)],
        "function": [begun(thought=a), function("{}", thought=b)],
        "input": [begun(input=a), function("{}", input=b)],
        "old call": [
            {"function_call": {"name": "f", "arguments": "", "thought": a}},
            {"function_call": {"arguments": "{}", "thought": b}},
        ],
        "audio": [{"audio": {"id": "a", "note": a}}, {"audio": {"transcript": "hi", "note": b}}],
        "audio id": [{"audio": {"id": a, "transcript": "hi"}}, {"audio": {"id": b}}],
        "role": [{"role": a, "content": "x"}, {"role": b, "content": "y"}],
        **nested(a, b),
    }


def nested(a: str, b: str) -> dict[str, list[Json]]:
    """Both pieces in one delta, as two objects of one list that have one index."""
    listed: list[Json] = [{"index": 0, "t": a}, {"index": 0, "t": b}]
    return {
        "list of a note": [note(0, p=[{"index": 0}]), note(0, p=listed)],
        "odd list of a note": [
            note(0, p=[{"index": 5, "t": a}]),
            note(0, p=[{"index": 0, "t": b}]),
        ],
        "list of a call": [begun(), call(extra=[{"index": 0}]), call(extra=listed)],
        "list of a function": [begun(x=[{"index": 0}]), function("{}", x=listed)],
        "list of an audio": [{"audio": {"id": "a", "x": [{"index": 0}]}}, {"audio": {"x": listed}}],
        "list of an old call": [
            {"function_call": {"name": "f", "arguments": "", "x": [{"index": 0}]}},
            {"function_call": {"arguments": "{}", "x": listed}},
        ],
    }


@pytest.mark.parametrize("forbidden", [ADDRESS, SECRET])
@pytest.mark.parametrize("way", cut(SECRET))
def test_what_a_client_joins_never_holds_it(way: str, forbidden: str) -> None:
    bodies = [chunk({"content": "x"}), *(chunk(delta) for delta in cut(forbidden)[way])]
    sent, dropped = delivered([*bodies, chunk({}, "stop")], stream=True)
    assert forbidden not in joined(sent)
    assert len(dropped) == 1 or way in ("crossed", "last", "untold")


@pytest.mark.parametrize("forbidden", [ADDRESS, SECRET])
@pytest.mark.parametrize("member", ["arguments", "input"])
def test_a_text_under_the_name_of_another_kinds_is_checked(member: str, forbidden: str) -> None:
    kinds = ("function", "custom", "function_call")
    for kind in kinds:
        own: Json = {kind: {"name": "f", "arguments": "{}", member: forbidden}}
        delta = own if kind == "function_call" else call(id="c", **own)
        sent, _ = delivered([chunk(delta), chunk({}, "stop")], stream=True)
        assert forbidden not in str(sent), kind


def test_what_comes_whole_passes_and_what_is_repeated_is_said_once() -> None:
    bodies = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"role": "assistant", **begun(), "audio": {"id": "a1", "transcript": "So"}}),
        chunk(call(type="function", function={"arguments": "{}"}, extra_content={"g": "sig"})),
        chunk({"audio": {"id": "a1", "transcript": " it"}}),
        chunk(note(0, type="url_citation", url_citation={"title": "One", "url": "http://a.b"})),
        chunk(note(1, type="url_citation", url_citation={"title": "Two", "url": "http://c.d"})),
        chunk({}, "tool_calls"),
    ]
    sent, dropped = delivered(bodies, stream=True)
    text = joined(sent)
    assert dropped == []
    assert '"id":"a1"' in text
    assert '"g":"sig"' in text
    assert text.index("One") < text.index("Two")
    assert '"arguments":"{}"' in text


def told(*bodies: Json) -> list[Json]:
    """What is left of the choices once the record has read them."""
    facts = Facts()
    for body in bodies:
        observe(facts, body)
    return [choice for body in bodies for choice in body["choices"]]


def last(**message: Any) -> Json:
    return {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}


F = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
G = {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}


@pytest.mark.parametrize("beside", [{}, {"delta": {}}])
def test_a_last_message_loses_only_what_has_been_said(beside: Json) -> None:
    end = last(role="assistant", content="Hi", refusal=None, tool_calls=[F])
    end["choices"][0].update(beside)
    hi, rest = told(chunk({"role": "assistant", "content": "Hi"}), end)
    assert hi["delta"]["content"] == "Hi"
    assert "message" not in rest
    assert rest["delta"] == {"tool_calls": [{"index": 0, **F}]}
    assert rest["finish_reason"] == "tool_calls"


def test_a_message_beside_a_delta_adds_its_calls() -> None:
    end = last(content="Hi", tool_calls=[F])
    end["choices"][0]["delta"] = {"content": "Hi"}
    [only] = told(end)
    assert only["delta"] == {"content": "Hi", "tool_calls": [{"index": 0, **F}]}


@pytest.mark.parametrize("again", [F, {**F, "id": "made-up"}, {**F, "id": None}])
def test_calls_that_have_come_are_not_called_twice(again: Json) -> None:
    pieces = [call(id="c1", type="function", function={"name": "f", "arguments": "{"})]
    pieces += [call(function={"arguments": "}"})]
    *_, rest = told(*(chunk(piece) for piece in pieces), last(tool_calls=[again, G], content="Hi"))
    assert rest["delta"] == {"content": "Hi", "tool_calls": [{"index": 1, **G}]}


def unnamed(call: Json, **more: Any) -> Json:
    return {name: value for name, value in {**call, **more}.items() if name != "id"}


MADE_UP = [{**F, "id": "m1"}, {**G, "id": "m2"}]


@pytest.mark.parametrize("again", [[F, G], [unnamed(F), unnamed(G)], MADE_UP, MADE_UP[::-1]])
@pytest.mark.parametrize(
    "first",
    [
        [unnamed(F), unnamed(G)],
        [F, G],
        [{**F, "index": 1}, {**G, "index": 2}],
        [{**F, "index": 0}, {**G, "index": 0}],
    ],
)
def test_calls_are_not_called_twice_whatever_their_numbers(
    first: list[Json], again: list[Json]
) -> None:
    more = {**F, "id": "c3", "function": {"name": "more", "arguments": "{}"}}
    deltas = [chunk({"tool_calls": [one]}) for one in first]
    *_, rest = told(*deltas, last(tool_calls=[*again, more]))
    [new] = rest["delta"]["tool_calls"]
    assert new["function"]["name"] == "more"
    assert new["index"] not in [one.get("index") for one in first]


def test_the_same_call_once_more_is_one_more_call() -> None:
    first = [chunk({"tool_calls": [unnamed(F)]})]
    spaced = {"name": "f", "arguments": " {} "}
    *_, rest = told(*first, last(tool_calls=[unnamed(F, function=spaced), unnamed(F)]))
    assert rest["delta"]["tool_calls"] == [{**unnamed(F), "index": 1}]


def so_far(content: Any, **more: Any) -> Json:
    return last(role="assistant", content=content, **more)


def test_messages_that_each_hold_all_so_far_are_said_once() -> None:
    parts = [{"type": "text", "text": "Look"}]
    first, second, third, end = told(
        so_far("He"),
        so_far("Hello", reasoning_content="hm"),
        so_far("Hello", tool_calls=[F], reasoning_content="hm"),
        so_far("Hello", tool_calls=[unnamed(F), G], reasoning_content="hm, yes"),
    )
    assert first["message"]["content"] == "He"
    assert second["delta"] == {"content": "llo", "reasoning_content": "hm"}
    assert third["delta"] == {"tool_calls": [{"index": 0, **F}]}
    assert end["delta"] == {"reasoning_content": ", yes", "tool_calls": [{"index": 1, **G}]}
    one, two = told(so_far(parts), so_far([*parts, *parts]))
    assert (one["message"]["content"], two["delta"]) == (parts, {"content": parts})


@pytest.mark.parametrize("texts", [["He", "llo", "!"], ["ha", "x", "hax"]])
def test_messages_that_are_pieces_stay_as_they_are(texts: list[str]) -> None:
    for own in ({}, {"role": "assistant"}):
        said = told(*(last(**own, content=text) for text in texts))
        assert [choice["message"]["content"] for choice in said] == texts
    calls = told(last(tool_calls=[F]), last(tool_calls=[unnamed(F, function={"arguments": "}"})]))
    assert all("message" in choice for choice in calls)
