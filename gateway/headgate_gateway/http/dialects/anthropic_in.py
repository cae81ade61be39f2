"""Anthropic's Messages request as a chat body."""

from __future__ import annotations

from typing import Any

from headgate_core.errors import InvalidRequest
from headgate_core.types import Json
from headgate_gateway.http.dialects.anthropic_blocks import Turns, parts_of
from headgate_gateway.http.dialects.anthropic_marks import MARK, mark_of
from headgate_gateway.http.dialects.members import (
    count_of,
    object_of,
    objects,
    only,
    plain,
    refuse,
    text_of,
    unserved,
)

_NO_CHAT = {
    "container": "containers are Anthropic's own.",
    "context_management": "send the turns that the model is to see.",
    "diagnostics": "upstreams do not tell why a cache missed.",
    "inference_geo": "where a call is served is decided by its route.",
    "mcp_servers": "call the MCP servers from the application and send their tools.",
    "user_profile_id": "profiles are Anthropic's own.",
    "workspace_id": "workspaces are Anthropic's own.",
    "prefill": "end `messages` with a message of the assistant.",
    "stop": "say `stop_sequences`.",
    "response_format": "say `output_config.format`.",
    "reasoning_effort": "say `output_config.effort`.",
    "max_completion_tokens": "say `max_tokens`.",
    "parallel_tool_calls": "say `tool_choice.disable_parallel_tool_use`.",
    "user": "say `metadata.user_id`.",
    "stream_options": "the usage always comes in `message_delta`.",
    "n": "a message is one answer.",
    "logprobs": "a message has no place for them.",
    "top_logprobs": "a message has no place for them.",
    "audio": "a message has no place for it.",
    "modalities": "a message is text.",
    "functions": "say `tools`.",
    "function_call": "say `tool_choice`.",
}
_DEFAULTS = {"service_tier": "auto", "speed": "standard"}
"""Members that the chat wire cannot say, at the values that change nothing."""

_TRANSLATED = frozenset(
    {"messages", "system", "tools", "tool_choice", "stop_sequences", "metadata", "thinking"}
    | {"output_config", *_DEFAULTS}
)
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_EFFORTS = ("low", "medium", "high", "xhigh")
_TOOL = ("type", "name", "description", "input_schema", "strict", MARK)
LABELS = ("session_id", "session", "user", "tags")
"""Members of ``metadata`` that are the gateway's own, by which its records are grouped."""
HINTS = ("eager_input_streaming",)


def chat_of(body: Json, dropped: list[str]) -> Json:
    """The chat body that asks for the same. Raises ``InvalidRequest`` naming the member."""
    refuse(body, _NO_CHAT)
    for name, value in _DEFAULTS.items():
        if body.get(name) not in (None, value):
            raise unserved(name, f"only {value!r} is.")
    count_of(body, "max_tokens")
    chat = {k: v for k, v in body.items() if k not in _TRANSLATED and v is not None}
    chat["messages"] = [*_system(body, dropped), *_messages(body, dropped)]
    chat |= _tools(body, dropped) | _thinking(body, dropped) | _output(body)
    if body.get("stop_sequences"):
        chat["stop"] = body["stop_sequences"]
    metadata = object_of(body.get("metadata"), "metadata")
    only(metadata, ("user_id", *LABELS), (), "metadata", dropped)
    if metadata.get("user_id") is not None:
        chat["user"] = metadata["user_id"]
    if body.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    return chat


def _system(body: Json, dropped: list[str]) -> list[Json]:
    system = body.get("system")
    if system is None or system in ("", []):
        return []
    content = system if isinstance(system, str) else plain(parts_of(system, "system", dropped))
    return [{"role": "system", "content": content}]


def _messages(body: Json, dropped: list[str]) -> list[Json]:
    found = objects(body.get("messages"), "messages")
    if not found:
        raise InvalidRequest("`messages` must have at least one message.", param="messages")
    turns = Turns(dropped)
    for number, message in enumerate(found):
        turns.add(message, f"messages[{number}]")
    return turns.messages


def _tools(body: Json, dropped: list[str]) -> Json:
    chat: Json = {}
    tools = [
        _tool(tool, f"tools[{number}]", dropped)
        for number, tool in enumerate(objects(body.get("tools"), "tools"))
    ]
    if tools:
        chat["tools"] = tools
    choice = object_of(body.get("tool_choice"), "tool_choice")
    if not choice:
        return chat
    only(choice, ("type", "name", "disable_parallel_tool_use"), (), "tool_choice", dropped)
    kind = str(choice.get("type"))
    if kind == "tool":
        name = text_of(choice, "name", "tool_choice")
        chat["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif kind in _CHOICES:
        chat["tool_choice"] = _CHOICES[kind]
    else:
        raise InvalidRequest(
            "`tool_choice.type` must be one of auto, any, tool, none.", param="tool_choice.type"
        )
    if choice.get("disable_parallel_tool_use") is not None:
        chat["parallel_tool_calls"] = not choice["disable_parallel_tool_use"]
    return chat


def _tool(tool: Json, where: str, dropped: list[str]) -> Json:
    if tool.get("type") not in (None, "custom"):
        raise unserved(f"{where}.type", "only tools with an `input_schema` of their own are.")
    only(tool, _TOOL, HINTS, where, dropped)
    function: Json = {"name": text_of(tool, "name", where)}
    function["parameters"] = object_of(tool.get("input_schema"), f"{where}.input_schema")
    function |= {k: tool[k] for k in ("description", "strict") if tool.get(k) is not None}
    return {"type": "function", "function": function, **mark_of(tool)}


def _thinking(body: Json, dropped: list[str]) -> Json:
    """Anthropic counts the tokens of thinking, chat names an effort."""
    thinking = object_of(body.get("thinking"), "thinking")
    only(thinking, ("type", "budget_tokens", "display"), (), "thinking", dropped)
    if thinking.get("display") is not None:
        dropped.append("thinking.display")
    kind = thinking.get("type")
    if kind in (None, "disabled", "adaptive"):
        return {}
    if kind != "enabled":
        raise unserved("thinking.type", "enabled, disabled and adaptive are.")
    budget = thinking.get("budget_tokens")
    if isinstance(budget, bool) or not isinstance(budget, int):
        raise InvalidRequest(
            "`thinking.budget_tokens` must be a whole number.", param="thinking.budget_tokens"
        )
    return {"reasoning_effort": _effort(budget)}


def _effort(budget: int) -> str:
    if budget <= 2048:
        return "low"
    return "medium" if budget <= 8192 else "high"


def _output(body: Json) -> Json:
    output = object_of(body.get("output_config"), "output_config")
    only(output, ("effort", "format"), (), "output_config", [])
    chat: Json = {}
    effort: Any = output.get("effort")
    if effort is not None:
        if effort not in _EFFORTS:
            raise unserved("output_config.effort", f"{', '.join(_EFFORTS)} are.")
        chat["reasoning_effort"] = effort
    form = object_of(output.get("format"), "output_config.format")
    if form:
        if form.get("type") != "json_schema":
            raise unserved("output_config.format.type", "json_schema is.")
        schema = object_of(form.get("schema"), "output_config.format.schema")
        named = {"name": "output", "schema": schema, "strict": True}
        chat["response_format"] = {"type": "json_schema", "json_schema": named}
    return chat
