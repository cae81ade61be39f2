"""The dialects of litellm's SDK, and every option of a caller with values that may get lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from hosted_world import AWS

from headgate_gateway.sdk.lost_values import STRICT

Json = dict[str, Any]


class Case(NamedTuple):
    """One option: the name that it is refused by, the body, and the same body without it."""

    name: str
    body: Json
    without: Json


MODELS = {
    "openai": "openai/gpt-4.1-mini",
    "openai-reasons": "openai/gpt-5-mini",
    "mistral": "mistral/mistral-small-latest",
    "groq": "groq/llama-3.3-70b-versatile",
    "anthropic": "anthropic/claude-haiku-4-5",
    "anthropic-newer": "anthropic/claude-opus-5",
    "anthropic-new": "anthropic/claude-opus-5-5",
    "azure-claude": "azure_ai/claude-sonnet-4-5",
    "databricks-claude": "databricks/databricks-claude-3-7-sonnet",
    "databricks-llama": "databricks/databricks-meta-llama-3-1-70b-instruct",
    "gemini": "gemini/gemini-2.5-flash",
    "gemini-3": "gemini/gemini-3-pro-preview",
    "bedrock": "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0",
    "bedrock-new": "bedrock/us.anthropic.claude-opus-5-5",
    "bedrock-invoke": "bedrock/invoke/anthropic.claude-3-5-sonnet-20240620-v1:0",
    "bedrock-nova": "bedrock/us.amazon.nova-lite-v1:0",
    "bedrock-invoke-nova": "bedrock/invoke/us.amazon.nova-lite-v1:0",
    "bedrock-llama": "bedrock/us.meta.llama3-3-70b-instruct-v1:0",
    "bedrock-qwen": "bedrock/qwen.qwen3-32b-v1:0",
    "bedrock-cohere": "bedrock/cohere.command-r-plus-v1:0",
    "cohere": "cohere_chat/command-r-plus",
    "xai": "xai/grok-3",
    "vllm": "hosted_vllm/qwen",
    "fireworks": "fireworks_ai/accounts/fireworks/models/llama-v3p1-70b-instruct",
    "ollama": "ollama_chat/llama3",
    "deepinfra": "deepinfra/meta-llama/Llama-3",
    "meta": "meta_llama/Llama-4",
    "watsonx": "watsonx/meta-llama/llama-3-3-70b-instruct",
}
"""A pool's name to its model: at least one of every family that the table of losses names."""
_PLACES = {"gemini": "/gem", "cohere_chat": "/v2/chat"}
_AT_THE_ROOT = ("anthropic", "azure_ai", "azure", "ollama_chat", "watsonx")


def options(model: str, url: str) -> str:
    """The provider's options in YAML, for an upstream at ``url``."""
    service = model.split("/", 1)[0]
    base = url.removesuffix("/v1")
    if service == "bedrock":
        return f'{{arguments: {AWS}aws_bedrock_runtime_endpoint: "{base}"}}}}'
    place = base if service in _AT_THE_ROOT else base + _PLACES.get(service, "/v1")
    more = {"azure": 'api_version: "2024-10-21"', "watsonx": "project_id: p, token: env:TEST_KEY"}
    arguments = f", arguments: {{{more[service]}}}" if service in more else ""
    return f'{{api_key: "env:TEST_KEY", api_base: "{place}"{arguments}}}'


_FUNCTION: Json = {"name": "f", "parameters": {"type": "object", "properties": {}}}
_TOOLS: Json = {"tools": [{"type": "function", "function": _FUNCTION}]}
_STRICT: Json = {"tools": [{"type": "function", "function": {**_FUNCTION, "strict": True}}]}
_CHOSEN = {"type": "function", "function": {"name": "f"}}
_SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
_SCHEMED = {"type": "json_schema", "json_schema": {"name": "a", "schema": _SCHEMA}}
_UNSAFE = [{"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_NONE"}]
_VALUES: dict[str, tuple[Any, ...]] = {
    "tools": (_TOOLS["tools"],),
    "functions": ([_FUNCTION],),
    "response_format": ({"type": "json_object"}, _SCHEMED, {"type": "text"}),
    "reasoning_effort": ("none", "minimal", "low", "high"),
    "thinking": ({"type": "disabled"}, {"type": "enabled", "budget_tokens": 1500}),
    "temperature": (0, 0.3),
    "top_p": (0.4,),
    "top_k": (3,),
    "min_p": (0.1,),
    "top_a": (0.1,),
    "typical_p": (0.5,),
    "n": (1, 2),
    "seed": (7,),
    "stop": (["zz"], "zz", ["\n"]),
    "logprobs": (True, False),
    "logit_bias": ({"1": 1},),
    "frequency_penalty": (0.5, 0),
    "presence_penalty": (0.5, 0),
    "repetition_penalty": (1.1,),
    "max_tokens": (77,),
    "max_completion_tokens": (77,),
    "min_tokens": (3,),
    "modalities": (["text", "audio"], ["text"]),
    "audio": ({"voice": "alloy", "format": "wav"},),
    "prediction": ({"type": "content", "content": "x"},),
    "reasoning": ({"effort": "low"},),
    "include_reasoning": (True,),
    "verbosity": ("low",),
    "service_tier": ("flex",),
    "speed": ("fast",),
    "store": (True, False),
    "safety_identifier": ("s",),
    "prompt_cache_key": ("k",),
    "web_search_options": ({},),
    "cache_control": ({"type": "ephemeral"},),
    "context_management": ({"edits": [{"type": "clear_tool_uses_20250919"}]},),
    "safety_settings": (_UNSAFE,),
    "safetySettings": (_UNSAFE,),
    "documents": ([{"data": {"text": "t"}}],),
    "safe_prompt": (True,),
    "chat_template_kwargs": ({"a": 1},),
    "stop_token_ids": ([1],),
    "guided_json": (_SCHEMA,),
    "guided_regex": ("a",),
    "guided_choice": (["a"],),
    "guided_grammar": ("a",),
    "parallel_tool_calls": (False,),
    "tool_choice": ("none",),
}
_BESIDE_TOOLS: dict[str, tuple[Any, ...]] = {
    "tool_choice": ("required", "none", _CHOSEN, "auto"),
    "parallel_tool_calls": (False, True),
    "response_format": ({"type": "json_object"}, _SCHEMED),
}


def cases() -> Iterator[Case]:
    """Every option with each of its values."""
    for name, values in _VALUES.items():
        for value in values:
            yield Case(name, {name: value}, {})
    for name, values in _BESIDE_TOOLS.items():
        for value in values:
            yield Case(name, {**_TOOLS, name: value}, _TOOLS)
    yield Case("top_logprobs", {"logprobs": True, "top_logprobs": 2}, {"logprobs": True})
    functions: Json = {"functions": [_FUNCTION]}
    yield Case("function_call", {**functions, "function_call": {"name": "f"}}, functions)
    yield Case(STRICT, _STRICT, _TOOLS)


_USUAL = (
    "n 1",
    "logprobs false",
    "store false",
    'tool_choice "auto"',
    "parallel_tool_calls true",
    'response_format {"type": "text"}',
    'modalities ["text"]',
    "frequency_penalty 0",
    "presence_penalty 0",
)
_USUAL_WITHOUT_TOOLS = ("parallel_tool_calls false", 'tool_choice "none"')


def usual(case: Case) -> bool:
    """Whether it asks for nothing but what every model does anyway."""
    said = f"{case.name} {json.dumps(case.body.get(case.name))}"
    return said in _USUAL or (said in _USUAL_WITHOUT_TOOLS and "tools" not in case.body)


def said_by_silence(pool: str, case: Case) -> bool:
    """Whether nothing need be sent for it: an older Claude thinks only where it is told to."""
    unthinking = case.name == "reasoning_effort" and case.body[case.name] == "none"
    return usual(case) or (unthinking and "claude" in MODELS[pool] and "new" not in pool)
