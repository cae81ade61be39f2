"""What a whole reply that is thrown away had said of its tokens: money was spent on it."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Any

import orjson

from headgate_core.reply import Facts
from headgate_core.types import Json, Usage
from headgate_gateway.replies.chunks import counts, usage_of

_TEXT = re.compile(
    rb'"(?:content|text|refusal|reasoning|reasoning_content|arguments|thinking)"\s*:\s*"'
    rb'([^"\\]*(?:\\.[^"\\]*)*)',
    re.DOTALL,
)
"""A text and what comes before it; the text may be cut off."""
_USAGE = re.compile(rb'"usage"\s*:\s*(?={)')
_LONGEST_USAGE = 4096
_MOST_USAGES = 16
"""So many are looked at, from the last one back."""
_NAMES = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
"""Each number by OpenAI's name and by that of other wires."""
_BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")
"""What Anthropic counts beside ``input_tokens``, and OpenAI within its own number."""
_JSON = (b"{", b"[")


def salvage(facts: Facts, raw: bytes) -> None:
    """Fill in what ``raw``, the body or its beginning, tells; what is known already stays."""
    if facts.usage is None:
        facts.usage = _usage(raw)
    if not facts.output_characters:
        facts.output_characters = sum(map(len, _texts(raw)))


def is_page(raw: bytes) -> bool:
    """Whether these are words for people, such as a proxy's page, and no beginning of JSON."""
    begun = raw.lstrip()[:1]
    return bool(begun) and begun not in _JSON


def _usage(raw: bytes) -> Usage | None:
    """The last usage that stands whole in the body and counts anything."""
    for match in reversed(deque(_USAGE.finditer(raw), _MOST_USAGES)):
        part = raw[match.end() : match.end() + _LONGEST_USAGE].decode(errors="replace")
        try:
            told: Any = json.JSONDecoder().raw_decode(part)[0]
        except (ValueError, RecursionError):
            continue
        usage = usage_of(_named(told))
        if counts(usage):
            return usage
    return None


def _named(told: Json) -> Json:
    named = {
        ours: told[other] for ours, other in _NAMES.items() if ours not in told and other in told
    }
    beside = [told.get(name) or 0 for name in _BESIDE]
    if "prompt_tokens" in named and all(isinstance(count, int) for count in beside):
        named["prompt_tokens"] = (named["prompt_tokens"] or 0) + sum(beside)
        named.setdefault("prompt_tokens_details", {"cached_tokens": beside[0]})
    return told | named


def _texts(raw: bytes) -> Iterator[str]:
    for match in _TEXT.finditer(raw):
        text = match.group(1)
        try:
            yield str(orjson.loads(b'"' + text + b'"'))
        except orjson.JSONDecodeError:
            yield text.decode(errors="replace")
