"""Checks on everything that the caller wrote and a model or a tool could read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar

from headgate_core.context import Context
from headgate_core.errors import InvalidRequest
from headgate_core.ports import Guards, Stopped
from headgate_core.types import At, Verdict
from headgate_gateway.caller_texts import CallerTexts, Parts, Place, at_least, copied
from headgate_gateway.part_runs import WAYS, Run, runs_of
from headgate_gateway.plan import RoutePlan
from headgate_gateway.replies.refusal import refuse
from headgate_gateway.text_blocks import Blocks

_UNREAD = frozenset({"messages", "model"})
"""Members that are sorted by themselves, or name a route of ours."""
MANY = 5000
"""Members and items of a request that are sorted in a thread: the event loop would feel it."""


@dataclass(slots=True)
class GuardInput:
    """Masks the caller's texts, or ends the call with the policy's refusal."""

    name: ClassVar[str] = "guard_input"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    guards: Guards

    @classmethod
    def compile(cls, plan: RoutePlan) -> GuardInput | None:
        """Only where a policy looks at the input or at tool results."""
        guards = plan.guards
        if guards is None or not (guards.guards("input") or guards.guards("tool_results")):
            return None
        return cls(guards)

    async def run(self, ctx: Context) -> None:
        """Every text on its own. What a block leaves unchecked is never kept.

        Raises ``Ended`` or ``Blocked`` on a block, and ``InvalidRequest`` for what cannot be
        masked.
        """
        ctx.may_capture = False
        request, inputs, found = (
            await asyncio.to_thread(_sorted, ctx)
            if at_least((ctx.request, ctx.inputs), MANY)
            else _sorted(ctx)
        )
        held: set[str] = set()
        try:
            for at, sorted_ in found.items():
                if self.guards.guards(at):
                    held |= await _Checking(self.guards, at, ctx.verdicts).run(sorted_)
        except Stopped as stop:
            refuse(ctx, stop)
        _replace_ids([place for sorted_ in found.values() for place in sorted_.ids], held)
        ctx.request, ctx.inputs = request, inputs
        ctx.may_capture = True


@dataclass(slots=True)
class _Checking:
    """The checks of one place on what belongs to it."""

    guards: Guards
    at: At
    verdicts: list[Verdict]

    async def run(self, found: CallerTexts) -> set[str]:
        """Check all of it; returns what must not go on as an id.

        Raises ``Stopped``, ``GuardFailed`` and ``InvalidRequest``.
        """
        blocks = Blocks(self.guards, self.at, self.verdicts)
        await blocks.mask(found.texts)
        await self._together(found.lists)
        for place in await blocks.held(found.fixed, all_of_them=False):
            raise _cannot_mask(place)
        return {place.text for place in await blocks.held(found.ids, all_of_them=True)}

    async def _together(self, lists: Sequence[Parts]) -> None:
        """What is found only where parts meet makes one part of those that it touches, masked.

        Models get them in one piece or with line ends between, so they are looked at in all ways.
        """
        found: list[Verdict] = []
        clean: set[tuple[int, int, str]] = set()
        try:
            for way in WAYS:
                await self._one_way(lists, way, clean, found)
        finally:
            known = {(v.subject, _what(v)) for v in self.verdicts}
            said = {(v.subject, _what(v)): v for v in found}
            self.verdicts += [v for what, v in said.items() if what not in known]

    async def _one_way(
        self,
        lists: Sequence[Parts],
        way: frozenset[int],
        clean: set[tuple[int, int, str]],
        found: list[Verdict],
    ) -> None:
        places: list[Place] = []
        for parts in lists:
            for run in runs_of(parts.content):
                run.join(way)
                key = id(parts.content), run.start, run.text
                if key not in clean:
                    clean.add(key)
                    places.append(Place(parts.content, run, run.text, parts.subject))
        dirty = await Blocks(self.guards, self.at, found).replaced(places)
        for place, replaced in sorted(dirty, key=lambda one: -one[0].member.start):
            joined: Run = place.member
            inside = slice(joined.start, joined.start + len(joined.texts))
            place.holder[inside] = joined.merged(replaced, place.holder[inside])


def _sorted(ctx: Context) -> tuple[Any, Any, dict[At, CallerTexts]]:
    """Copies of what the caller wrote, and their strings by the place that they are checked at."""
    request, inputs = copied(ctx.request), copied(ctx.inputs)
    found: dict[At, CallerTexts] = {"input": CallerTexts(), "tool_results": CallerTexts()}
    for number, message in enumerate(request["messages"], 1):
        at: At = "tool_results" if message.get("role") in ("tool", "function") else "input"
        found[at].message(message, f"message {number}")
    for name in [name for name in request if name not in _UNREAD]:
        found["input"].member(request, name)
    for name in inputs:
        found["input"].input(inputs, name)
    return request, inputs, found


def _replace_ids(places: Sequence[Place], held: set[str]) -> None:
    """An id stands in several messages: it gets the same replacement in all of them."""
    taken = {place.text for place in places} - held
    free = (made for number in count() if (made := f"call_{number}") not in taken)
    own: dict[str, str] = {}
    for place in places:
        if place.text in held:
            if place.text not in own:
                own[place.text] = next(free)
            place.holder[place.member] = own[place.text]


def _what(verdict: Verdict) -> Any:
    return verdict.policy, verdict.check, verdict.action, frozenset(verdict.kinds)


def _cannot_mask(place: Place) -> InvalidRequest:
    member = "messages" if place.subject.startswith("message ") else place.subject
    named = place.member is None or place.member in ("name", "role")
    return InvalidRequest(
        f"{'A name' if named else 'A string'} in {member} holds what the guards of this model "
        f"mask. It cannot be masked there, because it would mean something else: leave it out.",
        param=member if " " not in member else None,
    )
