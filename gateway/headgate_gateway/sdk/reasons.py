"""Why an answer ends, in each provider's own words, and what that is in OpenAI's."""

from __future__ import annotations

from collections.abc import Iterator

from headgate_core.errors import UpstreamError
from headgate_core.types import Json

_LISTS = (("choices", "finish_reason"), ("candidates", "finishReason"))
_MEMBERS = ("stop_reason", "stopReason", "finish_reason", "done_reason")
_LENGTH = (
    *("length", "max_tokens", "MAX_TOKENS", "model_length", "ERROR_LIMIT", "compaction"),
    *("model_context_window_exceeded", "pause_turn"),
)
_FILTER = (
    *("content_filter", "refusal", "sensitive", "ERROR_TOXIC"),
    *("content_filtered", "guardrail_intervened"),
    *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "OTHER"),
    *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "NO_IMAGE"),
)
_CALLS = {
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "function_call",
}
_MEANT = {
    **dict.fromkeys(_LENGTH, "length"),
    **dict.fromkeys(_FILTER, "content_filter"),
    **_CALLS,
    "TOOL_CALL": "tool_calls",
}
"""Of other words the SDK's own reading stands."""
_FAILED = frozenset(
    {
        *("error", "ERROR", "TIMEOUT", "network_error", "abort"),
        *("malformed_model_output", "malformed_tool_use"),
        *("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE"),
        *("UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"),
    }
)
"""The model or its host gave up: what came is no answer."""


def stated(body: Json) -> Iterator[tuple[int, str]]:
    """The reasons that a whole reply or an event of a stream states: choice, and the word."""
    for parts, member in _LISTS:
        found = body.get(parts)
        for position, one in enumerate(found if isinstance(found, list) else ()):
            if isinstance(one, dict):
                yield from _word(one.get(member), one.get("index"), position)
    for holder in (body, body.get("delta"), body.get("messageStop")):
        if isinstance(holder, dict):
            for member in _MEMBERS:
                yield from _word(holder.get(member), 0, 0)


def _word(word: object, index: object, position: int) -> Iterator[tuple[int, str]]:
    if isinstance(word, str) and word:
        yield index if isinstance(index, int) else position, word


def failed(word: str) -> UpstreamError | None:
    """The error that a provider states as the reason; None = it is none."""
    return UpstreamError(f"The upstream gave up: {word}.") if word in _FAILED else None


def explain(choice: Json, word: str) -> None:
    """Let the choice state why it ends, as ``word`` says; OpenAI's own words need no other."""
    said, meant = choice.get("finish_reason"), _MEANT.get(word)
    # Calls that the SDK itself asked for, to get JSON, are text again: its own reading counts.
    if said is None or word not in _CALLS:
        choice["finish_reason"] = meant or said or "stop"
    if word != choice["finish_reason"]:
        choice["native_finish_reason"] = word
