"""Several keys of one provider: used in turn, set aside when they are refused or throttled."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from headgate_core.errors import UpstreamCredentialsExhausted

log = logging.getLogger("headgate.credentials")

REFUSED_S = 300.0
"""How long a key rests that the provider refused (401, 402, 403); it may have been mended then."""
THROTTLED_S = 30.0
"""How long a throttled key (429) rests when the provider does not say."""


class Credentials:
    """The keys of one provider. They are named by their place in the list, never shown."""

    def __init__(self, keys: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = tuple(keys)
        self._clock = clock
        self._rests_until = [0.0] * len(keys)
        self._refused = [False] * len(keys)
        self._next = 0

    def take(self) -> int | None:
        """The place of the next usable key; None when the provider needs no key.

        When all are only throttled, the one that is free first is used all the same. Raises
        ``UpstreamCredentialsExhausted`` when all are refused.
        """
        if not self._keys:
            return None
        order = [(self._next + n) % len(self._keys) for n in range(len(self._keys))]
        usable = [n for n in order if not self._resting(n)]
        if not usable:
            throttled = [n for n in order if not self._refused[n]]
            if not throttled:
                raise UpstreamCredentialsExhausted(
                    f"All {len(self._keys)} keys of this provider were refused."
                )
            usable = [min(throttled, key=lambda n: self._rests_until[n])]
        self._next = (usable[0] + 1) % len(self._keys)
        return usable[0]

    def key(self, place: int) -> str:
        """The key itself."""
        return self._keys[place]

    def answered(self, place: int | None) -> None:
        """The provider accepted this key."""
        if place is not None:
            self._refused[place] = False

    def set_aside(self, place: int | None, status: int, retry_after_s: float | None) -> bool:
        """Rest the key after this status; returns whether another one can be used at once."""
        if place is None or status not in (401, 402, 403, 429):
            return False
        self._refused[place] = status != 429
        rest = REFUSED_S if self._refused[place] else retry_after_s or THROTTLED_S
        self._rests_until[place] = self._clock() + rest
        log.warning("key %d of %d rests for %g s: %d", place + 1, len(self._keys), rest, status)
        return any(not self._resting(n) for n in range(len(self._keys)))

    def _resting(self, place: int) -> bool:
        return self._clock() < self._rests_until[place]
