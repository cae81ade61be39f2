"""What guarded streams make of JSON in pieces, of repeated names and texts, and of their order."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passes_world import ADDRESS, OWN, SECRET, Json, delivered, guards, in_json, meant
from upstream import chunk, completion

from headgate_core.context import Context
from headgate_core.ports import Guards
from headgate_core.reply import Chunk, Done, Events, Facts, Reply
from headgate_gateway.replies.chunks import observe
from headgate_gateway.replies.clearing import Clearing
from headgate_gateway.replies.sieve import Sieve
from headgate_gateway.stages.guard_output import GuardOutput


def call(text: str, **more: Any) -> Json:
    function = {"arguments": text, **more}
    return {"tool_calls": [{"index": 0, "function": function}]}


def deltas(sent: list[Json]) -> list[Json]:
    return [c["delta"] for body in sent for c in body["choices"]]


def arguments(sent: list[Json]) -> str:
    found = [c for delta in deltas(sent) for c in delta.get("tool_calls", ())]
    return "".join(c["function"].get("arguments") or "" for c in found)


def pieces(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted({c % (len(text) + 1) for c in cuts}), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from([ADDRESS, SECRET]), st.lists(st.integers(0, 200), max_size=6))
def test_arguments_and_structured_output_leave_checked_as_they_are_meant(
    data: st.DataObject, forbidden: str, cuts: list[int]
) -> None:
    text = data.draw(st.sampled_from(in_json(forbidden)))
    ways = (call, lambda piece: {"content": piece}, lambda piece: {"reasoning_content": piece})
    way = data.draw(st.sampled_from(ways))
    bodies = [chunk(way(piece)) for piece in pieces(text, cuts)]
    sent, _ = delivered([*bodies, chunk({}, "stop")], stream=True)
    assert forbidden not in meant(sent)
    said = "".join(
        arguments([{"choices": [{"delta": d}]}])
        or d.get("content")
        or d.get("reasoning_content", "")
        for d in deltas(sent)
    )
    assert forbidden not in meant(said)


@pytest.mark.parametrize("stream", [True, False])
def test_masked_arguments_and_structured_output_are_json(stream: bool) -> None:
    text = json.dumps({"body": f"Mail\n{ADDRESS}\n", "n": 1, "inner": json.dumps([f"\t{ADDRESS}"])})
    said: Json = {"content": text, **call(text, name="send")}
    body = completion("")
    body["choices"][0]["message"] = said
    bodies = [chunk({"content": p} | call(p)) for p in text] if stream else [body]
    sent, _ = delivered(bodies, stream=stream)
    got = [c.get("delta") or c["message"] for b in sent for c in b["choices"]]
    calls = [c for d in got for c in d.get("tool_calls", ())]
    for joined in (
        "".join(d.get("content") or "" for d in got),
        "".join(c["function"].get("arguments") or "" for c in calls),
    ):
        parsed = json.loads(joined)
        assert parsed["body"] == "Mail\n[EMAIL]\n"
        assert json.loads(parsed["inner"]) == ["\t[EMAIL]"]


def test_a_call_does_not_overtake_a_text_that_is_held_back() -> None:
    bodies = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Sure."} | call('{"a"', name="f")),
        chunk(call(":1}")),
        chunk({}, "tool_calls"),
    ]
    sent, _ = delivered(bodies, stream=True)
    order = [k for d in deltas(sent) for k in ("content", "tool_calls") if d.get(k)]
    assert order[:2] == ["content", "tool_calls"]
    assert arguments(sent) == '{"a":1}'


def test_a_name_in_every_piece_is_said_and_checked_once() -> None:
    bodies = [chunk(call(f"{n},", name="get_weather")) for n in range(300)]
    asked: list[str] = []

    class Counted:
        def __getattr__(self, name: str) -> Any:
            return getattr(guards(), name)

        async def check(self, at: str, text: str, subject: str, verdicts: list[Any]) -> str | None:
            asked.append(text)
            return text

    sent = cleared(bodies, Counted())
    names = [c["function"].get("name") for d in deltas(sent) for c in d.get("tool_calls", ())]
    assert [name for name in names if name] == ["get_weather"]
    assert asked.count("get_weather") <= 2  # at the output, and at the tool calls
    assert not any("get_weatherget" in text for text in asked)
    assert arguments(sent) == "".join(f"{n}," for n in range(300))


def cleared(bodies: list[Json], checks: Any) -> list[Json]:
    import asyncio

    async def run() -> list[Json]:
        clearing = Clearing(checks, Sieve(checks, [], [], OWN), [], stream=True)
        sent = [out for body in bodies if (out := await clearing.clear(body)) is not None]
        return sent + [rest async for rest in clearing.rest()]

    return asyncio.run(run())


def test_a_name_that_grows_without_end_is_cut_off_and_told() -> None:
    named = [{"index": 0, "id": "c", "function": {"name": f"n{n}_"}} for n in range(200)]
    sent, dropped = delivered([chunk({"tool_calls": [one]}) for one in named], stream=True)
    names = [c["function"].get("name", "") for d in deltas(sent) for c in d.get("tool_calls", ())]
    assert dropped == ["delta.tool_calls.function.name"]
    assert len("".join(names)) <= 256


def test_a_last_chunk_with_the_whole_message_says_nothing_again() -> None:
    facts = Facts()
    said = []
    whole = {"role": "assistant", "content": "Hello"}
    for one in (
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        {"choices": [{"index": 0, "message": whole, "finish_reason": "stop"}]},
        {"choices": [{"index": 1, "delta": {}, "message": whole, "finish_reason": "stop"}]},
    ):
        observe(facts, one)
        said += [(c["index"], c.get("delta") or c.get("message")) for c in one["choices"]]
    assert said == [(0, {"content": "Hel"}), (0, {"content": "lo"}), (0, None), (1, whole)]
    assert facts.output_characters == len("Hello") * 2
    assert facts.finish_reasons == ["stop", "stop"]


def test_a_block_ends_every_choice_that_was_asked_for() -> None:
    async def upstream() -> Events:
        for index, text in ((0, "hello there all "), (1, f"see {SECRET} "), (1, "more")):
            body = chunk({"content": text})
            body["choices"][0]["index"] = index
            yield Chunk(body)
        yield Done()

    ctx = Context(route="r", request={"n": 3})
    ctx.reply = Reply(stream=True, events=upstream())
    sent = guarded(ctx, guards())
    ends = {c["index"]: c["delta"].get("content") for c in sent[-1]["choices"]}
    refusal = "I cannot help with that request."
    assert ends == {0: None, 1: refusal if "see " not in str(sent[:-1]) else None, 2: refusal}
    assert {c["finish_reason"] for c in sent[-1]["choices"]} == {"content_filter"}
    assert SECRET not in str(sent)


def guarded(ctx: Context, checks: Guards) -> list[Json]:
    import asyncio

    async def run() -> list[Json]:
        await GuardOutput(checks).run(ctx)
        assert ctx.reply is not None
        return [event.body async for event in ctx.reply.events if isinstance(event, Chunk)]

    return asyncio.run(run())
