"""What a route is compiled from: its effective settings and the parts its stages may use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from headgate_core.context import Context
from headgate_core.endpoints import Kind
from headgate_core.pipeline import Pipeline, Stage
from headgate_core.ports import Cache, Caller, Guards, Masker, Retriever
from headgate_core.records import FeedbackRecord, JournalLine
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.routes import Capture, RouteSettings
from headgate_core.types import Json, Principal
from headgate_gateway.in_flight import InFlight

if TYPE_CHECKING:
    from headgate_gateway.idempotency.claims import Claims
    from headgate_gateway.prompts.prompt import Prompt


class Keys(Protocol):
    """Looks keys up for the authenticate stage."""

    async def find(self, plain: str) -> Principal | None:
        """The principal of a key, or None when it is unknown, expired or revoked."""
        ...


Limits: TypeAlias = Sequence[tuple[str, int]]
"""Names with the requests per minute that they may make."""


class Limiter(Protocol):
    """Counts requests per minute."""

    async def take(self, limits: Limits) -> tuple[str, float] | None:
        """Take one of each, or none of any where one has no room.

        None when there was room, else the name that had none and the seconds until it has.
        Raises ``ServiceError`` when nobody can say.
        """
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
    on_feedback: Callable[[str, FeedbackRecord], None] | None = None
    """Telemetry, where it is told of feedback: the call's trace id, and what was stored."""
    store_away: Callable[[], str] = lambda: ""
    """Why the store cannot be used at present; empty when it can."""
    calls: InFlight = field(default_factory=InFlight)
    """Those that are going on by this configuration."""
    claims: Claims | None = None
    """Idempotency keys and their answers; None = not served."""
    models: Mapping[str, RoutePlan] = field(default_factory=dict)
    """Every name a caller may use as ``model``."""
    speaks: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Provider to the wires beside chat that its upstream speaks itself."""
    marks: Mapping[str, Callable[[str], bool]] = field(default_factory=dict)
    """Provider to which of its models take ``cache_control`` in chat; others take none."""


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
    wire: str = ""
    """The wire in which calls pass through untranslated; empty = they are chat."""
    one_state: bool = False
    """What is kept at an upstream is kept at one: all targets of this wire are one provider's."""
    marks: bool = False
    """Every target takes ``cache_control``, and no prompt puts other messages in their place."""
    natives: Mapping[str, RoutePlan] = field(default_factory=dict)
    """The plans for the wires that targets of the route speak themselves."""

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
