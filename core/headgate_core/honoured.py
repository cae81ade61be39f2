"""Which parameters of a request a model in this process can honour."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from headgate_core.types import Json

Honoured: TypeAlias = Mapping[str, Callable[[Any], bool]]
"""Parameter to whether this value of it can be honoured."""


def _always(value: Any) -> bool:
    return True


def honours(names: Collection[str]) -> Honoured:
    """A table in which every value of these parameters can be honoured."""
    return dict.fromkeys(names, _always)


ONE_TEXT: Honoured = {
    **honours(("model", "messages", "stream", "stream_options")),
    **honours(("max_tokens", "max_completion_tokens")),
    # Who is calling and how the call is kept or billed: no part of the answer depends on it.
    **honours(("user", "metadata", "headgate", "store", "service_tier", "safety_identifier")),
    **honours(("prompt_cache_key", "prompt_cache_retention")),
    # A model that does not sample gives its one answer under every one of these.
    **honours(("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")),
    **honours(("parallel_tool_calls",)),
    "n": lambda value: value == 1,
    "response_format": lambda value: isinstance(value, dict) and value.get("type") == "text",
    "tools": lambda value: value == [],
    "tool_choice": lambda value: value == "none",
    "logprobs": lambda value: value is False,
    "stop": lambda value: value == [],
    "modalities": lambda value: value == ["text"],
}
"""What a model that says one plain text, always the same one, can honour."""


def unsupported(body: Json, honoured: Honoured) -> list[str]:
    """Members of ``body`` that cannot be honoured, in its order; null is no request."""
    return [
        name
        for name, value in body.items()
        if value is not None and not honoured.get(name, _never)(value)
    ]


def _never(value: Any) -> bool:
    return False
