"""Query -> passages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from headgate_core.context import Context
from headgate_core.errors import HeadgateError, InvalidRequest, RetrievalFailed
from headgate_core.ports import Retriever
from headgate_core.types import Json
from headgate_gateway.plan import RoutePlan
from headgate_gateway.replies.chunks import message_text


def query_of(messages: list[Json], mode: Literal["last_user_message", "all_user_turns"]) -> str:
    """The search text: the last user message, or all user turns, the oldest first."""
    turns = [message_text(m) for m in messages if m.get("role") == "user"]
    turns = [t for t in turns if t]
    return "\n".join(turns[-1:] if mode == "last_user_message" else turns)


@dataclass(slots=True)
class Retrieve:
    """Fetches passages; what happens when that fails or finds nothing is the route's choice."""

    name: ClassVar[str] = "retrieve"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    retriever: Retriever
    query: Literal["last_user_message", "all_user_turns"]
    on_error: Literal["refuse", "degrade"]

    @classmethod
    def compile(cls, plan: RoutePlan) -> Retrieve | None:
        """Only where the route has a ``retrieval`` member."""
        settings = plan.settings.retrieval
        if plan.retriever is None or settings is None:
            return None
        return cls(plan.retriever, settings.query, settings.on_error)

    async def run(self, ctx: Context) -> None:
        """Set ``ctx.query`` and ``ctx.passages``. Raises ``RetrievalFailed``."""
        messages = ctx.request["messages"]
        ctx.query = query_of(messages, self.query)
        if not ctx.query:
            raise InvalidRequest("A user message with text is needed to search.", param="messages")
        try:
            ctx.passages = await self.retriever.retrieve(ctx.query, ctx.payer)
        except HeadgateError as error:
            if self.on_error == "refuse":
                raise RetrievalFailed(error.message, code=error.error_code) from error
            ctx.degraded.append(f"retrieve: {error.error_code}")
