"""What of a reply a guarded route lets through: known members of the known kind, all checked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace

from headgate_core.errors import GuardFailed
from headgate_core.ids import uuid7
from headgate_core.ports import Guards, Stopped
from headgate_core.types import At, Json, Verdict
from headgate_gateway.replies.first_pieces import FirstPieces
from headgate_gateway.replies.flat_texts import flatten
from headgate_gateway.replies.sieve_walk import KNOWN, NamePlace, Place, Walk, take_out
from headgate_gateway.replies.texts import TOGETHER, giving_way
from headgate_gateway.replies.tool_numbers import ToolNumbers

LONGEST_LABEL = 64 * 1024
"""Characters of a label, such as the signature of a thought; longer ones are taken out."""
LONGEST_NAME = 256
"""Characters of a function's name that comes in pieces; what goes beyond is taken out."""
MOST_NAMED = 32
"""Names of what was taken out that one call lists: they go into a header."""
WITHHELD = "The answer calls a function by a name that is not allowed here."
_CONSTANT = frozenset(
    {"assistant", "stop", "length", "tool_calls", "function_call", "content_filter", "function"}
    | {"chat.completion", "chat.completion.chunk", "custom", "default", "auto", "url_citation", ""}
)
"""Labels that need no check."""
_ALL: tuple[At, ...] = ("output", "tool_calls")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}")


class Sieve:
    """Sorts out each body of one reply before its texts are followed.

    Labels (ids, the model's name, reasons, roles, member names) are never masked: one in which a
    check finds something is taken out, or replaced by the one of ``own``. What no check can read
    (encoded bytes, ``logprobs``, unknown members of a stream) is taken out. ``dropped`` names it.
    """

    def __init__(
        self, guards: Guards, verdicts: list[Verdict], dropped: list[str], own: Mapping[str, str]
    ) -> None:
        self._guards = guards
        self._verdicts = verdicts
        self._dropped = dropped
        self._own = {"finish_reason": "stop", **own}
        self._at = [at for at in _ALL if guards.guards(at)]
        self._numbers = ToolNumbers()
        self._firsts = FirstPieces()
        self._passing: dict[str, bool] = dict.fromkeys(_CONSTANT | KNOWN, True)
        """Labels seen so far and whether they pass."""
        self._calls: dict[str, str] = {}
        """Ids of calls that must not pass, each with the one that goes out in its place."""
        self._names: dict[tuple[int, str], str] = {}
        """Functions' names as far as they have come."""
        self._allowed: set[str] = set()
        """Functions' names that may go out."""

    async def sift(self, body: Json, *, stream: bool) -> None:
        """Leave in ``body`` what may go out, and the texts that are followed.

        Raises ``Stopped`` and ``GuardFailed``.
        """
        walk = Walk(stream, self._firsts)
        walk.one_holder(body)
        parts = flatten(body)
        self._numbers.assign(body)
        walk.body(body)
        await self._look(walk)
        async for name in giving_way(walk.names):
            await self._name(name)
        async for text in giving_way(walk.texts):
            await self._text(text)
        self._apply(walk)
        for trail in parts:
            self._drop(trail)

    def _apply(self, walk: Walk) -> None:
        for place in walk.labels:
            if not self._passing[place.holder[place.member]]:
                self._replace(place)
        for place in walk.keys:
            if not self._passing[place.member]:
                take_out(place.holder, place.member)
                self._drop(self._shown(place.trail))
        for place in walk.out:
            self._drop(self._shown(place.trail))

    async def _look(self, walk: Walk) -> None:
        """Have all labels that are new checked, many at once."""
        found = [place.holder[place.member] for place in walk.labels]
        found += [p.member for p in (*walk.keys, *walk.out) if isinstance(p.member, str)]
        new = list({label for label in found if label not in self._passing})
        for start in range(0, len(new), TOGETHER):
            some = new[start : start + TOGETHER]
            passing = await asyncio.gather(*map(self._clean, some))
            self._passing.update(zip(some, passing, strict=True))

    async def _clean(self, label: str) -> bool:
        if len(label) > LONGEST_LABEL:
            return False
        try:
            return all(
                [await self._guards.check(at, label, "label", []) == label for at in self._at]
            )
        except (Stopped, GuardFailed):
            return False

    async def _name(self, place: NamePlace) -> None:
        """A masked name is the name of no function, so what would be masked is blocked.

        Some servers repeat it in every piece of a stream; a client would join the repeats. Pieces
        of one are checked as far as they have come: none goes out before the whole has come.
        """
        key, name = (place.choice, place.call), place.holder["name"]
        known = self._names.get(key, "")
        if name == known:
            del place.holder["name"]
            return
        if known and len(known) + len(name) > LONGEST_NAME:
            del place.holder["name"]
            self._drop(self._shown(place.trail))
            return
        self._names[key] = known + name
        if known + name in self._allowed:
            return
        for at in self._at:
            await self._allow(at, known + name, f"choice {place.choice} tool {place.call} name")
        self._allowed.add(known + name)

    async def _allow(self, at: At, name: str, subject: str) -> None:
        found: list[Verdict] = []
        try:
            cleared = await self._guards.check(at, name, subject, found)
        except Stopped:
            self._verdicts += found
            raise
        if cleared != name:
            found = [replace(v, action="block") if v.action == "mask" else v for v in found]
            self._verdicts += found
            last = next(v for v in found if v.action == "block" and v.mode == "enforce")
            raise Stopped(last.policy, last.check, WITHHELD, as_error=False)

    async def _text(self, place: Place) -> None:
        text = place.holder[place.member]
        cleared = await self._guards.check("output", text, place.trail[:80], self._verdicts)
        place.holder[place.member] = cleared or ""

    def _replace(self, place: Place) -> None:
        label, name = place.holder[place.member], place.member
        if place.trail in self._own:
            place.holder[name] = self._own[place.trail]
        elif place.trail.endswith("tool_calls.id"):
            place.holder[name] = self._calls.setdefault(label, _own_id())
        else:
            take_out(place.holder, name)
        self._drop(self._shown(place.trail))

    def _shown(self, trail: str) -> str:
        """A member's own name may be what must not go out, or unfit for a header."""
        return ".".join(
            name if self._passing.get(name) and _PLAIN_NAME.fullmatch(name) else "?"
            for name in trail.split(".")
        )

    def _drop(self, name: str) -> None:
        if name not in self._dropped and len(self._dropped) < MOST_NAMED:
            self._dropped.append(name)


def _own_id() -> str:
    """An id that no other call has, of those to come included."""
    return f"call_{uuid7().replace('-', '')}"
