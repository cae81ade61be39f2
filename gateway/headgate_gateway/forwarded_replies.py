"""Replies of the endpoints beside chat: what must be in them, and the usage they state."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

from headgate_core.errors import UpstreamMalformed
from headgate_core.reply import Facts
from headgate_core.types import Json, Usage
from headgate_gateway.replies.chunks import MOST_TOKENS

_LISTS = {"embeddings": "data", "rerank": "results", "moderations": "results"}
"""The member that holds what was asked for."""


def observe_forwarded(endpoint: str, facts: Facts, body: Json) -> None:
    """Read beside the path what the record needs. Raises ``UpstreamMalformed``.

    Usage is read first: the tokens of a reply that is thrown away cost money too.
    """
    usage = body.get("usage")
    if isinstance(usage, dict):
        facts.usage = _usage(usage)
    if endpoint == "rerank" and (units := _units(body)):
        facts.usage = replace(facts.usage or Usage(), search_units=units)
    member = _LISTS[endpoint]
    if not isinstance(body.get(member), list):
        raise UpstreamMalformed(f"The reply has no `{member}`.")
    facts.content = True
    facts.model = _text(body.get("model"))
    facts.response_id = _text(body.get("id"))


def _units(body: Json) -> int:
    """Search units, as Cohere tells them; 0 = it does not."""
    told: Any = body.get("meta")
    for name in ("billed_units", "search_units"):
        told = told.get(name) if isinstance(told, dict) else None
    return ceil(told) if isinstance(told, int | float) and 0 < told < MOST_TOKENS else 0


def _usage(usage: Json) -> Usage | None:
    """Tokens read; ``total_tokens`` where a server states nothing else, None where it has none."""
    for name in ("prompt_tokens", "input_tokens", "total_tokens"):
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return Usage(input_tokens=value)
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
