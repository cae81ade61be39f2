"""Every error a user can meet, in one tree. Each states its status, its code and whether to retry.

``HeadgateError``
  ``ConfigurationError``      the files are wrong: exit 2, nothing started
  ``RequestError``            the caller can mend it (4xx)
    ``InvalidRequest``, ``Unauthenticated``, ``Forbidden``, ``ModelNotFound``, ``NotFound``,
    ``Conflict``, ``TooLarge``, ``RateLimited``,
    ``Overloaded``, ``Blocked``
  ``UpstreamError``           the model's side failed (5xx)
    ``UpstreamUnreachable``, ``UpstreamStatus``, ``UpstreamTimeout``, ``UpstreamTruncated``,
    ``UpstreamMalformed``, ``UpstreamTooLarge``, ``UpstreamCredentialsExhausted``,
    ``UpstreamUntranslated``, ``EgressRefused``
  ``ServiceError``            our own side failed
    ``StoreError``, ``BrokenIndex``, ``GuardFailed``, ``RetrievalFailed``,
    ``MissingExtra``, ``ShuttingDown``, ``Internal``

``Ended`` and ``Again`` are control flow, not errors.
"""

from headgate_core.errors.base import ConfigurationError, HeadgateError, MissingExtra, Problem
from headgate_core.errors.flow import Again, Ended
from headgate_core.errors.request import (
    Blocked,
    Conflict,
    Forbidden,
    InvalidRequest,
    ModelNotFound,
    NotFound,
    Overloaded,
    RateLimited,
    RequestError,
    TooLarge,
    Unauthenticated,
)
from headgate_core.errors.service import (
    BrokenIndex,
    GuardFailed,
    Internal,
    RetrievalFailed,
    ServiceError,
    ShuttingDown,
    StoreError,
)
from headgate_core.errors.upstream import (
    EgressRefused,
    UpstreamCredentialsExhausted,
    UpstreamError,
    UpstreamMalformed,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamTruncated,
    UpstreamUnreachable,
    UpstreamUntranslated,
)

__all__ = [
    "Again",
    "Blocked",
    "BrokenIndex",
    "ConfigurationError",
    "Conflict",
    "EgressRefused",
    "Ended",
    "Forbidden",
    "GuardFailed",
    "HeadgateError",
    "Internal",
    "InvalidRequest",
    "MissingExtra",
    "ModelNotFound",
    "NotFound",
    "Overloaded",
    "Problem",
    "RateLimited",
    "RequestError",
    "RetrievalFailed",
    "ServiceError",
    "ShuttingDown",
    "StoreError",
    "TooLarge",
    "Unauthenticated",
    "UpstreamCredentialsExhausted",
    "UpstreamError",
    "UpstreamMalformed",
    "UpstreamStatus",
    "UpstreamTimeout",
    "UpstreamTooLarge",
    "UpstreamTruncated",
    "UpstreamUnreachable",
    "UpstreamUntranslated",
]
