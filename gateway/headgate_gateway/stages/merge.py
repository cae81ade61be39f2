"""The route's parameters in the words of the wire that a call passes through in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.types import Json
from headgate_gateway.merging import Merging, merging_of, no_inputs
from headgate_gateway.native import worded
from headgate_gateway.plan import RoutePlan


@dataclass(slots=True)
class Merge:
    """What ``render`` does where the request is no chat: the caller's parameters over the route's,
    except ``locked``, for a target that speaks the wire and for one that is asked by translation.
    """

    name: ClassVar[str] = "render"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    wire: str
    merging: Merging
    locked: frozenset[str]

    @classmethod
    def compile(cls, plan: RoutePlan) -> Merge:
        """Every such route has it: the bound on the tokens goes upstream."""
        locked = frozenset(worded(dict.fromkeys(plan.settings.locked), plan.wire))
        return cls(plan.wire, merging_of(plan), locked)

    async def run(self, ctx: Context) -> None:
        """Set ``ctx.parameters``; the body for other targets has its own. Raises ``InvalidRequest``
        for inputs of a prompt: such a route has none."""
        no_inputs(ctx.inputs)
        said = worded(self.merging.own(), self.wire)
        ctx.parameters = {
            k: v for k, v in said.items() if k in self.locked or ctx.request.get(k) is None
        }
        if ctx.as_chat is not None:
            spoken = ctx.as_chat
            ctx.as_chat = lambda: self._chat(spoken())

    def _chat(self, body: Json) -> Json:
        body = dict(body)
        return {**body, **self.merging.merged(body, {})}
