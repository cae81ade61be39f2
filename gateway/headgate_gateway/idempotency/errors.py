"""What a call with an ``Idempotency-Key`` may be refused for."""

from __future__ import annotations

from typing import ClassVar

from headgate_core.errors import Conflict


class IdempotencyConflict(Conflict):
    """The same ``Idempotency-Key`` came with another body."""

    code = "idempotency_conflict"


class IdempotencyInFlight(Conflict):
    """The first call with this ``Idempotency-Key`` is still going on; asking again is right."""

    code = "idempotency_in_flight"
    sdk_may_retry: ClassVar[bool | None] = True
