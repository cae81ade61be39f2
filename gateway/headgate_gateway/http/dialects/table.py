"""The foreign dialects by the path that they are spoken at."""

from __future__ import annotations

from headgate_gateway.http.dialects.anthropic import Anthropic
from headgate_gateway.http.dialects.completions import Completions
from headgate_gateway.http.dialects.dialect import Dialect
from headgate_gateway.http.dialects.responses import Responses

DIALECTS: tuple[type[Dialect], ...] = (Anthropic, Responses, Completions)


def dialect_of(path: str) -> type[Dialect] | None:
    """Whose path this is; paths below ``/v1/messages`` are answered in Anthropic's envelope too."""
    for dialect in DIALECTS:
        own = f"/v1/{dialect.path}"
        if path == own or (dialect is Anthropic and path.startswith(f"{own}/")):
            return dialect
    return None
