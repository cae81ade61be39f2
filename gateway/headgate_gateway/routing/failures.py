"""What a failure means for the routing: the adapter says what happened, this decides what to do."""

from __future__ import annotations

import re
from typing import Literal

from headgate_core.errors import (
    EgressRefused,
    UpstreamCredentialsExhausted,
    UpstreamError,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUntranslated,
)
from headgate_gateway.resting import DEAD, THROTTLED, rests

FallbackClass = Literal["error", "context_window", "content_policy"]

_CONTEXT = re.compile(
    r"context[_ ](?:length|window)|maximum context|too many (?:input )?tokens|prompt is too long"
    r"|reduce the length|input is too long|exceeds? the (?:model's )?(?:maximum|context)",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"content[_ ](?:policy|filter|management)|safety system|responsible ai", re.IGNORECASE
)
_CLIENT_STATUSES = frozenset({400, 413, 422})
_NO_FAULT = (EgressRefused, UpstreamCredentialsExhausted, UpstreamTooLarge, UpstreamUntranslated)


def worth_another(error: UpstreamError) -> bool:
    """Whether another try of the same request may succeed."""
    return error.worth_retrying if isinstance(error, UpstreamStatus) else error.retryable


def fallback_class(error: UpstreamError) -> FallbackClass | None:
    """Which of a pool's fallback lists the failure calls for; None = none, the caller must act."""
    if isinstance(error, UpstreamTooLarge):
        return None
    if isinstance(error, UpstreamStatus) and error.upstream_status in _CLIENT_STATUSES:
        said = f"{error.upstream_code} {error.message}"
        if _CONTEXT.search(said):
            return "context_window"
        return "content_policy" if _POLICY.search(said) else None
    if isinstance(error, UpstreamStatus) and not error.worth_retrying:
        return "error" if error.credentials else None
    return "error"


def is_provider_fault(error: UpstreamError) -> bool:
    """Whether the breaker counts it: not a caller's mistake or haste, not one key's own limit.

    A connection that the operator's list forbids says nothing about the target, nor does an answer
    that is larger than his file allows, nor a request that was never sent; refused keys make it
    rest instead.
    """
    if isinstance(error, _NO_FAULT):
        return False
    if isinstance(error, UpstreamStatus):
        return error.own_fault
    return error.at_fault if isinstance(error, UpstreamTimeout) else True


def rest_for(error: UpstreamError) -> tuple[int, float | None] | None:
    """The status for which a target is to rest, and for how long where that was told (s).

    None = it need not: it works, it has another key, or the breaker sees to it.
    """
    if isinstance(error, UpstreamCredentialsExhausted):
        return DEAD[0], error.rests_s
    if not isinstance(error, UpstreamStatus) or error.another_key:
        return None
    status = error.upstream_status
    if not rests(status):
        return None
    told_s = error.retry_after_s if status == THROTTLED else None
    return status, told_s if error.rests_s is None else error.rests_s
