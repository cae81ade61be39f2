"""Our own side failed."""

from __future__ import annotations

from headgate_core.errors.base import HeadgateError


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
