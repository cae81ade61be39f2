"""What a provider said, found again in the exception that litellm's SDK makes of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from typing import Any

import orjson

from headgate_core.errors import UpstreamStatus, UpstreamUnreachable
from headgate_gateway.upstream.errors import status_error

_PREFIX = re.compile(r"^(?:litellm\.)?(?:Timeout |[A-Za-z_]*)(?:Error|Exception|Timeout)(?: -|:) ")
"""``litellm.BadRequestError: OpenAIException - ``: one part of what the SDK puts before."""
_CODES = {
    "ContextWindowExceededError": "context_length_exceeded",
    "ContentPolicyViolationError": "content_policy_violation",
}
"""What the SDK has found out from the provider's words, which need not say it in a code."""


_NO_REPLY = ("Timeout", "TimeoutError", "APIConnectionError")
"""Exceptions that have a status even where no reply came; the SDK gives others a 500 of its own."""
_NO_CONNECTION = frozenset({"ConnectError", "ConnectTimeout", "ClientConnectorError"})
"""What the SDK's HTTP clients raise before anything was sent."""
_REFUSED = frozenset({"HTTPStatusError"})
"""What they raise for a reply with an error status."""
_CONTEXT = re.compile(r" ssl:<[^>]*>")
"""An object of the interpreter in the words of the SDK's HTTP client."""


def refusal_of(error: BaseException) -> UpstreamStatus | None:
    """The provider's reply with an error status, as if it had come over HTTP; None = no reply.

    Its status, words, code, request id and ``retry-after`` are the provider's own.
    """
    origin = error.__context__
    status = _status(origin) or _status(error)
    if status is None:
        return None
    reply = getattr(_behind(error, _REFUSED), "response", None)
    headers = _headers(error, origin, reply)
    said = plain(str(getattr(error, "message", "") or error))
    body = _body(said, error, origin)
    invented = status >= 500 or type(error).__name__ in _NO_REPLY
    if invented and reply is None and not (headers or body):
        return None
    failure = status_error(status, headers, body)
    if not failure.credentials and failure.message.startswith("The upstream answered"):
        failure.message = said or failure.message
    found = _CODES.get(type(error).__name__)
    if found is not None and failure.error_code not in _CODES.values():
        failure.error_code = failure.upstream_code = found
    return failure


def unreachable(error: BaseException) -> UpstreamUnreachable | None:
    """No connection came about, as one of the exceptions behind the SDK's own says; else None."""
    cause = _behind(error, _NO_CONNECTION)
    if cause is None:
        return None
    said = _CONTEXT.sub("", str(cause)) or type(cause).__name__
    failure = UpstreamUnreachable(f"Cannot reach the upstream: {said}.")
    failure.sent = False
    return failure


def plain(message: str) -> str:
    """A message without the names of exceptions that the SDK puts before it."""
    while (shorter := _PREFIX.sub("", message, count=1)) != message:
        message = shorter
    return message


def _status(error: BaseException | None) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and status >= 400 else None


def _behind(error: BaseException, names: Collection[str]) -> BaseException | None:
    """The first exception of such a name among the error and what it was raised from."""
    cause: BaseException | None = error
    while cause is not None and type(cause).__name__ not in names:
        cause = cause.__cause__ or cause.__context__
    return cause


def _headers(*errors: object) -> dict[str, str]:
    for error in errors:
        for name in ("litellm_response_headers", "headers"):
            found = getattr(error, name, None)
            if isinstance(found, Mapping) and found:
                return {str(k).lower(): str(v) for k, v in found.items()}
    return {}


def _body(said: str, *errors: BaseException | None) -> bytes:
    """The reply's body: kept by the SDK, or pasted into its message, as text or as bytes."""
    for error in errors:
        kept: Any = getattr(error, "body", None)
        if isinstance(kept, dict):
            return orjson.dumps(kept if "error" in kept else {"error": kept}, default=str)
    if said[:2] in ("b'", 'b"'):
        try:
            said = ast.literal_eval(said).decode(errors="replace")
        except (ValueError, SyntaxError):
            return b""
    return said.encode() if said[:1] in ("{", "[") else b""
