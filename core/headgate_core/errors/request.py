"""The caller can mend these: 4xx."""

from __future__ import annotations

from typing import ClassVar

from headgate_core.errors.base import HeadgateError


class RequestError(HeadgateError):
    """The caller's side: 4xx."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"
    sdk_may_retry: ClassVar[bool | None] = False


class InvalidRequest(RequestError):
    """The body, a parameter or an input is wrong; ``param`` names it."""


class Unauthenticated(RequestError):
    """No key, or one that is not known."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(RequestError):
    """A known key that may not do this."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class ModelNotFound(RequestError):
    """No route, alias or pool of that name for this key; lists those there are."""

    status = 404
    code = "model_not_found"


class NotFound(RequestError):
    """No such thing, or not visible to this key."""

    status = 404
    code = "not_found"


class Conflict(RequestError):
    """The request contradicts the state of things."""

    status = 409
    code = "conflict"


class TooLarge(RequestError):
    """The body is over ``server.max_body_mb``."""

    status = 413
    code = "request_too_large"


class RateLimited(RequestError):
    """A limit is used up; ``retry_after_s`` says when there is room again."""

    status = 429
    type = "rate_limit_exceeded"
    code = "rate_limit_exceeded"
    sdk_may_retry: ClassVar[bool | None] = None

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(RateLimited):
    """The pool's places and its queue are full, or no place came free in time."""

    status = 503
    type = "server_error"
    code = "overloaded"


class Blocked(RequestError):
    """A guard refused the call and its policy says ``refusal.as: error``."""

    code = "guardrail_blocked"
