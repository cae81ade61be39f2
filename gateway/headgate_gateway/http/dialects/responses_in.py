"""A Responses request as a chat body."""

from __future__ import annotations

from typing import Any

from headgate_core.errors import InvalidRequest
from headgate_core.types import Json
from headgate_gateway.http.dialects.members import (
    count_of,
    object_of,
    objects,
    only,
    refuse,
    text_of,
    unserved,
)
from headgate_gateway.http.dialects.responses_items import Items

_NO_STATE = "the gateway keeps no answers; send the earlier items in `input`."
_NO_CHAT = {
    "previous_response_id": _NO_STATE,
    "conversation": _NO_STATE,
    "context_management": _NO_STATE,
    "max_tool_calls": "only functions are called, and those by the application.",
    "moderation": "guards of the route look at the call.",
    "prompt_cache_options": "the chat wire has no such member.",
    "top_logprobs": "this endpoint does not show them.",
    "messages": "say `input`.",
    "max_tokens": "say `max_output_tokens`.",
    "max_completion_tokens": "say `max_output_tokens`.",
    "response_format": "say `text.format`.",
    "reasoning_effort": "say `reasoning.effort`.",
    "verbosity": "say `text.verbosity`.",
    "functions": "say `tools`.",
    "function_call": "say `tool_choice`.",
    "n": "a response is one answer.",
    "logprobs": "this endpoint does not show them.",
    "audio": "a response is text.",
    "modalities": "a response is text.",
}
_OFF: dict[str, tuple[Any, ...]] = {
    "background": (False,),
    "store": (False,),
    "truncation": ("disabled",),
}
"""Members whose only value here is the one that asks for nothing."""
_WHY_OFF = {
    "background": "the answer comes in this call.",
    "store": "the gateway keeps no answers to be fetched.",
    "truncation": "nothing is cut from a request; `disabled` is.",
}
_TRANSLATED = frozenset(
    {"input", "instructions", "tools", "tool_choice", "text", "reasoning", "max_output_tokens"}
    | {"prompt", "include", "stream_options", *_OFF}
)
_TOOL = ("type", "name", "description", "parameters", "strict")
_SUMMARIES = ("summary", "generate_summary")
"""Two names of one wish. ``auto`` leaves it to the model what it tells; a chat model tells its
thoughts or nothing."""


def chat_of(body: Json, dropped: list[str]) -> Json:
    """The chat body that asks for the same. Raises ``InvalidRequest`` naming the member."""
    refuse(body, _NO_CHAT)
    for name, allowed in _OFF.items():
        if body.get(name) not in (None, *allowed):
            raise unserved(name, _WHY_OFF[name])
    _include(body, dropped)
    options = object_of(body.get("stream_options"), "stream_options")
    only(options, ("include_obfuscation",), (), "stream_options", dropped)
    if options.get("include_obfuscation"):
        raise unserved("stream_options.include_obfuscation", "events are sent as they come.")
    chat = {k: v for k, v in body.items() if k not in _TRANSLATED and v is not None}
    chat["messages"] = _messages(body, dropped)
    chat |= _tools(body) | _reasoning(body, dropped) | _text(body)
    if body.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = count_of(body, "max_output_tokens")
    inputs = _variables(body)
    if inputs:
        own = object_of(body.get("headgate"), "headgate")
        chat["headgate"] = {**own, "inputs": {**object_of(own.get("inputs"), "inputs"), **inputs}}
    if body.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    return chat


def prompt_of(body: Json) -> str:
    """The prompt that the request names, ``name`` or ``name@version``; empty = none."""
    prompt = object_of(body.get("prompt"), "prompt")
    if not prompt:
        return ""
    only(prompt, ("id", "version", "variables"), (), "prompt", [])
    if prompt.get("id") is None:
        return ""
    name = text_of(prompt, "id", "prompt")
    return f"{name}@{prompt['version']}" if prompt.get("version") is not None else name


def _variables(body: Json) -> Json:
    """``prompt.variables`` as the prompt's inputs: texts, or ``input_text`` items."""
    prompt = object_of(body.get("prompt"), "prompt")
    inputs: Json = {}
    for name, value in object_of(prompt.get("variables"), "prompt.variables").items():
        where = f"prompt.variables.{name}"
        if isinstance(value, dict):
            if value.get("type") != "input_text":
                raise unserved(where, "a variable is a text.")
            value = text_of(value, "text", where)
        inputs[name] = value
    return inputs


def _include(body: Json, dropped: list[str]) -> None:
    include = body.get("include")
    if include is None:
        return
    if not isinstance(include, list):
        raise InvalidRequest("`include` must be a list.", param="include")
    for entry in include:
        if entry != "reasoning.encrypted_content":
            raise unserved("include", f"{entry!r} is nothing that a chat upstream tells.")
        dropped.append(str(entry))


def _messages(body: Json, dropped: list[str]) -> list[Json]:
    messages: list[Json] = []
    if body.get("instructions"):
        if not isinstance(body["instructions"], str):
            raise InvalidRequest("`instructions` must be a text.", param="instructions")
        messages.append({"role": "system", "content": body["instructions"]})
    asked = body.get("input")
    if isinstance(asked, str) and asked:
        return [*messages, {"role": "user", "content": asked}]
    found = objects(asked or None, "input")
    if not found:
        raise InvalidRequest("`input` must be a text or a list with an item.", param="input")
    items = Items(dropped)
    for number, item in enumerate(found):
        items.add(item, f"input[{number}]")
    return [*messages, *items.close()]


def _tools(body: Json) -> Json:
    chat: Json = {}
    tools = [
        _tool(tool, f"tools[{number}]")
        for number, tool in enumerate(objects(body.get("tools"), "tools"))
    ]
    if tools:
        chat["tools"] = tools
    choice = body.get("tool_choice")
    if isinstance(choice, str):
        chat["tool_choice"] = choice
    elif choice is not None:
        said = object_of(choice, "tool_choice")
        if said.get("type") != "function":
            raise unserved("tool_choice.type", "function is.")
        name = text_of(said, "name", "tool_choice")
        chat["tool_choice"] = {"type": "function", "function": {"name": name}}
    return chat


def _tool(tool: Json, where: str) -> Json:
    if tool.get("type") != "function":
        raise unserved(f"{where}.type", f"{tool.get('type')!r} runs at OpenAI; function is.")
    only(tool, _TOOL, (), where, [])
    text_of(tool, "name", where)
    function = {k: v for k, v in tool.items() if k != "type" and v is not None}
    return {"type": "function", "function": function}


def _reasoning(body: Json, dropped: list[str]) -> Json:
    reasoning = object_of(body.get("reasoning"), "reasoning")
    only(reasoning, ("effort", *_SUMMARIES), (), "reasoning", dropped)
    for name in _SUMMARIES:
        wanted = reasoning.get(name)
        if wanted not in (None, "auto"):
            raise unserved(f"reasoning.{name}", "chat upstreams do not sum up thoughts; `auto` is.")
        if wanted and f"reasoning.{name}" not in dropped:
            dropped.append(f"reasoning.{name}")
    effort = reasoning.get("effort")
    return {} if effort is None else {"reasoning_effort": effort}


def _text(body: Json) -> Json:
    text = object_of(body.get("text"), "text")
    only(text, ("format", "verbosity"), (), "text", [])
    chat: Json = {}
    if text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]
    form = object_of(text.get("format"), "text.format")
    kind = form.get("type", "text")
    if kind == "json_object":
        chat["response_format"] = {"type": "json_object"}
    elif kind == "json_schema":
        schema = {k: v for k, v in form.items() if k != "type" and v is not None}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif kind != "text":
        raise unserved("text.format.type", "text, json_object and json_schema are.")
    return chat
