"""Which target of a pool each try of one call goes to, and which tries are extra load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from headgate_core.errors import UpstreamError, UpstreamTimeout
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.target_state import TargetState


class Turns:
    """The tries of one call in one pool: ``retries.attempts`` of them, in the strategy's order.

    Every target is tried once before any is tried again; one that has become unavailable since
    the call began comes late, and one that let a timer run out in this call comes last.
    """

    def __init__(self, pool: Pool) -> None:
        self._order = pool.order()
        self._most = pool.settings.retries.attempts
        self._tried: Counter[int] = Counter()
        self._hung: set[int] = set()

    def __iter__(self) -> Iterator[TargetState]:
        for _ in range(self._most):
            state = min(self._order, key=self._rank)
            self._tried[id(state)] += 1
            yield state

    def failed(self, state: TargetState, failure: UpstreamError) -> None:
        """The target failed just now; ``connect_s`` is short and leaves time to try again."""
        if isinstance(failure, UpstreamTimeout) and (failure.sent or failure.timer):
            self._hung.add(id(state))

    def hung(self, state: TargetState) -> bool:
        """Whether it let a timer run out: asked again, it would take the rest of the time too."""
        return id(state) in self._hung

    def _rank(self, state: TargetState) -> tuple[bool, bool, int]:
        return self.hung(state), not state.available(), self._tried[id(state)]


def reached(failure: UpstreamError) -> bool:
    """Whether a target had work with the attempt: not where no connection came about."""
    return bool(getattr(failure, "sent", True))


def moved(left: TargetState, to: TargetState) -> bool:
    """Whether a retry moves the call away from a target that is out, to one that works.

    Such a move is no storm: a target whose breaker has taken it out gets no more calls, so as
    many are moved as were under way there, once, and the targets that work see no more calls
    than callers make. Where no target works, no retry is a move.
    """
    return left is not to and left.breaker.state != "closed" and to.breaker.state == "closed"
