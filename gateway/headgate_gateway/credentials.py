"""Several keys of one provider: used in turn, set aside when they are refused or throttled."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from headgate_core.errors import UpstreamCredentialsExhausted
from headgate_gateway.resting import DEAD, THROTTLED, Rest, rests

log = logging.getLogger("headgate.credentials")

PROBE_S = 10.0
"""Where no other key is left, one call in so many seconds tries a dead key before its time."""
TAKES_BETWEEN = 20
"""Where another key works, one call in so many finds out whether a key that rested works again:
each may cost one more request, and half of a pool's extra load is to stay for retries."""
_ALL = ""
"""Stands for all models."""


class Credentials:
    """The keys of one provider. They are named by their place in the list, never shown.

    A key that is worth nothing (401, 402) rests for all models; one that is throttled (429) or
    may not use a model (403) rests for that model, because providers limit keys by model.
    """

    def __init__(self, keys: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = tuple(keys)
        self._clock = clock
        self._rests: dict[tuple[int, str], Rest] = {}
        self._next = 0
        self._since_try = TAKES_BETWEEN

    def take(self, model: str = _ALL) -> int | None:
        """The place of the next usable key; None when the provider needs no key.

        When all of them rest, one that is only throttled or forbidden this model is used all the
        same: whether it is asked at all is for the routing to say. Raises
        ``UpstreamCredentialsExhausted`` when all are dead and were tried a moment ago.
        """
        if not self._keys:
            return None
        order = [(self._next + n) % len(self._keys) for n in range(len(self._keys))]
        place = self._chosen(order, model)
        for rest in self._of(place, model):
            rest.sent()
        self._next = (place + 1) % len(self._keys)
        return place

    def insist(self, model: str) -> None:
        """Raises ``UpstreamCredentialsExhausted`` where ``take`` would; takes nothing."""
        every = range(len(self._keys))
        if self._keys and not any(self._allowed(n, model) for n in every):
            self._last_resort(every, model)

    def places(self) -> list[int]:
        """The places of all keys, those that work first; takes none."""
        return sorted(range(len(self._keys)), key=lambda n: bool(self._of(n, _ALL)))

    def key(self, place: int) -> str:
        """The key itself."""
        return self._keys[place]

    def now(self) -> float:
        """The clock's time, for ``answered``."""
        return self._clock()

    def answered(self, place: int | None, model: str, sent_at: float) -> None:
        """The provider accepted this key for this model in a call that was sent at that moment."""
        if place is not None:
            for rest in self._of(place, model):
                rest.answered(sent_at)

    def set_aside(
        self, place: int | None, status: int, retry_after_s: float | None, model: str = _ALL
    ) -> bool:
        """Rest the key after this status; returns whether another one can be used at once."""
        if place is None or not rests(status):
            return False
        scope = _ALL if status in DEAD else model
        rest = self._rests.setdefault((place, scope), Rest(self._clock))
        if rest.begin(status, retry_after_s if status == THROTTLED else None):
            what = f"for {scope} " if scope else ""
            log.warning(
                "key %d of %d rests %s%.3g s: %d",
                place + 1, len(self._keys), what, rest.left_s, status,
            )  # fmt: skip
        return any(not self._of(n, model) for n in range(len(self._keys)))

    def rests_s(self, model: str) -> float | None:
        """Seconds until the first key may be used for the model; None = it needs no key."""
        if not self._keys:
            return None
        return min(self._left_s(n, model) for n in range(len(self._keys)))

    def _chosen(self, order: Sequence[int], model: str) -> int:
        self._since_try += 1
        works = next((n for n in order if not self._of(n, model)), None)
        for n in order:
            resting = self._of(n, model)
            if not resting or not self._allowed(n, model):
                continue
            due = self._since_try > TAKES_BETWEEN or all(rest.overdue() for rest in resting)
            if works is None or due:
                self._since_try = 0
                return n
        return self._last_resort(order, model) if works is None else works

    def _last_resort(self, order: Sequence[int], model: str) -> int:
        alive = [n for n in order if not any(r.dead for r in self._of(n, model))]
        if alive:
            return min(alive, key=lambda n: self._left_s(n, model))
        untried = {n: min(r.untried_s for r in self._of(n, model) if r.dead) for n in order}
        place = max(order, key=lambda n: untried[n])
        if untried[place] >= PROBE_S:
            return place
        failure = UpstreamCredentialsExhausted(
            f"All {len(self._keys)} keys of this provider were refused."
        )
        failure.rests_s = self.rests_s(model)
        raise failure

    def _allowed(self, place: int, model: str) -> bool:
        return all(rest.allows() for rest in self._of(place, model))

    def _of(self, place: int, model: str) -> list[Rest]:
        """The rests that the key has now, over or not; none = it works."""
        found = (self._rests.get((place, scope)) for scope in {_ALL, model})
        return [rest for rest in found if rest is not None and rest.state != "none"]

    def _left_s(self, place: int, model: str) -> float:
        return max((rest.left_s for rest in self._of(place, model)), default=0.0)
