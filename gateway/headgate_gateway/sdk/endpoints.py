"""litellm's SDK beside chat: which function serves an endpoint, which parameters a model takes."""

from __future__ import annotations

import base64
import functools
import struct
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from headgate_core.endpoints import CHAT
from headgate_core.errors import UpstreamError
from headgate_core.types import Json
from headgate_gateway.sdk.lost_values import NAME, loses_names, lost

FUNCTIONS = {"embeddings": "aembedding", "rerank": "arerank", "moderations": "amoderation"}
"""The endpoint below ``/v1`` to the SDK's function."""

_CHAT = """
    messages functions function_call tools tool_choice parallel_tool_calls response_format
    temperature top_p top_k min_p top_a typical_p n seed stop logprobs top_logprobs logit_bias
    frequency_penalty presence_penalty repetition_penalty max_tokens max_completion_tokens
    min_tokens stream stream_options user modalities audio prediction reasoning_effort reasoning
    include_reasoning thinking verbosity service_tier speed store safety_identifier
    prompt_cache_key web_search_options cache_control context_management
    safety_settings safetySettings documents safe_prompt chat_template_kwargs stop_token_ids
    guided_json guided_regex guided_choice guided_grammar
"""
_BESIDE_CHAT = """
    input encoding_format dimensions input_type task_type truncate
    query top_n return_documents rank_fields max_chunks_per_doc max_tokens_per_doc
"""
PASSED = frozenset((_CHAT + _BESIDE_CHAT).split())
"""Members of a caller's body that may reach the SDK: what describes the answer.

The SDK takes hundreds more in the same call, which decide where it is sent, with whose
credentials and by which code (``base_url``, ``extra_headers``, ``aws_bedrock_runtime_endpoint``,
``fallbacks``), and new ones with every version: so the harmless ones are listed, not the others.
"""
TAKEN_CARE_OF = frozenset({"headgate", "model", "metadata", "stream"})
"""Members that the provider reads itself."""

_OURS = frozenset({"model", "messages", "input", "stream", "stream_options", "user", "metadata"})
"""Filled in or taken care of by the SDK or by us, whatever the model."""


_ASKS_NOTHING: Mapping[str, Sequence[Any]] = {
    "n": (1,),
    "logprobs": (False,),
    "stop": ([],),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("auto",),
    "parallel_tool_calls": (True,),
    "response_format": ({"type": "text"},),
}
"""Values that ask for what every model does anyway; the SDK refuses them where it can."""
_DONE_ANYWAY: Mapping[str, Sequence[Any]] = {
    "store": (False,),
    "modalities": (["text"],),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
}
"""Values that mean something to models that know the parameter; all others do it anyway."""
_JUDGED = ("temperature", "top_p", "reasoning_effort")
"""Parameters of which the SDK takes some values and refuses others, by the model."""


def passed(body: Json, more: Collection[str]) -> Json:
    """What of the body may reach the SDK: ``PASSED`` and the operator's ``more``.

    What asks for nothing stays behind: null, the values of ``_ASKS_NOTHING``, and how tools are
    to be called where there are none.
    """
    kept = {k: v for k, v in body.items() if k in PASSED or k in more}
    if not (kept.get("tools") or kept.get("functions")):
        kept.pop("parallel_tool_calls", None)
        if kept.get("tool_choice") == "none":
            del kept["tool_choice"]
    return {k: v for k, v in kept.items() if v is not None and v not in _ASKS_NOTHING.get(k, ())}


def silent(sdk: Any, model: str, body: Json) -> set[str]:
    """Members that ask a model which does not know them for what it does anyway."""
    names = {k for k, values in _DONE_ANYWAY.items() if k in body and body[k] in values}
    if not names or (found := _placed(sdk, model)) is None:
        return set()
    name, provider = found
    taken = sdk.get_supported_openai_params(model=name, custom_llm_provider=provider)
    return set() if taken is None else names - {*taken}


def left_out(sdk: Any, model: str, body: Json) -> list[str]:
    """Members that do not reach the model and are named, never refused: agents write them into
    every message, and the model answers without them."""
    found = _placed(sdk, model)
    return [NAME] if found is not None and loses_names(sdk, *found[::-1], body) else []


def foreign(body: Json, more: Collection[str]) -> list[str]:
    """Members with a value that neither ``PASSED`` nor ``more`` names, nor the provider reads."""
    rest = body.keys() - PASSED - TAKEN_CARE_OF - set(more)
    return sorted(name for name in rest if body[name] is not None)


def insist_on_service(sdk: Any, model: str, api_base: str) -> None:
    """Raises ``UpstreamError`` where neither the model's name nor its address says whose it is."""
    if model.split("/", 1)[0] in sdk.provider_list:
        return
    try:
        sdk.get_llm_provider(model, api_base=api_base or None)
    except sdk.exceptions.BadRequestError as error:
        failure = UpstreamError("No service is known by the name of the target's model.")
        failure.detail = (
            f"litellm knows no service that has a model {model!r}: the name begins with that of "
            "its service, as in `anthropic/claude-haiku-4-5`."
        )
        raise failure from error


def unsupported_by(sdk: Any, endpoint: str, model: str, body: Json) -> list[str]:
    """Members of the body that this model would not get, as far as the SDK and we know.

    Of a provider that the SDK has no list for nothing is known, and of embeddings its lists are
    those of chat models: there the SDK's own refusal is the answer.
    """
    if endpoint != CHAT or (found := _placed(sdk, model)) is None:
        return []
    name, provider = found
    taken = sdk.get_supported_openai_params(model=name, custom_llm_provider=provider)
    if taken is None:
        return []
    asked = {k: v for k, v in passed(body, body).items() if v not in _DONE_ANYWAY.get(k, ())}
    known = set(sdk.constants.DEFAULT_CHAT_COMPLETION_PARAM_VALUES) & PASSED - _OURS
    refused = [k for k in asked if k in known and k not in taken]
    rest = {k: v for k, v in asked.items() if k not in refused}
    refused += lost(sdk, provider, name, rest)
    return refused + [
        k
        for k in _JUDGED
        if k not in refused
        and isinstance(rest.get(k), str | float | int)
        and _refuses(sdk, provider, name, k, rest[k])
    ]


@functools.lru_cache(maxsize=1024)
def _placed(sdk: Any, model: str) -> tuple[str, str] | None:
    """The model's name without its service, and the service; None = the SDK knows none."""
    service, _, name = model.partition("/")
    if name and service in sdk.provider_list:
        return name, service
    try:
        name, service, *_ = sdk.get_llm_provider(model)
    except sdk.exceptions.BadRequestError:
        return None
    return name, service


@functools.lru_cache(maxsize=4096)
def _refuses(sdk: Any, provider: str, model: str, name: str, value: Any) -> bool:
    """Whether the SDK, asked for a translation of this one parameter, has none."""
    try:
        sdk.utils.get_optional_params(model=model, custom_llm_provider=provider, **{name: value})
    except sdk.exceptions.BadRequestError:
        return True
    except Exception:  # noqa: BLE001 - of what else is wrong the call itself tells
        return False
    return False


def encoded(body: Json, wanted: object) -> Json:
    """An embeddings reply in the encoding that was asked for; the SDK itself gives numbers."""
    if wanted != "base64":
        return body
    for entry in body.get("data") or ():
        if isinstance(entry.get("embedding"), list):
            entry["embedding"] = base64_floats(entry["embedding"])
    return body


def base64_floats(vector: Sequence[float]) -> str:
    """The vector as little-endian 32-bit floats in base64, as OpenAI's clients decode it."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
