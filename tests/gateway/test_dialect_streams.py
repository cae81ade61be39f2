"""However a chat reply is cut into chunks, both foreign streams say what the whole reply says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate_core.context import Context
from headgate_core.errors import Overloaded, UpstreamTruncated
from headgate_gateway.http.dialects.anthropic import Anthropic
from headgate_gateway.http.dialects.dialect import Dialect
from headgate_gateway.http.dialects.responses import Responses

Json = dict[str, Any]
TEXT = st.text(min_size=1, max_size=20)
VALUES = st.dictionaries(st.text(max_size=5), st.text(max_size=10), max_size=3)


@st.composite
def replies(draw: st.DrawFn) -> tuple[Json, list[Json]]:
    """A message, and deltas that add up to it: texts in turn, arguments of calls interleaved."""
    message: Json = {}
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    for member in ("reasoning_content", "content"):
        if draw(st.booleans()):
            message[member] = draw(TEXT)
            deltas += [{member: x} for x in cut(draw, message[member])]
    arguments = [orjson.dumps(v).decode() for v in draw(st.lists(VALUES, max_size=3))]
    message["tool_calls"] = [called(n, text) for n, text in enumerate(arguments)]
    numbering = draw(st.sampled_from(["interleaved", "in turn", "always 0", "none"]))
    deltas += call_deltas(draw, arguments, numbering)
    return message, deltas


def called(number: int, arguments: str) -> Json:
    function = {"name": f"f{number}", "arguments": arguments}
    return {"id": f"call_{number}", "type": "function", "function": function}


def cut(draw: st.DrawFn, text: str) -> list[str]:
    places = sorted(draw(st.sets(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in itertools.pairwise([0, *places, len(text)])]


def call_deltas(draw: st.DrawFn, arguments: Sequence[str], numbering: str) -> Iterator[Json]:
    rows = [
        [called(n, ""), *({"function": {"arguments": x}} for x in cut(draw, text))]
        for n, text in enumerate(arguments)
    ]
    turns: Iterator[Any] = itertools.chain(*(((n, x) for x in row) for n, row in enumerate(rows)))
    if numbering == "interleaved":
        numbered = [[(n, x) for x in row] for n, row in enumerate(rows)]
        turns = (x for x in itertools.chain(*itertools.zip_longest(*numbered)) if x is not None)
    for n, delta in turns:
        index = {"none": {}, "always 0": {"index": 0}}.get(numbering, {"index": n})
        yield {"tool_calls": [{**index, **delta}]}


def whole_body(message: Json) -> Json:
    message = {"role": "assistant", **message, "tool_calls": message["tool_calls"] or None}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"model": "m", "choices": [choice], "usage": {"prompt_tokens": 3}}


def told(dialect: Dialect, ctx: Context, body: Json) -> Json:
    """What the caller gets of a whole reply."""
    return dialect.settled(ctx, dialect.whole(ctx, body))


def events(dialect: Dialect, ctx: Context, deltas: Sequence[Json], guarded: bool) -> list[Json]:
    """The data of all events of the stream, in order."""
    data = list(dialect.opening(ctx, guarded))
    for delta in deltas:
        data += dialect.chunk(ctx, {"model": "m", "choices": [{"index": 0, "delta": delta}]})
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    data += dialect.chunk(ctx, {"model": "m", "choices": [end]})
    data += dialect.chunk(ctx, {"model": "m", "choices": [], "usage": {"prompt_tokens": 3}})
    data += dialect.closing(ctx)
    lines = [line for x in data for line in x.split(b"\n") if line.startswith(b"data: ")]
    return [orjson.loads(line[6:]) for line in lines]


def assembled(found: Sequence[Json]) -> Json:
    """Anthropic's events put together; blocks must come one after the other."""
    message: Json = {}
    place = -1
    for event in found:
        kind = event["type"]
        if kind == "message_start":
            message = event["message"]
        elif kind == "content_block_start":
            place += 1
            message["content"].append({**event["content_block"], "json": ""})
        elif kind == "content_block_delta":
            add(message["content"][place], event["delta"])
        elif kind == "message_delta":
            message |= event["delta"] | {"usage": event["usage"], "headgate": event["headgate"]}
        assert event.get("index", place) == place
    for block in message["content"]:
        text = block.pop("json")
        if block["type"] == "tool_use":
            block["input"] = orjson.loads(text or "{}")
    return message


def add(block: Json, delta: Json) -> None:
    names = {"text_delta": "text", "thinking_delta": "thinking"}
    if delta["type"] == "input_json_delta":
        block["json"] += delta["partial_json"]
    else:
        block[names[delta["type"]]] += delta[names[delta["type"]]]


@given(reply=replies(), guarded=st.booleans())
@settings(max_examples=150, deadline=None)
def test_anthropics_stream_adds_up_to_the_whole_message(
    reply: tuple[Json, list[Json]], guarded: bool
) -> None:
    message, deltas = reply
    ctx = Context(route="r", request={})
    whole = told(Anthropic({}), ctx, whole_body(message))
    assert assembled(events(Anthropic({}), ctx, deltas, guarded)) == whole


@given(reply=replies(), guarded=st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_stream_of_a_response_ends_in_the_whole_response(
    reply: tuple[Json, list[Json]], guarded: bool
) -> None:
    message, deltas = reply
    ctx = Context(route="r", request={})
    whole = told(Responses({}), ctx, whole_body(message))
    found = events(Responses({}), ctx, deltas, guarded)
    assert found[-1]["response"] == whole
    places = [e["output_index"] for e in found if "output_index" in e]
    if not guarded:  # there the end of the thoughts may come while the text is under way
        assert places == sorted(places)
    texts: dict[tuple[str, str], str] = {}
    for event in found:
        if event["type"].endswith(".delta"):
            key = (event["item_id"], event["type"].removesuffix(".delta"))
            texts[key] = texts.get(key, "") + event["delta"]
        elif event["type"].endswith(("_text.done", "arguments.done")):
            said = event.get("text", event.get("arguments"))
            assert said == texts.get((event["item_id"], event["type"].removesuffix(".done")), "")


def test_citations_become_annotations_of_the_text() -> None:
    cited = {"start_index": 6, "end_index": 9, "title": "Keys", "url": "docs/clients.md#keys"}
    ctx = Context(route="r", request={})
    responses = Responses({})
    events_so_far = [*responses.opening(ctx, False)]
    for delta in (
        {"content": "A key [1]"},
        {"annotations": [{"type": "url_citation", "url_citation": cited}]},
    ):
        body = {"model": "m", "choices": [{"index": 0, "delta": delta}]}
        events_so_far += responses.chunk(ctx, body)
    assert b"annotation.added" not in b"".join(events_so_far)
    found = [orjson.loads(x.split(b"data: ")[1]) for x in responses.closing(ctx)]
    assert [e["annotation"] for e in found if "annotation" in e] == [
        {"type": "url_citation", **cited}
    ]
    part = found[-1]["response"]["output"][0]["content"][0]
    assert part["annotations"] == [{"type": "url_citation", **cited}]


def test_the_stop_sequence_that_matched_is_named_where_the_upstream_names_it() -> None:
    body = whole_body({"content": "A", "tool_calls": []})
    body["choices"][0]["stop_reason"] = "END"
    ctx = Context(route="r", request={})
    message = Anthropic({"stop_sequences": ["END"]}).whole(ctx, body)
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    other = Anthropic({"stop_sequences": ["STOP"]}).whole(ctx, body)
    assert (other["stop_reason"], other["stop_sequence"]) == ("end_turn", None)


def test_cached_tokens_are_counted_beside_the_input_in_anthropics_usage() -> None:
    body = whole_body({"content": "A", "tool_calls": []})
    body["usage"] = {
        "prompt_tokens": 100,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 80},
    }
    usage = told(Anthropic({}), Context(route="r", request={}), body)["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (20, 80)


def test_arguments_that_are_no_object_are_not_lost() -> None:
    body = whole_body({"tool_calls": [called(0, '{"place": "Os')]})
    message = Anthropic({}).whole(Context(route="r", request={}), body)
    assert message["content"][0]["input"] == {"INVALID_JSON": '{"place": "Os'}


def test_a_full_pool_is_anthropics_own_529() -> None:
    status, body, _ = Anthropic.refusal(Overloaded("The queue is full.", retry_after_s=1), "c1")
    assert (status, body["error"]["type"], body["request_id"]) == (529, "overloaded_error", "c1")


def test_a_stream_that_fails_before_its_first_event_is_still_well_formed() -> None:
    ctx = Context(route="r", request={})
    data = list(Responses({}).failure(ctx, UpstreamTruncated("It was cut off.")))
    found = [orjson.loads(x.split(b"data: ")[1]) for x in data]
    assert [e["type"] for e in found] == [
        "response.created",
        "response.in_progress",
        "error",
        "response.failed",
    ]
