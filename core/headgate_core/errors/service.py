"""Our own side failed."""

from __future__ import annotations

from typing import ClassVar

from headgate_core.errors.base import HeadgateError


class ServiceError(HeadgateError):
    """Our own side failed."""


class StoreError(ServiceError):
    """The database cannot be opened, read or written.

    What it says is for the operator; callers get ``message``, which tells nothing of the inside.
    """

    status = 503
    code = "store_unavailable"

    def __init__(self, reason: str, *, message: str = "The gateway's database is away.") -> None:
        super().__init__(reason)
        self.message = message


class ShuttingDown(ServiceError):
    """The process ends: it takes no new calls, or this one had no more time."""

    status = 503
    code = "shutting_down"
    sdk_may_retry: ClassVar[bool | None] = True

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message, extra={"retry_after_s": retry_after_s})
        self.retry_after_s = retry_after_s


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
