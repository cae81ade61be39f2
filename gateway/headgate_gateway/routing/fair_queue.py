"""Places at targets, and the line of those who wait for one: bounded, and fair to principals."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from headgate_core.errors import Overloaded
from headgate_gateway.routing.target_state import TargetState

LOOK_S = 0.25
"""So often those who wait look again: a target may have come back without a place given back."""

LOOKED_AT = 200
"""So many of those who wait are asked what they want in one look; the next look goes on there."""

Wanted = Callable[[], Sequence[TargetState]]
"""The targets that a call may be sent to now, best first. A call that waits is asked again."""


class Place:
    """One place at a target, until it is given back; giving it back again does nothing.

    As a context it is given back when an error leaves it: a reply that has begun keeps it.
    """

    def __init__(self, state: TargetState, freed: Callable[[str], None]) -> None:
        self.state = state
        self._name = state.target.name  # a reload may give the state another target
        self._freed: Callable[[str], None] | None = freed

    def give_back(self) -> None:
        """Let somebody else have it."""
        freed, self._freed = self._freed, None
        if freed is not None:
            freed(self._name)

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.give_back()


@dataclass(slots=True, eq=False)
class _Waiter:
    who: str
    wanted: Wanted
    n: int
    """How many came before it."""
    again: bool
    place: asyncio.Future[Place] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


def _last_to_wait(line: deque[_Waiter]) -> tuple[int, bool, int]:
    """The greatest is the line that makes room for others: one that waits for its first try, and
    came last, where several are as long."""
    newest = line[-1]
    return len(line), not newest.again, newest.n


class FairQueue:
    """Each target has ``places``; at most ``waiting`` callers wait, each ``wait_s`` at most.

    A place that comes free goes to the principal whose turn it is of those who can use it, first
    by the heads of their lines, so one principal with a thousand calls delays another by one call,
    not by a thousand. In a queue that is full, the principal with the longest line makes room for
    one with a shorter line; of several, the one whose newest call came last.
    Targets are counted by name. ``places`` without end are counted too, and nobody waits.
    """

    def __init__(
        self, places: float = math.inf, waiting: int = 0, wait_s: float = math.inf
    ) -> None:
        self._places = places
        self._most = waiting
        self._wait_s = wait_s
        self._taken: Counter[str] = Counter()
        self._handed: Counter[str] = Counter()
        """Places whose new owners do not know it yet."""
        self._lines: OrderedDict[str, deque[_Waiter]] = OrderedDict()
        self._look: asyncio.TimerHandle | None = None
        self._looked_at = 0
        """So many of the waiters the latest looks have asked in vain."""
        self._count = itertools.count()

    @property
    def length(self) -> int:
        """How many wait now."""
        return sum(map(len, self._lines.values()))

    @property
    def taken(self) -> int:
        """How many places are taken now, at all targets together."""
        return self._taken.total()

    def room(self, state: TargetState) -> bool:
        """Whether the target has a free place."""
        return self._taken[state.target.name] < self._places

    def resize(self, other: FairQueue) -> None:
        """Take over the bounds of ``other``; places that are too many go as they are given back."""
        self._places, self._most, self._wait_s = other._places, other._most, other._wait_s
        self._serve_all()

    def at_once(self, state: TargetState) -> Place | None:
        """A place at this target; None = it has none left for somebody who does not wait."""
        if self._lines and self.room(state):
            self._serve_all()
        return self._take(state) if self.room(state) else None

    async def take(
        self,
        principal: str,
        wanted: Wanted,
        at_most_s: float = math.inf,
        *,
        again: bool = False,
    ) -> Place:
        """Wait for a place at one of the targets. Raises ``Overloaded`` when too many wait, or
        none came free in time.

        ``at_most_s`` is what is left of the call's own time; the tighter of the two limits wins.
        A call that has had a place before (``again``) goes before its principal's other calls.
        """
        free = self._free_one(wanted)
        place = self.at_once(free) if free is not None else None
        if place is not None:
            return place
        self._make_room(principal, again=again)
        waiter = _Waiter(principal, wanted, next(self._count), again)
        line = self._lines.setdefault(principal, deque())
        ahead = sum(one.again for one in line)
        line.insert(ahead if again else len(line), waiter)
        self._look_again()
        wait_s = min(self._wait_s, at_most_s)
        try:
            async with asyncio.timeout(wait_s):
                place = await waiter.place
        except TimeoutError:
            self._leave(waiter)
            limit = f"queue.wait_s = {wait_s:g}"
            if wait_s < self._wait_s:
                limit = f"the {wait_s:g} s that the call had left"
            raise Overloaded(f"No place came free within {limit}.", retry_after_s=1) from None
        except BaseException:
            self._leave(waiter)
            raise
        self._handed[place.state.target.name] -= 1
        return place

    def _make_room(self, principal: str, *, again: bool) -> None:
        """Have a place in line for the principal. Raises ``Overloaded``.

        The longest line loses its newest call where it stays at least as long as the principal's,
        and for the sake of a call that has begun already.
        """
        if self.length < self._most:
            return
        full = f"{self._most} calls wait for this pool already"
        own = 0 if again else len(self._lines.get(principal, ())) + 1
        lines = self._lines.values()
        longest = max(lines, key=_last_to_wait, default=deque[_Waiter]())
        if len(longest) <= own:
            raise Overloaded(f"{full}.", retry_after_s=1)
        newest = longest[-1]
        self._remove(newest)
        if not newest.place.done():
            said = f"{full}, and nobody has more of them than you."
            newest.place.set_exception(Overloaded(said, retry_after_s=1))

    def _take(self, state: TargetState) -> Place:
        self._taken[state.target.name] += 1
        return Place(state, self._freed)

    def _freed(self, name: str) -> None:
        self._taken[name] -= 1
        while self._taken[name] < self._places and self._serve_one():
            pass

    def _serve_all(self) -> None:
        while self._serve_one():
            pass

    def _serve_one(self, since: int = 0) -> bool:
        """Hand a free place to the first waiter in turn who can use it, if there is one among so
        many of them from the one at ``since`` on."""
        for waiter in itertools.islice(self._in_turn(), since, since + LOOKED_AT):
            state = None if waiter.place.done() else self._free_one(waiter.wanted)
            if state is None:
                continue
            self._lines.move_to_end(waiter.who)
            self._remove(waiter)
            self._handed[state.target.name] += 1
            waiter.place.set_result(self._take(state))
            return True
        return False

    def _in_turn(self) -> Iterator[_Waiter]:
        """The heads of all lines, then those who come next in each of them, and so on."""
        rounds = itertools.zip_longest(*self._lines.values())
        return filter(None, itertools.chain.from_iterable(rounds))

    def _free_one(self, wanted: Wanted) -> TargetState | None:
        free = (s for s in wanted() if self.room(s) and not self._probed(s))
        return next(free, None)

    def _probed(self, state: TargetState) -> bool:
        """Whether the one call that may try a target out has been chosen, but is not sent yet."""
        handed = self._handed[state.target.name] > 0
        return handed and not state.works() and state.available()

    def _look_again(self) -> None:
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(LOOK_S, self._looked)

    def _looked(self) -> None:
        self._look = None
        self._serve_all()
        if self._looked_at:
            while self._serve_one(self._looked_at):
                pass
        self._looked_at += LOOKED_AT
        if self._looked_at >= self.length:
            self._looked_at = 0
        if self._lines:
            self._look_again()

    def _leave(self, waiter: _Waiter) -> None:
        if not waiter.place.done() or waiter.place.cancelled():
            self._remove(waiter)
        elif waiter.place.exception() is None:  # handed over at the very moment of giving up
            place = waiter.place.result()
            self._handed[place.state.target.name] -= 1
            place.give_back()

    def _remove(self, waiter: _Waiter) -> None:
        line = self._lines.get(waiter.who)
        if line is None or waiter not in line:
            return
        line.remove(waiter)
        if not line:
            del self._lines[waiter.who]
        if not self._lines and self._look is not None:
            self._look.cancel()
            self._look = None
