"""Which target of a pool each try of one call goes to, and which tries are extra load."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

from headgate_core.errors import UpstreamError, UpstreamTimeout
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.retry_budget import Cost
from headgate_gateway.routing.target_state import TargetState


class Turns:
    """The tries of one call in one pool: ``retries.attempts`` of them, in the strategy's order.

    Every target is tried once before any is tried again; one that has become unavailable since
    the call began comes late, and one that let a timer run out in this call comes last. One that
    was unavailable from the beginning is tried only when it has come back meanwhile.
    """

    def __init__(self, pool: Pool, *, stream: bool = True) -> None:
        self._room = pool.queue.room
        self._spare = pool.retries.spare
        self._order = pool.order(stream=stream)
        chosen = {id(state) for state in self._order}
        rest = [state for state in pool.states if id(state) not in chosen]
        self._outside = {id(state) for state in rest}
        self._order += rest
        self._most = pool.settings.retries.attempts
        self._tried: Counter[int] = Counter()
        self._hung: set[int] = set()
        self._left: tuple[TargetState, UpstreamError] | None = None

    def __iter__(self) -> Iterator[TargetState]:
        """The target of each try as it looks before it; ``tried`` says which one it was."""
        for _ in range(self._most):
            wanted = self.wanted()
            yield next(filter(self._room, wanted), wanted[0])

    def wanted(self) -> list[TargetState]:
        """The targets that are as good as the best one now, best first; where all of them are
        full, the call waits for one of them rather than go to a worse one."""
        ranks = [self._rank(state) for state in self._order]
        best = min(ranks)
        return [state for state, rank in zip(self._order, ranks, strict=True) if rank == best]

    def tried(self, state: TargetState) -> None:
        """A try went to the target, or was forgone."""
        self._tried[id(state)] += 1

    def failed(self, state: TargetState, failure: UpstreamError) -> None:
        """The target failed just now; ``connect_s`` is short and leaves time to try again."""
        self._left = state, failure
        if isinstance(failure, UpstreamTimeout) and (failure.sent or failure.timer):
            self._hung.add(id(state))

    def last(self, state: TargetState) -> bool:
        """Whether a try at the target, which is available, is the last hope that the pool has."""
        others = (one for one in self._order if one is not state and not self._tried[id(one)])
        return state.available() and not any(one.available() for one in others)

    def hung(self, state: TargetState) -> bool:
        """Whether it let a timer run out: asked again, it would take the rest of the time too."""
        return id(state) in self._hung

    def _rank(self, state: TargetState) -> tuple[bool, bool, bool, int]:
        out = not state.available()
        outside = id(state) in self._outside and not state.available(spare=self._spare())
        return outside, self.hung(state), out, self._tried[id(state)]

    def cost(self, to: TargetState) -> Cost:
        """What a try at the target costs the budget of retries, after what has failed so far."""
        if self._left is None:
            return "nothing"
        left, failure = self._left
        if not reached(failure):
            return "nothing"
        return "debt" if self._replaced(left, to) or moved(left, to) else "token"

    def _replaced(self, left: TargetState, to: TargetState) -> bool:
        """Whether a retry only puts another target in the place of one that said nothing.

        ``to`` must work and keep up with its calls. Then this is no storm, however often it
        happens: it sees each call once, as it would if the silent target were not there, and it
        answers them. Where the calls are too many for all targets, none keeps up.
        """
        steady = to.silence.steady(asyncio.get_running_loop().time())
        return left is not to and self.hung(left) and to.works() and steady


def reached(failure: UpstreamError) -> bool:
    """Whether a target had work with the attempt: not where no connection came about."""
    return bool(getattr(failure, "sent", True))


def moved(left: TargetState, to: TargetState) -> bool:
    """Whether a retry moves the call away from a target that is out or rests, to one that works.

    Such a move is no storm: a target that is out or rests gets no more calls, so as many are
    moved as were under way there, once, and the targets that work see no more calls than callers
    make. Where no target works, no retry is a move. What the budget does not cover is owed to
    it, and a resting target is tried again only when there is a retry to spare for that.
    """
    return left is not to and not left.works() and to.works()
