"""The parameters of a chat request as OpenAI publishes them, wherever they are written.

Values that other servers add to an enumeration pass, and so do parameters that are not here.
"""

from __future__ import annotations

from typing import Any

from headgate_core import validate as v

NUMBERS: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "max_tokens": (1, 10_000_000),
    "max_completion_tokens": (1, 10_000_000),
    "n": (1, 128),
}
"""Least and largest value."""

_WHOLE = frozenset({"max_tokens", "max_completion_tokens", "n"})
_BOOLEANS = ("stream", "logprobs", "parallel_tool_calls", "store")
_TEXTS = (
    *("user", "safety_identifier", "service_tier", "reasoning_effort", "verbosity"),
    *("prompt_cache_key", "prompt_cache_retention"),
)
_OBJECTS = ("metadata", "moderation", "prompt_cache_options")

_named = v.members({"name": v.text}, ("name",))
_function = v.members(
    {"name": v.text, "description": v.text, "parameters": v.anything, "strict": v.boolean},
    ("name",),
)
_custom = v.members({"name": v.text, "description": v.text, "format": v.anything}, ("name",))
_schema = v.members(
    {"name": v.text, "description": v.text, "schema": v.anything, "strict": v.boolean}
)
_allowed = v.members({"mode": v.text, "tools": v.items(v.anything)}, ("mode", "tools"))
_tool = v.by_type(
    {
        "function": v.members({"function": _function}, ("function",)),
        "custom": v.members({"custom": _custom}, ("custom",)),
    }
)
_choice = v.by_type(
    {
        "function": v.members({"function": _named}, ("function",)),
        "custom": v.members({"custom": _named}, ("custom",)),
        "allowed_tools": v.members({"allowed_tools": _allowed}, ("allowed_tools",)),
    }
)
_form = v.members({"type": v.text, "json_schema": _schema, "schema": v.anything}, ("type",))


def _format(value: Any) -> None:
    """llama.cpp takes the schema itself in place of ``json_schema``."""
    _form(value)
    if value["type"] == "json_schema" and not (value.get("json_schema") or value.get("schema")):
        raise v.Wrong("is missing", ".json_schema")


_predicted = v.items(v.members({"type": v.text, "text": v.text}, ("text",)))

PARAMETERS: dict[str, v.Check] = {
    **{
        name: v.between(low, high, only_whole=name in _WHOLE)
        for name, (low, high) in NUMBERS.items()
    },
    **dict.fromkeys(_BOOLEANS, v.boolean),
    **dict.fromkeys(_TEXTS, v.text),
    **dict.fromkeys(_OBJECTS, v.anything),
    "seed": v.whole,
    "top_logprobs": v.whole,
    "stop": v.text_or(v.items(v.text), "must be a text or a list of texts"),
    "logit_bias": v.values(v.number),
    "modalities": v.items(v.text),
    "audio": v.members(
        {
            "format": v.text,
            "voice": v.text_or(v.members({"id": v.text}, ("id",)), "must be a text or an object"),
        }
    ),
    "prediction": v.members(
        {
            "type": v.text,
            "content": v.text_or(_predicted, "must be a text or a list of parts"),
        },
        ("content",),
    ),
    "response_format": _format,
    "stream_options": v.members({"include_usage": v.boolean, "include_obfuscation": v.boolean}),
    "tools": v.items(_tool),
    "tool_choice": v.text_or(_choice, "must be a text or an object"),
    "functions": v.items(_function),
    "function_call": v.text_or(_named, "must be a text or an object"),
    "web_search_options": v.members({"search_context_size": v.text, "user_location": v.anything}),
}
"""Parameter to the check of its value."""


def fault_of(name: str, value: Any) -> str:
    """Why ``value`` cannot be the parameter ``name``: ``must be ...``; empty where it can.

    A null stands for no value, except where a number is wanted.
    """
    check = PARAMETERS.get(name)
    if check is None or (value is None and name not in NUMBERS):
        return ""
    try:
        check(value)
    except v.Wrong as wrong:
        return f"is wrong: `{name}{wrong.path}` {wrong.why}" if wrong.path else wrong.why
    return ""
