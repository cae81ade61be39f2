"""Cohere's second chat API, streamed: the SDK's own reader does not read what Cohere sends."""

from __future__ import annotations

import importlib
from typing import Any

import orjson

from headgate_core.types import Json

_REASONS = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length",
            "TOOL_CALL": "tool_calls", "ERROR": "error"}  # fmt: skip


def read_cohere() -> None:
    """Let the SDK read Cohere's streams with ``chunk_of``."""
    theirs: Any = importlib.import_module("litellm.llms.cohere.common_utils")

    def converted(reader: Any, chunk: str) -> Json:
        return chunk_of(chunk)

    theirs.CohereV2ModelResponseIterator.convert_str_chunk_to_generic_chunk = converted


def chunk_of(line: str | bytes) -> Json:
    """A line of the stream as the SDK's chunk, one without content where the line has none.

    Raises ``ValueError`` for a line that is not JSON, ``TypeError`` and the like for a shape that
    is not Cohere's.
    """
    text = line.decode() if isinstance(line, bytes) else line
    if not text.startswith("data:") or text.endswith("[DONE]"):
        return _chunk()
    event: Json = orjson.loads(text[5:])
    delta = event.get("delta") or {}
    match event.get("type"):
        case "content-delta":
            return _chunk(text=delta["message"]["content"].get("text") or "")
        case "tool-call-start" | "tool-call-delta":
            return _chunk(tool_use=_tool(int(event["index"]), delta["message"]["tool_calls"]))
        case "message-end":
            return _end(delta)
    return _chunk()


def _tool(index: int, call: Json) -> Json:
    function = call.get("function") or {}
    told = {"name": function.get("name"), "arguments": function.get("arguments") or ""}
    return {"index": index, "id": call.get("id"), "type": "function", "function": told}


def _end(delta: Json) -> Json:
    reason = _REASONS.get(delta.get("finish_reason") or "", "stop")
    tokens = (delta.get("usage") or {}).get("tokens")
    if not tokens:
        return _chunk(is_finished=True, finish_reason=reason)
    read, written = int(tokens.get("input_tokens") or 0), int(tokens.get("output_tokens") or 0)
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return _chunk(is_finished=True, finish_reason=reason, usage=usage)


def _chunk(**told: object) -> Json:
    nothing: Json = {"text": "", "tool_use": None, "is_finished": False, "finish_reason": ""}
    return nothing | {"usage": None, "index": 0} | told
