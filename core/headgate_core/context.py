"""The one object that travels through the pipeline: what is known of a call so far."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from headgate_core.endpoints import CHAT
from headgate_core.errors import HeadgateError
from headgate_core.ids import trace_id, uuid7
from headgate_core.records import AttemptRecord, CallRecord, StageRecord
from headgate_core.reply import Reply
from headgate_core.types import Citation, Json, Passage, Principal, Source, Usage, Verdict

KEY_PREFIX = "hg-"
"""How every key of ours begins."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What the transport knows of who is calling; authenticate makes a principal of it."""

    authorization: str = ""
    """The key as sent, without the ``Bearer`` word; empty when none was sent."""
    refused_because: str = ""
    """Why keyless use is out of the question for this request; empty when it is not."""


@dataclass(slots=True)
class Context:
    """One call. Stages read and write it; the runner times them; the last stages close it.

    ``request`` is the caller's body as parsed; ``messages`` what goes upstream once rendered.
    Times named ``*_ns`` are ``time.perf_counter_ns`` except ``started_unix_ns``.
    """

    route: str
    request: Json
    peer: Peer = field(default_factory=Peer)
    source: Source = "serve"
    asked_model: str = ""
    endpoint: str = CHAT
    """The endpoint that was called, below ``/v1``."""
    call_id: str = field(default_factory=uuid7)
    trace_id: str = field(default_factory=trace_id)
    parent_span_id: str = ""
    session: str = ""
    user: str = ""
    tags: tuple[str, ...] = ()
    inputs: Json = field(default_factory=dict)
    """``headgate.inputs`` of the body."""
    prompt_asked: str = ""
    """The prompt that the caller says the route has, ``name`` or ``name@version``; empty = any."""
    meta_asked: bool = False
    """The body said ``headgate: {meta: true}``."""
    stream: bool = False
    parsed: bool = False
    """The endpoint needs ``Chunk`` events even where the route would forward bytes."""
    as_chat: Callable[[], Json] | None = None
    """Where ``request`` is in another wire than chat's: the chat body that asks for the same.

    Raises ``InvalidRequest`` naming the member that chat cannot say.
    """
    idempotency_key: str = ""
    """The header ``Idempotency-Key`` as sent; empty when none was."""

    principal: Principal | None = None
    pool: str = ""
    query: str = ""
    passages: list[Passage] = field(default_factory=list)
    """In the order of their numbers: ``passages[0]`` is ``[1]``."""
    messages: list[Json] | None = None
    """Rendered messages; None while the caller's own stand."""
    parameters: Json = field(default_factory=dict)
    prompt: str = ""
    """``name@version`` of the prompt that was rendered."""
    cache: str = "off"
    """off | miss | hit"""
    cache_key: str = ""
    cache_similarity: float | None = None
    """How near the nearest kept question of a semantic cache was; None = none was compared."""
    cache_nearest: str = ""
    """The call that had asked that nearest question."""
    replayed: str = ""
    """The call whose kept answer this call got for its idempotency key."""
    answered_by: str = ""
    """``PROVIDER/MODEL`` whose reply goes to the caller; empty while none has answered."""
    reply: Reply | None = None
    may_capture: bool = False
    """The caller is admitted and what he sent is through the guards: it may be kept."""
    answer: str = ""
    """The delivered text of choice 0, kept only on routes with text stages."""
    citations: list[Citation] = field(default_factory=list)
    cited: list[int] = field(default_factory=list)
    """Numbers that the delivered text cites, in order of first use."""
    verdicts: list[Verdict] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)
    """What a stage had to do without, e.g. ``retrieve: index unreachable``."""
    dropped: list[str] = field(default_factory=list)
    """Members that were taken out of the request or the reply, named in ``x-headgate-dropped``."""
    again: list[str] = field(default_factory=list)

    attempts: list[AttemptRecord] = field(default_factory=list)
    stages: list[StageRecord] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    cost_pico: int = 0
    unpriced: bool = False
    refused: bool = False
    cancelled: bool = False
    cut: HeadgateError | None = None
    """Why the server itself cancels the call; None = whoever cancels it is the caller."""
    error: HeadgateError | None = None
    record: CallRecord | None = None

    started_unix_ns: int = field(default_factory=time.time_ns)
    started_ns: int = field(default_factory=time.perf_counter_ns)
    first_content_ns: int = 0
    """When the first content byte went to the caller; 0 = not yet."""
    finished: bool = False
    """The last stages have begun: nothing that happens now changes what they record."""
    finishing: asyncio.Task[HeadgateError | None] | None = None
    """The last stages at work, or done; None = the call goes on."""
    closers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What must be closed when the call ends, however it ends; each is idempotent."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Private to one stage each, keyed by the stage's name."""

    def elapsed_ms(self) -> float:
        """Milliseconds since the call arrived."""
        return (time.perf_counter_ns() - self.started_ns) / 1e6

    @property
    def payer(self) -> Principal:
        """The principal, which every stage after authenticate may rely on."""
        if self.principal is None:
            raise RuntimeError("a stage before authenticate asked for the principal")
        return self.principal
