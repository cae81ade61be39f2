"""Model access and requests per minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.errors import Forbidden, RateLimited, StoreError
from headgate_core.types import Principal
from headgate_gateway.plan import Limiter, RoutePlan


def may_use(principal: Principal, plan: RoutePlan) -> bool:
    """Whether this key may name this route, one of its aliases or this bare pool."""
    named = {plan.name, *plan.settings.aliases}
    if principal.models:
        return bool(named.intersection(principal.models))
    rule = plan.parts.settings.defaults.bare_pools
    if not plan.bare or rule == "any":
        return True
    return rule == "granted" and "bare_pools" in principal.permissions


@dataclass(slots=True)
class Admit:
    """Ends the call with 403 or 429, or with 503 where nothing may go on without the store."""

    name: ClassVar[str] = "admit"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    plan: RoutePlan
    limiter: Limiter
    team_limits: dict[str, int]

    @classmethod
    def compile(cls, plan: RoutePlan) -> Admit:
        """Every route has it."""
        teams = plan.parts.settings.teams
        limits = {
            t.name: t.limits.requests_per_minute for t in teams if t.limits.requests_per_minute
        }
        return cls(plan, plan.parts.limiter, limits)

    async def run(self, ctx: Context) -> None:
        """Raises ``Forbidden``, ``RateLimited`` (naming the limit) or ``ServiceError``."""
        principal = ctx.payer
        settings = self.plan.parts.settings.store
        if settings.when_away == "refuse" and self.plan.parts.store_away():
            said = "The gateway's database is away, and no call goes on without it."
            raise StoreError(said, message=said)
        if not may_use(principal, self.plan):
            raise Forbidden(
                f"The key {principal.name!r} may not use {ctx.asked_model!r}.",
                param="model",
                code="model_not_allowed",
            )
        limits = dict(self._limits(principal))
        full = await self.limiter.take(list(limits.items())) if limits else None
        if full is not None:
            scope, wait = full
            raise RateLimited(
                f"The limit of {limits[scope]} requests per minute of {scope} is used up; "
                f"there is room again in {wait:.1f} s.",
                retry_after_s=wait,
            )
        ctx.may_capture = True

    def _limits(self, principal: Principal) -> Iterator[tuple[str, int]]:
        if principal.requests_per_minute:
            yield f"key {principal.key_id}", principal.requests_per_minute
        if principal.team in self.team_limits:
            yield f"team {principal.team}", self.team_limits[principal.team]
        if self.plan.settings.limits.requests_per_minute:
            yield f"route {self.plan.name}", self.plan.settings.limits.requests_per_minute
