"""What a route is compiled from: its effective settings and the parts its stages may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from headgate_core.context import Context
from headgate_core.endpoints import Kind
from headgate_core.pipeline import Pipeline, Stage
from headgate_core.ports import Cache, Caller, Guards, Masker, Retriever
from headgate_core.records import JournalLine
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.routes import Capture, RouteSettings
from headgate_core.types import Json, Principal

if TYPE_CHECKING:
    from headgate_gateway.idempotency.claims import Claims
    from headgate_gateway.prompts.prompt import Prompt


class Keys(Protocol):
    """Looks keys up for the authenticate stage."""

    async def find(self, plain: str) -> Principal | None:
        """The principal of a key, or None when it is unknown, expired or revoked."""
        ...


class Limiter(Protocol):
    """Counts requests per minute."""

    async def take(self, name: str, per_minute: int) -> float | None:
        """Take one; None when there was room, else the seconds until there is."""
        ...


@dataclass(slots=True)
class Parts:
    """What all routes of a gateway share."""

    settings: GatewaySettings
    keys: Keys
    limiter: Limiter
    caller: Caller
    journal: Callable[[JournalLine], None]
    hooks: list[Callable[[Context], None]] = field(default_factory=list)
    """Called with each finished call: online scoring, telemetry."""
    claims: Claims | None = None
    """Idempotency keys and their answers; None = not served."""
    models: Mapping[str, RoutePlan] = field(default_factory=dict)
    """Every name a caller may use as ``model``."""


@dataclass(slots=True)
class RoutePlan:
    """One route before and after compilation. ``bare`` marks a pool called by its own name."""

    name: str
    settings: RouteSettings
    parts: Parts
    hash: str
    capture: Capture
    parameters: Json
    bare: bool = False
    serves: Kind = "chat"
    """What the route's pool serves; other kinds than chat are called at their own endpoint."""
    guards: Guards | None = None
    retriever: Retriever | None = None
    prompt: Prompt | None = None
    cache: Cache | None = None
    masker: Masker | None = None
    """There whenever ``capture`` is ``masked``."""
    replaced: frozenset[str] = frozenset()
    """Stages that an evaluation replaces."""
    pipeline: Pipeline = field(default_factory=lambda: Pipeline(()))

    @property
    def text(self) -> bool:
        """Whether any stage needs the reply's text; False = bytes are forwarded untouched."""
        if self.serves != "chat":
            return False
        guarded = self.guards is not None and (
            self.guards.guards("output") or self.guards.guards("tool_calls")
        )
        return bool(guarded or self.retriever or self.cache or self.capture != "none")


class StageClass(Protocol):
    """A stage module's class: ``compile`` returns None when the route has nothing for it to do."""

    @classmethod
    def compile(cls, plan: RoutePlan) -> Stage | None:
        """The stage for this route, or None."""
        ...
