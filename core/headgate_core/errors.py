"""Every error a user can meet, in one tree. Each states its status, its code and whether to retry.

``HeadgateError``
  ``ConfigurationError``      the files are wrong: exit 2, nothing started
  ``RequestError``            the caller can mend it (4xx)
    ``InvalidRequest``, ``Unauthenticated``, ``Forbidden``, ``ModelNotFound``, ``NotFound``,
    ``Conflict``, ``TooLarge``, ``RateLimited``, ``Blocked``
  ``UpstreamError``           the model's side failed (5xx)
    ``UpstreamUnreachable``, ``UpstreamStatus``, ``UpstreamTimeout``, ``UpstreamTruncated``,
    ``UpstreamMalformed``
  ``ServiceError``            our own side failed
    ``StoreError``, ``IndexError_`` (a broken index), ``GuardFailed``, ``RetrievalFailed``,
    ``MissingExtra``, ``Internal``

``Ended`` and ``Again`` are control flow, not errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from headgate_core.reply import Reply


class HeadgateError(Exception):
    """Base of all errors; the HTTP layer and the CLI ask it and decide nothing themselves.

    ``extra`` goes inside the envelope's ``error`` member; never put a secret or text in it.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    sdk_may_retry: ClassVar[bool | None] = None
    """True or False is sent as ``x-should-retry``; None leaves it to the SDK's own rules."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        extra: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.error_code = code or type(self).code
        self.extra = extra or {}

    @property
    def http_status(self) -> int:
        """The status that the caller sees."""
        return type(self).status

    @property
    def error_type(self) -> str:
        """The envelope's ``type``."""
        return type(self).type

    @property
    def may_retry(self) -> bool | None:
        """What ``x-should-retry`` says; None leaves it to the SDK's own rules."""
        return type(self).sdk_may_retry


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a file: where it is, what is wrong, what to do. ``line`` counts from 1."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class ConfigurationError(HeadgateError):
    """One or more faults in the configuration; ``problems`` holds all of them."""

    code = "configuration_error"
    exit_code = 2

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__("\n".join([message, *map(str, problems)]) if problems else message)
        self.problems = problems


class MissingExtra(ConfigurationError):
    """A component is asked for whose packages are not installed; names the install command."""

    code = "missing_extra"


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


class UpstreamError(HeadgateError):
    """A target failed. ``retryable`` tells the routing what it may try next."""

    status = 502
    type = "upstream_error"
    code = "upstream_error"
    retryable = True


class UpstreamUnreachable(UpstreamError):
    """Connecting failed or the connection was reset before a reply."""

    code = "upstream_unreachable"
    sent: bool = True
    """False: no connection came about, so the attempt put no load on anything."""


class UpstreamCredentialsExhausted(UpstreamError):
    """All keys of the target's provider are refused; nothing was sent."""

    code = "upstream_credentials_exhausted"


class UpstreamTimeout(UpstreamError):
    """One of the four timers fired; the message names it and its value."""

    status = 504
    code = "upstream_timeout"


class UpstreamTruncated(UpstreamError):
    """The reply ended without its finish and terminator."""

    code = "upstream_truncated"


class UpstreamMalformed(UpstreamError):
    """The reply is not what its content type and endpoint promise."""

    code = "upstream_malformed"


class UpstreamStatus(UpstreamError):
    """The target answered with an error status, kept in ``upstream_status``.

    4xx that the caller can mend keep their status; everything else is 502 (429 stays 429).
    """

    _KEPT: ClassVar[frozenset[int]] = frozenset({400, 404, 408, 413, 422, 429})
    _RETRY: ClassVar[frozenset[int]] = frozenset({408, 409, 425, 429})
    _CREDENTIALS: ClassVar[frozenset[int]] = frozenset({401, 402, 403})
    _CODES: ClassVar = {404: "not_found", 408: "upstream_timeout", 429: "rate_limit_exceeded"}
    _SPENT: ClassVar = ("insufficient_quota", "billing_hard_limit_reached")

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int,
        retry_after_s: float | None = None,
        upstream_code: str = "",
        another_key: bool = False,
        param: str | None = None,
    ) -> None:
        super().__init__(message, param=param, extra={"upstream_status": upstream_status})
        self.upstream_status = upstream_status
        self.retry_after_s = retry_after_s
        self.upstream_code = upstream_code
        """The upstream's own ``error.code`` or ``error.type``."""
        self.another_key = another_key
        """The provider has set this key aside and has another one: the same target can be asked."""
        if self.http_status < 500:
            self.error_code = upstream_code or self._CODES.get(upstream_status, "invalid_request")

    @property
    def error_type(self) -> str:
        """A status that is kept says whose fault it is in OpenAI's own words."""
        kept = {408: "timeout", 429: "rate_limit_exceeded", 502: type(self).type}
        return kept.get(self.http_status, "invalid_request_error")

    @property
    def may_retry(self) -> bool | None:
        """A quota that is used up does not come back while an SDK waits."""
        return False if self.upstream_code in self._SPENT else None

    @property
    def credentials(self) -> bool:
        """Whether the upstream refused our key, not the request."""
        return self.upstream_status in self._CREDENTIALS

    @property
    def http_status(self) -> int:
        """The upstream's own status where the caller can act on it, else 502."""
        return self.upstream_status if self.upstream_status in self._KEPT else 502

    @property
    def worth_retrying(self) -> bool:
        """Whether another try of the same request may succeed."""
        return self.upstream_status in self._RETRY or self.upstream_status >= 500


class ServiceError(HeadgateError):
    """Our own side failed."""


class StoreError(ServiceError):
    """The database cannot be opened, read or written."""

    status = 503
    code = "store_unavailable"


class BrokenIndex(ServiceError):
    """An index folder cannot be opened; the message says how to rebuild it."""

    status = 503
    code = "index_broken"


class RetrievalFailed(ServiceError):
    """Passages could not be fetched and the route says ``on_error: refuse``."""

    status = 502
    code = "retrieval_failed"


class GuardFailed(ServiceError):
    """A check could not run and its ``on_error`` is ``block``."""

    status = 503
    code = "guard_failed"


class Internal(ServiceError):
    """A fault of ours; the log holds the details under the call id."""


class Ended(Exception):
    """Ends the stages early with a reply of our own (a refusal): a value, not a failure."""

    def __init__(self, reply: Reply, reason: str) -> None:
        super().__init__(reason)
        self.reply = reply
        self.reason = reason


class Again(Exception):
    """Asks for another round from the render stage; only before the first content byte.

    ``pool`` replaces the route's pool for that round when it is given.
    """

    def __init__(self, reason: str, pool: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.pool = pool
