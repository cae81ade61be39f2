"""Template + inputs + passages + history -> messages; whose parameters win."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from headgate_core.context import Context
from headgate_core.errors import InvalidRequest
from headgate_core.types import Json
from headgate_gateway.merging import Merging, merging_of, no_inputs
from headgate_gateway.plan import RoutePlan
from headgate_gateway.replies.refusal import nothing_found

if TYPE_CHECKING:
    from headgate_gateway.prompts.prompt import Prompt


@dataclass(slots=True)
class Render:
    """Fills the prompt and merges parameters: caller over route over prompt, except ``locked``."""

    name: ClassVar[str] = "render"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = True
    prompt: Prompt | None
    merging: Merging
    needs_passages: bool = False
    """``retrieval.when_empty: refuse``, decided after guards and budgets have taken theirs."""

    @classmethod
    def compile(cls, plan: RoutePlan) -> Render:
        """Every route has it: the bound on ``max_tokens`` goes upstream."""
        retrieval = plan.settings.retrieval
        needs = retrieval is not None and retrieval.when_empty == "refuse"
        return cls(plan.prompt, merging_of(plan), needs)

    async def run(self, ctx: Context) -> None:
        """Set ``ctx.messages`` and ``ctx.parameters``. Raises ``InvalidRequest`` or ``Ended``."""
        from_prompt: Json = {}
        if ctx.prompt_asked:
            self._same_prompt(ctx.prompt_asked)
        if self.prompt is not None:
            messages = ctx.request["messages"]
            rendered = self.prompt.render(ctx.inputs, ctx.passages, messages)
            ctx.messages = rendered.messages
            ctx.passages = list(rendered.passages)
            from_prompt = rendered.parameters
            if self.needs_passages and not ctx.passages:
                nothing_found(ctx)
            ctx.prompt = f"{self.prompt.name}@{self.prompt.version}"
            ctx.degraded.extend(f"render: {cut}" for cut in rendered.trimmed)
        else:
            no_inputs(ctx.inputs)
        ctx.request = dict(ctx.request)
        ctx.parameters = self.merging.merged(ctx.request, from_prompt)

    def _same_prompt(self, asked: str) -> None:
        own = self.prompt
        if own is None or asked not in (own.name, f"{own.name}@{own.version}"):
            has = f"has the prompt {own.name}@{own.version}" if own else "has no prompt"
            raise InvalidRequest(
                f"The route {has}, not {asked!r}. Leave `prompt.id` out or name it.",
                param="prompt.id",
            )
