"""OpenAI's error envelope: one, made in one place, all four members always there."""

from __future__ import annotations

import math

import orjson

from headgate_core.errors import HeadgateError, RateLimited, ShuttingDown, UpstreamStatus
from headgate_core.types import Json


def envelope(error: HeadgateError, call_id: str = "") -> Json:
    """``{"error": {message, type, param, code, …}}``; extra data goes inside ``error``."""
    body: Json = {
        "message": error.message,
        "type": error.error_type,
        "param": error.param,
        "code": error.error_code,
        **error.extra,
    }
    if call_id:
        body["call_id"] = call_id
    return {"error": body}


def error_headers(error: HeadgateError) -> dict[str, str]:
    """``retry-after`` and ``x-should-retry`` as the official SDKs obey them."""
    headers: dict[str, str] = {}
    wait: float | None = None
    if isinstance(error, RateLimited | UpstreamStatus | ShuttingDown):
        wait = error.retry_after_s
    if isinstance(error, ShuttingDown):
        headers["connection"] = "close"  # the next try is to reach another process
    if wait is not None and math.isfinite(wait):
        headers["retry-after"] = str(math.ceil(wait))
        headers["retry-after-ms"] = str(math.ceil(wait * 1000))
    if error.may_retry is not None:
        headers["x-should-retry"] = "true" if error.may_retry else "false"
    return headers


def error_bytes(error: HeadgateError, call_id: str = "") -> bytes:
    """The envelope as JSON."""
    return orjson.dumps(envelope(error, call_id))
