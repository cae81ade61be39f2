"""litellm's SDK beside chat: which function serves an endpoint, which parameters a model takes."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any

from headgate_core.endpoints import CHAT
from headgate_core.types import Json

FUNCTIONS = {"embeddings": "aembedding", "rerank": "arerank", "moderations": "amoderation"}
"""The endpoint below ``/v1`` to the SDK's function."""

_OURS = frozenset({"model", "messages", "input", "stream", "stream_options", "user", "metadata"})
"""Filled in or taken care of by the SDK or by us, whatever the model."""


def unsupported_by(sdk: Any, endpoint: str, model: str, body: Json) -> list[str]:
    """Members of OpenAI's own that the SDK knows this model not to take.

    Members that OpenAI does not have pass: they are the provider's own. Of a provider that the
    SDK has no list for nothing is known, and of embeddings its lists are those of chat models:
    there everything passes, and the SDK's own refusal is the answer.
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
