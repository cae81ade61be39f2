"""What an upstream's error reply says, as one of our errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson

from headgate_core.errors import UpstreamError, UpstreamMalformed, UpstreamStatus
from headgate_core.types import Json
from headgate_gateway.nesting import MOST_LEVELS, too_deep
from headgate_gateway.upstream import lenient_json

CALLERS = (
    *("context_", "content_", "image_", "empty_image", "failed_to_download_image"),
    *(f"invalid_{n}" for n in ("prompt", "image", "base64_image", "request", "value", "type")),
    *(f"unsupported_{n}" for n in ("image", "file", "value", "parameter")),
)
"""How codes begin of failures that the caller can mend; others, of credentials say, are not his."""
THROTTLED = ("rate_limit_exceeded", "rate_limit_error")
LONGEST_WAIT_S = 30 * 86400.0
"""No upstream can mean a longer wait; its number is taken for this one."""
CREDENTIALS = (401, 402, 403)
"""Statuses that refuse our keys."""
_STATUSES = {
    **dict.fromkeys(THROTTLED, 429),
    **dict.fromkeys(("insufficient_quota", "quota_exceeded", "resource_exhausted"), 429),
    **dict.fromkeys(("invalid_api_key", "incorrect_api_key", "invalid_authentication"), 401),
    **dict.fromkeys(("authentication_error", "unauthenticated", "unauthorized"), 401),
    **dict.fromkeys(("billing_error", "billing_not_active", "insufficient_credits"), 402),
    **dict.fromkeys(("permission_error", "permission_denied", "forbidden"), 403),
}
"""What a word means where no status tells it."""
_KEY = re.compile(r"\b(?:api|access)[ _-]?key\b", re.IGNORECASE)
_NO_ERROR: tuple[object, ...] = (None, False, "")
"""What some servers put into ``error`` when there is none; an empty object is an error..."""
_ANSWERS = frozenset({"choices", "candidates"})
"""...except beside one of these."""


def status_error(status: int, headers: Mapping[str, str], raw: bytes) -> UpstreamStatus:
    """The error of a reply with an error status; its body may be in anybody's dialect, or none."""
    error = _error_of(_json(raw))
    said = _message(error) or f"The upstream answered {status}."
    if status in CREDENTIALS:
        # Words of our own where the upstream's may name our credentials.
        said = f"The upstream refused the gateway's credentials ({status})."
    failure = UpstreamStatus(
        said,
        upstream_status=status,
        retry_after_s=retry_after(headers),
        upstream_code=_code(error),
        param=_text(error.get("param")) or None,
    )
    request_id = headers.get("x-request-id") or headers.get("request-id")
    if request_id:
        failure.extra["upstream_request_id"] = request_id[:200]
    return failure


def reported(body: Json) -> UpstreamError | None:
    """The error that a body or a chunk with status 200 carries instead of an answer."""
    error = body.get("error")
    told = error not in _NO_ERROR and (bool(error) or _ANSWERS.isdisjoint(body))
    if told or body.get("type") == "error" or body.get("object") == "error":
        return _failure(body)
    for choice in body.get("choices") or ():
        if isinstance(choice, dict) and choice.get("finish_reason") == "error":
            error = _error_of(choice)
            return UpstreamError(_message(error) or "The upstream gave up: finish_reason error.")
    return None


def named_error(data: bytes) -> UpstreamError:
    """The error of an event that the stream calls ``error``, whatever its data looks like."""
    return _failure(_json(data) or {"message": data.decode(errors="replace").strip()})


def _failure(body: Json) -> UpstreamError:
    error = _error_of(body)
    status = _meant(error)
    if status is not None:
        return status_error(status, {}, orjson.dumps({"error": error}))
    return UpstreamError(_message(error) or "The upstream reported an error.")


def _meant(error: Json) -> int | None:
    """The status that the upstream would have answered with, had it known before it began."""
    code = error.get("code")
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:
        code = int(code)
    if isinstance(code, int) and 400 <= code < 600:
        return code
    words = [_text(error.get(member)) for member in ("code", "type", "status")]
    for word in words:
        if word.lower() in _STATUSES:
            return _STATUSES[word.lower()]
    if _KEY.search(_message(error)) and not words[0].startswith(CALLERS):
        return 401
    return 400 if _code(error).startswith(CALLERS) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of ``retry-after-ms`` or ``retry-after`` (seconds or a date), if they make sense."""
    wait_s = _asked_wait(headers)
    return None if wait_s is None else min(wait_s, LONGEST_WAIT_S)


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def parsed(data: bytes, *, again: bool = False) -> Json:
    """A JSON object, maybe a ``Mended``; ``again``: it will be written again.

    Raises ``UpstreamMalformed``.
    """
    try:
        body = lenient_json.loads(data)
    except ValueError as error:
        raise UpstreamMalformed(f"The reply is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise UpstreamMalformed("The reply is not a JSON object.")
    if again and too_deep(data, body):
        raise UpstreamMalformed(f"The reply is nested deeper than {MOST_LEVELS} levels.")
    return body


def _json(raw: bytes) -> Json:
    try:
        body = lenient_json.loads(raw)
    except ValueError:
        return {}
    if isinstance(body, list) and body:
        body = body[0]  # Gemini sends a list of one
    return body if isinstance(body, dict) else {}


def _error_of(body: Json) -> Json:
    """The innermost error object: under ``error`` (OpenAI, Anthropic, Google), under ``detail``
    or both (gateways that wrap each other), or the body itself (Bedrock, vLLM)."""
    error = body
    while True:
        inner = error.get("error", error.get("detail"))
        if isinstance(inner, str):
            return {**error, "message": inner}
        if not isinstance(inner, dict):
            return error
        error = inner


def _message(error: Json) -> str:
    return unwrapped(_text(error.get("message")))


def unwrapped(message: str) -> str:
    """A message without the envelope that some gateways print into it: ``Name - {"error": …}``."""
    at = message.find("{")
    if at < 0 or not message.endswith("}"):
        return message
    words = _message(_error_of(_json(message[at:].encode())))
    return message[:at] + words if words else message


def _code(error: Json) -> str:
    """The most telling word: a code that is no number, else the type, else Google's status."""
    code = _text(error.get("code"))
    if code and not code.isdigit():
        return code
    return _text(error.get("type")) or _text(error.get("status"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: str) -> float | None:
    value = value.strip()
    return float(value) if value.replace(".", "", 1).isdecimal() and value.isascii() else None
