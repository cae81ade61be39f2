"""Size of a request in another wire than chat's: what an estimate and a reservation rest on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headgate_core.types import Json
from headgate_gateway.forwarded import is_tokens

_ASKED = ("instructions", "input", "prompt", "suffix")
_TEXTS = frozenset({"text", "content", "arguments", "output", "input", "summary"})


def size(body: Json) -> tuple[int, int]:
    """Characters of the texts that are asked with, and how many token ids come beside them."""
    asked = [body.get(name) for name in _ASKED]
    return sum(len(text) for one in asked for text in _texts(one)), sum(map(_ids, asked))


def answers(body: Json) -> int:
    """How many answers are asked for: ``n`` or ``best_of`` for each prompt."""
    prompt = body.get("prompt")
    listed = isinstance(prompt, list) and bool(prompt) and not is_tokens(prompt)
    prompts = len(prompt) if listed and isinstance(prompt, list) else 1
    counts = [body.get(name) or 1 for name in ("n", "best_of")]
    return prompts * max((n for n in counts if isinstance(n, int)), default=1)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in _TEXTS:
                yield from _texts(inner)


def _ids(value: Any) -> int:
    if is_tokens(value):
        return len(value)
    return sum(len(one) for one in value if is_tokens(one)) if isinstance(value, list) else 0
