"""The model's side failed."""

from __future__ import annotations

from typing import ClassVar

from headgate_core.errors.base import HeadgateError


class UpstreamError(HeadgateError):
    """A target failed. ``retryable`` tells the routing what it may try next.

    As text it is ``detail`` where there is one; callers read ``message``.
    """

    status = 502
    type = "upstream_error"
    code = "upstream_error"
    retryable = True
    rests_s: float | None = None
    """Seconds until one of the provider's keys may be used again; None = it does not know."""
    detail: str = ""
    """What the operator alone may read, such as hosts, addresses and files."""

    def __str__(self) -> str:
        """What the record and the log say."""
        return self.detail or self.message


class UpstreamUnreachable(UpstreamError):
    """Connecting failed or the connection was reset before a reply."""

    code = "upstream_unreachable"
    sent: bool = True
    """False: no connection came about, so the attempt put no load on anything."""


class EgressRefused(UpstreamUnreachable):
    """The target's host is not on the operator's list; no connection was opened."""

    code = "egress_refused"
    sdk_may_retry: ClassVar[bool | None] = False
    sent = False


class UpstreamCredentialsExhausted(UpstreamError):
    """All keys of the target's provider are refused; nothing was sent."""

    code = "upstream_credentials_exhausted"
    sent: bool = False
    """The attempt put no load on anything."""


class UpstreamUntranslated(UpstreamError):
    """The request cannot be put into the provider's own form, so nothing was sent.

    ``param`` names the member that stands in the way. Another provider may do with it.
    """

    status = 400
    type = "invalid_request_error"
    code = "unsupported_parameter"
    retryable = False
    sent: bool = False
    """The attempt put no load on anything."""


class UpstreamTimeout(UpstreamError):
    """One of the timers fired; the message names it and its value."""

    status = 504
    code = "upstream_timeout"
    sent: bool = True
    """False: no connection came about, so the target has done no work."""
    timer: str = ""
    """Which of the routing's own timers fired; empty = the provider itself gave up."""
    at_fault: bool = True
    """False: the time was over for other reasons than the target's, so it says nothing of it."""


class UpstreamTruncated(UpstreamError):
    """The reply ended without its finish and terminator."""

    code = "upstream_truncated"


class UpstreamMalformed(UpstreamError):
    """The reply is not what its content type and endpoint promise."""

    code = "upstream_malformed"
    worked: bool = True
    """False: what came is no reply of a model, so none has been at work."""


class UpstreamTooLarge(UpstreamMalformed):
    """The reply is larger than its provider may pass on; another one would be so too."""

    code = "upstream_too_large"
    retryable = False
    sdk_may_retry: ClassVar[bool | None] = False


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
        return self.upstream_status in self._RETRY or self.own_fault

    @property
    def own_fault(self) -> bool:
        """Whether the status blames neither request nor key; a redirect is no answer either."""
        return not 400 <= self.upstream_status < 500
