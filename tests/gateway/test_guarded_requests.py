"""What a guarded route lets through of a request: every string of it is looked at."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from guards_world import compiled

from headgate_core.context import Context
from headgate_core.errors import Ended, InvalidRequest
from headgate_gateway.stages.guard_input import GuardInput

ADDRESS = "jane.doe@example.com"
SECRET = "AKIA" + "Q3EGRXKJ2ZMV7WTB"
CARD = "4111 1111 1111 1111"
Json = dict[str, Any]
CHECKS = """
- {name: personal, use: pii, at: [input, tool_results], action: mask}
- {name: keys, use: secrets, at: [input, tool_results], action: block}
"""
HI = [{"role": "user", "content": "hi"}]


@pytest.fixture
def stage(tmp_path: Path) -> GuardInput:
    return GuardInput(compiled(tmp_path, CHECKS))


def passed(stage: GuardInput, inputs: Json | None = None, **members: Any) -> Context:
    """The call after the checks of its input."""
    request = {"model": "m", "messages": HI, **members}
    before = json.dumps(request)
    ctx = Context(route="r", request=request, inputs=inputs or {})
    asyncio.run(stage.run(ctx))
    assert json.dumps(request) == before, "the caller's own body was changed"
    return ctx


@pytest.mark.parametrize(
    "members",
    [
        {"documents": [{"title": "t", "text": ADDRESS}]},
        {"user": ADDRESS},
        {"chat_template_kwargs": {"x": {"y": [ADDRESS]}}},
        {"web_search_options": {"user_location": {"city": ADDRESS}}},
        {"metadata": {"name": ADDRESS, "type": ADDRESS, "id": ADDRESS}},
        {"prediction": {"type": "content", "content": [{"type": "text", "text": ADDRESS}]}},
        {"tools": [{"type": "function", "function": {"name": "f", "description": ADDRESS}}]},
        {"messages": [{"role": "user", "name": ADDRESS, "content": "hi"}]},
        {"messages": [{"role": "tool", "tool_call_id": "c", "content": f"see {ADDRESS}"}]},
        {"messages": [{"role": "user", "content": [{"type": "x", "data": ADDRESS}]}]},
        {"unheard_of": [{"deep": {"er": ADDRESS}}]},
    ],
    ids=lambda m: next(iter(m)),
)
def test_text_anywhere_in_the_request_is_masked_or_blocked(
    stage: GuardInput, members: Json
) -> None:
    ctx = passed(stage, **members)
    sent = json.dumps(ctx.request)
    assert ADDRESS not in sent
    assert "[EMAIL]" in sent
    assert ctx.verdicts
    with pytest.raises(Ended):
        passed(stage, **json.loads(json.dumps(members).replace(ADDRESS, SECRET)))


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"stop": [ADDRESS]}, "stop"),
        ({"guided_regex": ADDRESS}, "guided_regex"),
        ({"guided_choice": ["yes", ADDRESS]}, "guided_choice"),
        ({"tools": [{"type": "function", "function": {"name": ADDRESS}}]}, "tools"),
        ({"tool_choice": {"type": "function", "function": {"name": ADDRESS}}}, "tool_choice"),
        (
            {"tools": [{"function": {"name": "f", "parameters": {"properties": {ADDRESS: {}}}}}]},
            "tools",
        ),
        ({"metadata": {ADDRESS: "x"}}, "metadata"),
        ({"messages": [{"role": ADDRESS, "content": "hi"}]}, "messages"),
        ({ADDRESS: 1}, None),
    ],
)
def test_what_a_mask_would_make_nonsense_of_is_refused_by_name(
    stage: GuardInput, members: Json, param: str | None
) -> None:
    with pytest.raises(InvalidRequest, match="cannot be masked there") as error:
        passed(stage, **members)
    assert error.value.param == param
    assert ADDRESS not in error.value.message
    with pytest.raises(Ended):
        passed(stage, **json.loads(json.dumps(members).replace(ADDRESS, SECRET)))


def test_a_text_cut_over_neighbouring_parts_is_found(stage: GuardInput) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    parts = [{"type": "text", "text": t} for t in ("mail jane.doe@", "exam", "ple.com.")]
    messages = [{"role": "user", "content": [*parts, image, {"type": "text", "text": "end"}]}]
    [message] = passed(stage, messages=messages).request["messages"]
    assert message["content"] == [
        {"type": "text", "text": "mail [EMAIL]."},
        image,
        {"type": "text", "text": "end"},
    ]
    halves = [{"type": "text", "text": t} for t in (SECRET[:8], SECRET[8:])]
    with pytest.raises(Ended):
        passed(stage, messages=[{"role": "user", "content": halves}])


def test_parts_in_which_nothing_is_found_stay_as_they_are(stage: GuardInput) -> None:
    content = [{"type": "text", "text": t} for t in ("one ", f"two {ADDRESS}", " three")]
    ctx = passed(stage, messages=[{"role": "user", "content": content}])
    texts = [part["text"] for part in ctx.request["messages"][0]["content"]]
    assert texts == ["one ", "two [EMAIL]", " three"]
    assert [v.kinds for v in ctx.verdicts] == [("email",)]


def test_arguments_and_results_of_earlier_turns_are_read_as_they_are_meant(
    stage: GuardInput,
) -> None:
    said = {"mail": f"Hello\n{ADDRESS}", "card": 4111111111111111, "n": 1}
    function = {"name": "send", "arguments": json.dumps(said)}
    turns = [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": function}]},
        {"role": "tool", "tool_call_id": "c", "content": json.dumps({"nr": f"x\n{CARD}"})},
    ]
    asked, told = passed(stage, messages=turns).request["messages"]
    arguments = json.loads(asked["tool_calls"][0]["function"]["arguments"])
    assert arguments == {"mail": "Hello\n[EMAIL]", "card": "[CREDIT_CARD]", "n": 1}
    assert json.loads(told["content"]) == {"nr": "x\n[CREDIT_CARD]"}
    key = json.dumps({"key": f"line\n{SECRET}"})
    with pytest.raises(Ended):
        passed(stage, messages=[{"role": "tool", "tool_call_id": "c", "content": key}])


def test_ids_that_must_not_go_on_stay_the_ids_of_their_calls(stage: GuardInput) -> None:
    calls = [
        {"id": i, "function": {"name": "f", "arguments": "{}"}} for i in (ADDRESS, f"b{ADDRESS}")
    ]
    turns: list[Json] = [{"role": "assistant", "content": None, "tool_calls": calls}]
    turns += [
        {"role": "tool", "tool_call_id": i, "content": "ok"} for i in (f"b{ADDRESS}", ADDRESS)
    ]
    asked, second, first = passed(stage, messages=turns).request["messages"]
    ids = [call["id"] for call in asked["tool_calls"]]
    assert len(set(ids)) == 2
    assert [first["tool_call_id"], second["tool_call_id"]] == ids
    assert ADDRESS not in str(ids)


def test_what_says_nothing_of_a_caller_goes_on_untouched(stage: GuardInput) -> None:
    data = "A" * 300 + "+49301234567/" + "B" * 20
    members = {
        "messages": [
            {"role": "system", "content": "You help."},
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": data}}]},
        ],
        "temperature": 0.5,
        "stop": ["END", "\n"],
        "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
        "logit_bias": {"50256": -100},
    }
    ctx = passed(stage, {"question": "why?"}, **members)
    assert ctx.request == {"model": "m", **members}
    assert ctx.inputs == {"question": "why?"}
    assert ctx.verdicts == []
    assert ctx.may_capture


def test_inputs_of_a_prompt_are_masked(stage: GuardInput) -> None:
    ctx = passed(stage, {"stop": ADDRESS, "list": [f"x {ADDRESS}"]})
    assert ctx.inputs == {"stop": "[EMAIL]", "list": ["x [EMAIL]"]}


def schemas(schema: Json) -> list[Json]:
    """A request's members that hold a JSON schema."""
    function = {"name": "f", "parameters": schema}
    return [
        {"guided_json": schema},
        {"structured_outputs": {"json": schema}},
        {"tools": [{"type": "function", "function": function}]},
        {"functions": [function]},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": schema},
            }
        },
    ]


@pytest.mark.parametrize(
    "said",
    [
        {"description": f"e.g. {ADDRESS}"},
        {"title": ADDRESS, "$comment": ADDRESS},
        {"examples": [ADDRESS]},
        {"default": {"to": ADDRESS}},
        {"markdownDescription": ADDRESS, "x-doc": [ADDRESS]},
        {"errorMessage": {"required": f"write to {ADDRESS}"}},
    ],
    ids=lambda said: next(iter(said)),
)
def test_what_a_schema_says_is_masked_wherever_it_stands(stage: GuardInput, said: Json) -> None:
    schema = {"type": "object", "properties": {"description": {"type": "string", **said}}}
    for members in schemas(schema):
        sent = json.dumps(passed(stage, **members).request)
        assert ADDRESS not in sent
        assert "[EMAIL]" in sent


@pytest.mark.parametrize(
    "rule",
    [
        {"enum": [ADDRESS, "b@example.com"]},
        {"const": {"json": {"title": ADDRESS}}},
        {"pattern": ADDRESS},
        {"anyOf": [{"items": {"format": ADDRESS}}]},
    ],
)
def test_what_a_schema_allows_is_refused_by_name(stage: GuardInput, rule: Json) -> None:
    schema = {"type": "object", "$defs": {"title": {"type": "string", **rule}}}
    for members in schemas(schema):
        with pytest.raises(InvalidRequest, match="cannot be masked there") as error:
            passed(stage, **members)
        assert error.value.param == next(iter(members))
    assert passed(stage, documents=[rule]).request["documents"] != [rule]
