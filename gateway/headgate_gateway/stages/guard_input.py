"""Checks on everything that the caller wrote and a model or a tool could read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from headgate_core.context import Context
from headgate_core.errors import InvalidRequest
from headgate_core.ports import Guards, Stopped
from headgate_core.types import At, Verdict
from headgate_gateway.caller_texts import CallerTexts, Place, Run, copied, text_of
from headgate_gateway.plan import RoutePlan
from headgate_gateway.replies.refusal import refuse

_UNREAD = frozenset({"messages", "model"})
"""Members that are sorted by themselves, or name a route of ours."""


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
        request, inputs = copied(ctx.request), copied(ctx.inputs)
        found: dict[At, CallerTexts] = {"input": CallerTexts(), "tool_results": CallerTexts()}
        for number, message in enumerate(request["messages"], 1):
            at: At = "tool_results" if message.get("role") in ("tool", "function") else "input"
            found[at].message(message, f"message {number}")
        for name in [name for name in request if name not in _UNREAD]:
            found["input"].member(request, name)
        for name in inputs:
            found["input"].input(inputs, name)
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
        for place in found.texts:
            cleared = await self.guards.check(self.at, place.text, place.subject, self.verdicts)
            place.holder[place.member] = cleared or ""
        for run in reversed(found.runs):
            await self._together(run)
        held = await self._held([*found.fixed, *found.ids])
        for place in found.fixed:
            if place.text in held:
                raise _cannot_mask(place)
        return held

    async def _together(self, run: Run) -> None:
        """What is found only where parts meet makes one part of them, masked."""
        parts = run.content[run.start : run.end]
        texts = [text_of(part) or "" for part in parts]
        joined = "".join(texts)
        found: list[Verdict] = []
        try:
            cleared = await self.guards.check(self.at, joined, run.subject, found)
        finally:
            known = {_what(v) for v in self.verdicts if v.subject == run.subject}
            self.verdicts += [v for v in found if _what(v) not in known]
        if cleared != joined:
            whole = cleared or ""
            if all(isinstance(part, dict) for part in parts):
                merged = {k: v for part in parts for k, v in part.items()}
                run.content[run.start : run.end] = [{**merged, "text": whole}]
            else:
                run.content[run.start : run.end] = [whole]

    async def _held(self, places: Sequence[Place]) -> set[str]:
        """Which of the strings must not go out. All are looked at together, as most are clean."""
        first = {place.text: place.subject for place in reversed(places)}
        if not first or await self._clean("\n".join(first)):
            return set()
        held = set()
        for text, subject in reversed(first.items()):
            found: list[Verdict] = []
            try:
                cleared = await self.guards.check(self.at, text, subject, found)
            finally:
                self.verdicts += [
                    replace(v, action="block") if v.action == "mask" else v for v in found
                ]
            if cleared != text:
                held.add(text)
        return held

    async def _clean(self, text: str) -> bool:
        found: list[Verdict] = []
        try:
            return await self.guards.check(self.at, text, "names", found) == text and not found
        except Stopped:
            return False


def _replace_ids(places: Sequence[Place], held: set[str]) -> None:
    """An id stands in several messages: it gets the same replacement in all of them."""
    own: dict[str, str] = {}
    for place in places:
        if place.text in held:
            place.holder[place.member] = own.setdefault(place.text, f"call_{len(own)}")


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
