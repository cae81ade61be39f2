"""Whose call it is and how it is grouped: from headers, else from the body's ``metadata``."""

from __future__ import annotations

from typing import Any

from headgate_core.context import Context
from headgate_core.errors import InvalidRequest
from headgate_core.types import Json
from headgate_gateway.http.asgi import Scope, header


def label(ctx: Context, scope: Scope, body: Json) -> None:
    """Set session, user and tags; a header beats the body. Raises ``InvalidRequest``."""
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise InvalidRequest("`metadata` must be an object.", param="metadata")
    said: Json = metadata or {}
    ctx.session = header(scope, b"x-headgate-session") or _first(said, "session_id", "session")
    user = header(scope, b"x-headgate-user") or _text(body.get("user"))
    ctx.user = user or _first(said, "user_id", "user")
    ctx.tags = _tags(header(scope, b"x-headgate-tags")) or _tags(said.get("tags"))


def _first(said: Json, *names: str) -> str:
    return next((_text(said[name]) for name in names if said.get(name)), "")


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _tags(value: Any) -> tuple[str, ...]:
    """Tags from a list, or from a text with commas between them."""
    tags = value.split(",") if isinstance(value, str) else value
    if not isinstance(tags, list):
        return ()
    return tuple(text for text in (_text(tag).strip() for tag in tags) if text)
