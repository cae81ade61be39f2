"""The two names of the bound on an answer's length: which one a model of OpenAI's wire takes.

OpenAI's reasoning models refuse ``max_tokens`` and take ``max_completion_tokens``; many servers
of the same wire know the older name alone.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from headgate_core.types import Json

OLD, NEW = "max_tokens", "max_completion_tokens"
TokenLimit: TypeAlias = Literal["auto", "max_tokens", "max_completion_tokens"]

_DATE = r"\d{4}-\d\d-\d\d"
_SUFFIX = rf"-(?:mini|preview|pro|low|medium|high|deep-research|latest|{_DATE})"
_REASONS = re.compile(
    rf"(?:^|/|^ft:)(?:o[1-9](?:{_SUFFIX})*(?:$|[:@])"
    r"|(?:gpt-(?:[5-9]|[12]\d)|codex-mini)(?:$|[-.:@]))"
)
"""Whole names of the o-series, as others begin like them; `gpt-35-turbo` is Azure's for 3.5."""


def named(body: Json, model: str, wanted: TokenLimit) -> Json:
    """The body with its bound under the name that the model takes; one with both stays."""
    if wanted == "auto" and _REASONS.search(model) is None:
        return body
    name = NEW if wanted == "auto" else wanted
    other = OLD if name == NEW else NEW
    if body.get(other) is None or body.get(name) is not None:
        return body
    return {name if k == other else k: v for k, v in body.items() if k != name}
