"""Whatever an upstream puts wherever: what a check forbids never reaches the client."""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passes_world import ADDRESS, OWN, SECRET, Json, delivered, in_json, meant
from upstream import chunk, completion

from headgate_gateway.replies.chunks import observe


def full(kind: str) -> Json:
    """A body with every known member: ``delta`` for a chunk, ``message`` for a whole one."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {
        "role": "assistant",
        "content": "Hello.",
        "reasoning_content": "Well.",
        "refusal": None,
        "tool_calls": [
            {"index": 0, **call, "extra_content": {"google": {"thought_signature": "c2ln"}}},
            {"index": 1, "id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}},
        ],
        "function_call": {"name": "h", "arguments": "{}"},
        "audio": {"id": "a", "transcript": "Hello.", "data": "UklGRg==", "expires_at": 1},
        "annotations": [
            {"type": "url_citation", "url_citation": {"url": "http://a.b", "title": "A"}}
        ],
        "thinking_blocks": [{"type": "thinking", "thinking": "Well.", "signature": "c2ln"}],
        "images": [{"type": "image_url", "image_url": {"url": "http://a.b/c.png"}}],
    }
    body = completion("") if kind == "message" else chunk({})
    body["choices"][0] = {
        "index": 0,
        kind: message,
        "finish_reason": "stop",
        "stop_reason": None,
        "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}},
    }
    return {**body, "system_fingerprint": "fp_1", "service_tier": "default", "citations": ["x"]}


def positions(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every member and item below ``value``: what holds it, and under what."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from positions(inner)


POSITIONS = {kind: len(list(positions(full(kind)))) for kind in ("delta", "message")}
FORBIDDEN = st.sampled_from([ADDRESS, SECRET])
NAMES = st.sampled_from(
    [
        *("text", "type", "name", "id", "data", "url", "content", "thinking", "signature"),
        *("arguments", "input", "index", "function", "delta", "message", "token_ids", "logprobs"),
    ]
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, str, int, bool, Any]:
    """A kind of body, what is forbidden, a position, whether beside it, and what is put there."""
    forbidden = draw(FORBIDDEN)
    said = st.sampled_from(
        [
            *(forbidden, f"see {forbidden}", f"data: {forbidden}"),
            *(f"data:text/plain;base64,{forbidden}", *in_json(forbidden)),
        ]
    )
    leaf = said | st.none() | st.booleans() | st.integers(0, 9) | st.just("words")
    nested = st.recursive(
        leaf,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(NAMES | said, inner, max_size=3)
        ),
        max_leaves=8,
    )
    kind = draw(st.sampled_from(["delta", "message"]))
    place = draw(st.integers(0, POSITIONS[kind] - 1))
    return kind, forbidden, place, draw(st.booleans()), draw(nested)


def put(kind: str, place: int, beside: bool, value: Any) -> Json:
    """A full body with ``value`` at a position, or beside it under a name of its own."""
    body = full(kind)
    holder, key = list(positions(body))[place]
    if isinstance(holder, dict) and beside:
        holder["zz"] = value
    else:
        holder[key] = value
    return body


@settings(max_examples=400, deadline=None)
@given(cases())
def test_what_is_forbidden_never_leaves_wherever_it_stands(
    case: tuple[str, str, int, bool, Any],
) -> None:
    kind, forbidden, place, beside, value = case
    body = put(kind, place, beside, value)
    stream = kind == "delta"
    try:
        observe_alone(body)
    except ValueError:
        return  # refused as no completion: nothing of it goes on
    sent, dropped = delivered([body, chunk({}, "stop")] if stream else [body], stream=stream)
    # Parts of a list are one text: run together with a word, a key is a longer word, and no key.
    alone = rf"(?<![A-Za-z0-9_]){re.escape(forbidden)}(?![A-Za-z0-9_])"
    assert re.search(alone, meant([sent, dropped])) is None


def observe_alone(body: Json) -> None:
    """What every provider does first. Raises ``ValueError`` for a body that goes no further."""
    from headgate_core.errors import UpstreamMalformed
    from headgate_core.reply import Facts

    try:
        observe(Facts(), copy.deepcopy(body))
    except UpstreamMalformed as error:
        raise ValueError(str(error)) from error


def every_string(kind: str, forbidden: str) -> Iterator[tuple[str, Json]]:
    for place, (holder, key) in enumerate(positions(full(kind))):
        yield f"{type(holder).__name__} {key}", put(kind, place, False, forbidden)
        yield f"beside {key}", put(kind, place, True, {forbidden: [forbidden]})
        yield f"object at {key}", put(kind, place, False, {"type": {forbidden: forbidden}})
        for text in in_json(forbidden):
            yield f"JSON at {key}", put(kind, place, False, text)


@pytest.mark.parametrize("kind", ["delta", "message"])
@pytest.mark.parametrize("forbidden", [ADDRESS, SECRET])
def test_no_single_position_lets_it_out(kind: str, forbidden: str) -> None:
    for name, body in every_string(kind, forbidden):
        try:
            observe_alone(body)
        except ValueError:
            continue
        sent, dropped = delivered([body], stream=kind == "delta")
        assert forbidden not in meant([sent, dropped]), name


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(1, len(ADDRESS) - 1), max_size=3, unique=True),
    st.lists(st.sampled_from(["text", "parts", "finish", "message"]), min_size=4, max_size=4),
)
def test_no_way_of_sending_a_text_in_pieces_lets_it_out(cuts: list[int], ways: list[str]) -> None:
    edges = [0, *sorted(cuts), len(ADDRESS)]
    bodies = []
    for (a, b), way in zip(itertools.pairwise(edges), ways, strict=False):
        piece: Any = ADDRESS[a:b]
        if way == "parts":
            piece = [{"type": "text", "text": piece[:1]}, {"type": "text", "text": piece[1:]}]
        body = chunk({"content": piece}, "stop" if way == "finish" else None)
        if way == "message":
            body["choices"][0]["message"] = body["choices"][0].pop("delta")
        bodies.append(body)
    sent, _ = delivered([*bodies, chunk({}, "stop")], stream=True)
    text = "".join(c["delta"].get("content") or "" for b in sent for c in b["choices"])
    assert text == "[EMAIL]"
    assert [c["finish_reason"] for b in sent for c in b["choices"]][-1] == "stop"


def test_what_nothing_is_wrong_with_passes_and_keeps_its_ids() -> None:
    [whole], dropped = delivered([full("message")], stream=False)
    wanted = full("message")
    del wanted["choices"][0]["message"]["audio"]["data"]
    assert whole == wanted
    assert dropped == ["message.audio.data"]
    sent, dropped = delivered([full("delta")], stream=True)
    delta = [c["delta"] for b in sent for c in b["choices"]]
    calls = [call for d in delta for call in d.get("tool_calls", ())]
    assert [c["id"] for c in calls if c.get("id")] == ["c1", "c2"]
    assert calls[0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert any(d.get("annotations") for d in delta)
    assert set(dropped) == {
        "citations",
        "choice.content_filter_results",
        "delta.audio.data",
        "delta.thinking_blocks",
        "delta.images",
    }


def test_the_name_of_a_member_is_not_told_when_it_is_what_must_not_go_out() -> None:
    _, dropped = delivered([chunk({f"x {SECRET}\r\n": "y", ADDRESS: "z"})], stream=True)
    assert dropped == ["delta.?", "delta.?.?.?"]


def test_ids_that_must_not_go_out_are_replaced_by_ids_of_our_own() -> None:
    body = full("message")
    body["id"] = body["choices"][0]["message"]["tool_calls"][0]["id"] = SECRET
    [whole], dropped = delivered([body], stream=False)
    assert whole["id"] == OWN["id"]
    own, other = [call["id"] for call in whole["choices"][0]["message"]["tool_calls"]]
    assert own.startswith("call_") and SECRET not in own
    assert other == "c2"
    assert dropped[:2] == ["id", "message.tool_calls.id"]


@pytest.mark.parametrize("kind", ["delta", "message"])
@pytest.mark.parametrize("begin", ["", "data:image/png;base64,"])
@pytest.mark.parametrize(
    "member",
    ["url", "image_url", "file_data", "data", "b64_json", "signature", "encrypted_content"],
)
def test_a_line_behind_encoded_bytes_that_must_not_go_out_never_leaves(
    kind: str, begin: str, member: str
) -> None:
    value = begin + f"{'A' * 76}\n" * 5 + SECRET
    body = full(kind)
    holders = [h for h, _ in positions(body["choices"][0][kind]) if isinstance(h, dict)]
    for holder in (body, body["choices"][0], *holders):
        holder[member] = value
    sent, dropped = delivered([body], stream=kind == "delta")
    assert SECRET not in meant([sent, dropped])


WAYS: dict[str, Any] = {
    "function": lambda name: {"tool_calls": [{"index": 0, "id": "c", "function": {"name": name}}]},
    "custom": lambda name: {"tool_calls": [{"index": 0, "id": "c", "custom": {"name": name}}]},
    "function_call": lambda name: {"function_call": {"name": name, "arguments": ""}},
}


@pytest.mark.parametrize("pieces", [[SECRET], [SECRET[:7], SECRET[7:]], list(SECRET), [ADDRESS]])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_leaves_of_a_functions_name_that_must_not_go_out(
    way: str, pieces: list[str]
) -> None:
    sent, _ = delivered([chunk(WAYS[way](piece)) for piece in pieces], stream=True)
    assert sent == []


def test_what_is_said_of_a_name_behind_the_arguments_never_leaves() -> None:
    call: Json = {"index": 0, "id": "c", "function": {"name": SECRET[:7], "arguments": "{"}}
    rest: Json = {"index": 0, "id": "c", "function": {"name": SECRET[7:], "arguments": "}"}}
    sent, _ = delivered([chunk({"tool_calls": [one]}) for one in (call, rest)], stream=True)
    assert "".join(re.findall('"name": "(.*?)"', json.dumps(sent))) == SECRET[:7]
