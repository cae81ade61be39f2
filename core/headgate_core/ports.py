"""The contracts. Components meet here: each protocol is one noun with as few methods as it needs.

A plugin is a dataclass whose fields are its options. If it has ``bind(tools)``, the builder calls
it once after construction; if it has ``async close()``, the builder calls that at shutdown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from headgate_core.endpoints import CHAT
from headgate_core.records import JournalLine
from headgate_core.reply import Event, Reply, Sending
from headgate_core.types import (
    At,
    Json,
    Passage,
    Principal,
    Purpose,
    Sample,
    Score,
    Span,
    Told,
    Verdict,
)

if TYPE_CHECKING:
    from headgate_core.context import Context
    from headgate_core.settings.gateway import GatewaySettings
    from headgate_core.settings.pools import TimeoutSettings
    from headgate_core.settings.retrieval import RetrievalSettings
    from headgate_core.store import Store


@dataclass(slots=True)
class ModelRequest:
    """What is asked of a model: an OpenAI body whose ``model`` the routing fills in per target."""

    body: Json
    stream: bool = False
    parsed: bool = False
    """True: the caller needs ``Chunk`` events; False: ``Raw`` bytes will do."""
    timeouts: TimeoutSettings | None = None
    """The pool's timers, set by the routing; a provider applies ``connect_s`` itself."""
    context: Context | None = None
    """The call this belongs to; in-process models take their passages from it."""
    endpoint: str = CHAT
    """The upstream's endpoint below ``/v1``: others than chat go to ``Forwarder.forward``."""
    as_chat: Callable[[], Json] | None = None
    """The same as a chat body, for targets that do not speak ``endpoint``; may raise
    ``InvalidRequest``. None where there is no such body."""
    sending: Sending = field(default_factory=Sending)
    """This attempt's own; a provider that knows when its connection stands says so here."""


@dataclass(frozen=True, slots=True)
class Target:
    """One model at one provider, as a pool names it."""

    provider: str
    model: str
    weight: float = 1.0

    @property
    def name(self) -> str:
        """``provider/model``: how headers and records name it."""
        return f"{self.provider}/{self.model}"


class Provider(Protocol):
    """A way to reach models. ``UpstreamError`` says what happened; policy lives elsewhere."""

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        """Send one chat completion; returns once the status is known. Not retried here."""
        ...


class Caller(Protocol):
    """The only way to a model: routed, budgeted, priced and recorded alike."""

    async def call(
        self,
        pool: str,
        request: ModelRequest,
        purpose: Purpose,
        principal: Principal,
        parent: Context | None = None,
    ) -> Reply:
        """Choose a target of ``pool`` and call it. Attempts go onto ``parent`` and the journal."""
        ...


class Embedder(Protocol):
    """The only way to an embedding model."""

    async def embed(
        self, texts: Sequence[str], purpose: Purpose, principal: Principal
    ) -> list[list[float]]:
        """One unit-length vector per text, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target and what is known of it at this moment.

    ``first_token_s``: moving average of the time to first content of calls of the same kind (of
    streams, or of answers in one piece), None before the first one;
    ``price_pico``: pico-dollars of a typical call, None when the model has no known price.
    """

    target: Target
    in_flight: int = 0
    first_token_s: float | None = None
    price_pico: int | None = None


class Strategy(Protocol):
    """Orders the targets of a pool for one call: first choice first.

    A class variable ``uses_weight = False`` says that weights have no effect: writing one is then
    a configuration error.
    """

    def order(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """All of ``candidates``, best first; there is at least one."""
        ...


@runtime_checkable
class Check(Protocol):
    """Finds things in a text. Never rewrites it: one masker applies all spans once.

    ``window`` is the most characters that one finding can span: what a stream holds back.
    """

    window: int

    async def find(self, text: str, at: At) -> list[Span]:
        """All findings, as spans of ``text``. A raise follows the check's ``on_error``."""
        ...


class Metric(Protocol):
    """Scores one call."""

    @property
    def version(self) -> str:
        """Changes whenever the same sample would score differently; a class variable will do."""
        ...

    async def score(self, sample: Sample) -> Sequence[Score]:
        """One ``Score`` a member (``latency.total_s``, …); unscored ones carry their reason."""
        ...


class Cache(Protocol):
    """Keeps delivered replies by key."""

    def get(self, key: str) -> Json | None:
        """The value stored under ``key``, or None when there is none or it is too old."""
        ...

    def put(self, key: str, value: Json) -> None:
        """Store ``value``; may evict others."""
        ...


class Guarded(Protocol):
    """Text in the course of a stream: cleared piece by piece, verdict equal to the unsplit text."""

    async def feed(self, text: str) -> str:
        """Take the next piece; returns what is cleared for delivery (may be empty).

        Raises ``Ended``-like ``Stopped`` when a check blocks.
        """
        ...

    async def flush(self) -> str:
        """The text is complete: check and return the rest."""
        ...


class Stopped(Exception):
    """A check blocked. ``text`` is what the policy tells the caller; ``as_error`` its manner."""

    def __init__(self, policy: str, check: str, text: str, as_error: bool) -> None:
        super().__init__(f"{policy}/{check}")
        self.policy = policy
        self.check = check
        self.text = text
        self.as_error = as_error


class Guards(Protocol):
    """The policies of one route, compiled. Verdicts are appended to ``verdicts`` as they fall."""

    version: str
    """Hash over the effective policies: part of cache keys and records."""

    def guards(self, at: At) -> bool:
        """Whether any check looks at ``at``; False = the stage is not compiled in."""
        ...

    def joins(self, at: At) -> bool:
        """Whether all that is found in a text is found as well where others stand around it."""
        ...

    def holds_back(self, at: At) -> int:
        """Most characters that a stream is held back by."""
        ...

    async def check(
        self, at: At, text: str, subject: str, verdicts: list[Verdict], replaced: Told = None
    ) -> str | None:
        """A whole text, masked where asked (see ``replaced``); None if it is to be dropped.
        Raises ``Stopped`` on a block and ``GuardFailed`` when a check cannot run and must."""
        ...

    def stream(self, at: At, subject: str, verdicts: list[Verdict]) -> Guarded:
        """A fresh state for one streamed text."""
        ...


class Masker(Protocol):
    """What ``headgate.capabilities`` calls ``masker``: for text that is kept."""

    async def mask(self, text: str) -> str:
        """The text with personal data and secrets replaced, whatever the route's policies."""
        ...


class GuardsCapability(Protocol):
    """What ``headgate.capabilities`` calls ``guards``."""

    def compile(self, names: Sequence[str]) -> Guards:
        """The effective policies ``names`` in order. Raises ``ConfigurationError``."""
        ...


class Retriever(Protocol):
    """Fetches passages for one route."""

    async def retrieve(self, query: str, principal: Principal) -> list[Passage]:
        """At most ``top_k``, best first. Raises ``HeadgateError``; never empty for a fault."""
        ...


class RetrievalCapability(Protocol):
    """What ``headgate.capabilities`` calls ``retrieval``."""

    def compile(self, retrieval: RetrievalSettings) -> Retriever:
        """A retriever for one route's ``retrieval`` member. Raises ``ConfigurationError``."""
        ...


RecordHook: TypeAlias = Callable[["Context"], None]
"""Called when a call's record is complete; must return at once (hand over, do not work)."""


class Service(Protocol):
    """A background service of a serving process."""

    async def start(self) -> None:
        """Begin; returns once ready."""
        ...

    async def stop(self) -> None:
        """Finish what is in hand (bounded), then end."""
        ...

    def on_record(self, context: Context) -> None:
        """A call is complete. Must return at once."""
        ...


@dataclass(slots=True)
class Tools:
    """What the builder hands to plugins, capabilities and services in ``bind(tools)``.

    ``caller`` and ``embedder`` are the only ways to a model. ``plugin(kind, use)`` builds another
    plugin by name. ``journal(line)`` writes one line durably and hands it to the store's writer.
    """

    settings: GatewaySettings
    data_dir: Path
    store: Store
    caller: Caller
    embedder: Embedder
    plugin: Callable[[str, Any], Any]
    journal: Callable[[JournalLine], None]
    score: Callable[[str, Sequence[Score]], Awaitable[None]]
    """Keep the scores of a call; bounded, counted, may be lossy."""


EventStream: TypeAlias = AsyncIterator[Event]
