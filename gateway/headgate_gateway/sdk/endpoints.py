"""litellm's SDK beside chat: which function serves an endpoint, which parameters a model takes."""

from __future__ import annotations

import base64
import struct
from collections.abc import Collection, Sequence
from typing import Any

from headgate_core.endpoints import CHAT
from headgate_core.types import Json

FUNCTIONS = {"embeddings": "aembedding", "rerank": "arerank", "moderations": "amoderation"}
"""The endpoint below ``/v1`` to the SDK's function."""

_CHAT = """
    messages functions function_call tools tool_choice parallel_tool_calls response_format
    temperature top_p top_k min_p top_a typical_p n seed stop logprobs top_logprobs logit_bias
    frequency_penalty presence_penalty repetition_penalty max_tokens max_completion_tokens
    min_tokens stream stream_options user modalities audio prediction reasoning_effort reasoning
    include_reasoning thinking verbosity service_tier speed store safety_identifier
    prompt_cache_key prompt_cache_retention web_search_options cache_control context_management
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


def passed(body: Json, more: Collection[str]) -> Json:
    """What of the body may reach the SDK: ``PASSED`` and the operator's ``more``."""
    return {k: v for k, v in body.items() if k in PASSED or k in more}


def foreign(body: Json, more: Collection[str]) -> list[str]:
    """Members with a value that ``passed`` leaves out and the provider does not read itself."""
    rest = body.keys() - passed(body, more).keys() - TAKEN_CARE_OF
    return sorted(name for name in rest if body[name] is not None)


def unsupported_by(sdk: Any, endpoint: str, model: str, body: Json) -> list[str]:
    """Members of OpenAI's own that the SDK knows this model not to take.

    Of a provider that the SDK has no list for nothing is known, and of embeddings its lists are
    those of chat models: there the SDK's own refusal is the answer.
    """
    taken = sdk.get_supported_openai_params(model=model) if endpoint == CHAT else None
    if taken is None:
        return []
    known = set(sdk.constants.OPENAI_CHAT_COMPLETION_PARAMS) - _OURS
    return [
        name
        for name, value in body.items()
        if name in known and name not in taken and value is not None and not _nothing(name, value)
    ]


def _nothing(name: str, value: Any) -> bool:
    """Values that ask for what every model does anyway."""
    return (name == "n" and value == 1) or value in (False, [])


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
