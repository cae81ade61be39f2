"""Every exception class that litellm's SDK exports, and what it means where no reply explains it.

A reply that came says better what happened (``errors.mapped``); this table is for the rest: what
the SDK finds wrong before it sends anything, and clients inside it that are not watched.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from headgate_core.errors import (
    UpstreamError,
    UpstreamMalformed,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamTruncated,
)
from headgate_gateway.upstream.errors import status_error

NO_CALL = "The SDK for this provider could not make the call."
Maker = Callable[[str], UpstreamError]


def _refused(message: str, *, status: int = 400, code: str = "") -> UpstreamStatus:
    failure = status_error(status, {}, b"")
    if failure.credentials:
        return failure  # its words are our own: the SDK's may name the key
    return UpstreamStatus(message, upstream_status=status, upstream_code=code)


def _own_fault(_message: str) -> UpstreamError:
    """Of connections that did break the wire tells: without, it is any exception within the SDK."""
    return UpstreamError(NO_CALL)


_KEY = partial(_refused, status=401)
_LIMIT = partial(_refused, status=429)

CLASSES: dict[str, Maker] = {
    # The caller's request.
    "BadRequestError": _refused,
    "InvalidRequestError": _refused,
    "UnsupportedParamsError": partial(_refused, code="unsupported_parameter"),
    "ContextWindowExceededError": partial(_refused, code="context_length_exceeded"),
    "ContentPolicyViolationError": partial(_refused, code="content_policy_violation"),
    "RejectedRequestError": _refused,
    "ImageFetchError": _refused,
    "UnprocessableEntityError": partial(_refused, status=422),
    # The operator's configuration: model, key, account.
    "LiteLLMUnknownProvider": partial(_refused, status=404, code="model_not_found"),
    "NotFoundError": partial(_refused, status=404),
    "AuthenticationError": _KEY,
    "PaymentRequiredError": partial(_refused, status=402),
    "PermissionDeniedError": partial(_refused, status=403),
    "RateLimitError": _LIMIT,
    # The connection and the provider.
    "Timeout": UpstreamTimeout,
    "APIConnectionError": _own_fault,
    "MidStreamFallbackError": UpstreamTruncated,
    "APIResponseValidationError": UpstreamMalformed,
    "JSONSchemaValidationError": UpstreamMalformed,
    "APIError": UpstreamError,
    "OpenAIError": UpstreamError,
    "InternalServerError": UpstreamError,
    "ServiceUnavailableError": UpstreamError,
    "BadGatewayError": UpstreamError,
    # Parts of the SDK that the gateway does not use: its router, proxy, guardrails, tools.
    "RouterRateLimitError": _LIMIT,
    "RouterRateLimitErrorBasic": _LIMIT,
    "BudgetExceededError": UpstreamError,
    "BlockedPiiEntityError": UpstreamError,
    "GuardrailRaisedException": UpstreamError,
    "ModifyResponseException": UpstreamError,
    "SensitiveDataRouteException": UpstreamError,
    "MockException": UpstreamError,
    "ModelNotMappedError": UpstreamError,
    "ToolLoopMaxRoundsExceeded": UpstreamError,
    "VectorStoreSearchError": UpstreamError,
    "ZoneInfoNotFoundError": UpstreamError,  # the interpreter's own, exported all the same
}
"""The name of the class to our error, made of a message."""


def classified(error: BaseException, message: str) -> UpstreamError:
    """The error by the first class of its family that the table knows."""
    for cls in type(error).__mro__:
        if cls.__name__ in CLASSES:
            return CLASSES[cls.__name__](message)
    return UpstreamError(message)
