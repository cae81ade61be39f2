"""One try at one target: from the line before it is sent to the last event of its reply."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from headgate_core.context import Context
from headgate_core.endpoints import CHAT
from headgate_core.errors import (
    HeadgateError,
    InvalidRequest,
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUntranslated,
)
from headgate_core.ports import ModelRequest
from headgate_core.reply import Done, Event, Events, Facts, Owned, Reply, Sending, closing
from headgate_gateway.routing.attempts import Asked, Attempt, Attempts
from headgate_gateway.routing.target_state import Sent, TargetState
from headgate_gateway.routing.timers import Limits, Timers
from headgate_gateway.routing.unsaid import unsaid_usage

LOST = "another attempt answered first"
"""Why an attempt was cancelled where it was not its caller who left."""


class OneTry:
    """Sends a request to one target and keeps attempt, load and breaker true to what happens."""

    def __init__(
        self,
        attempts: Attempts,
        state: TargetState,
        asked: Asked,
        lost: Callable[[OneTry], bool] = lambda one: False,
    ) -> None:
        self._attempts = attempts
        self._state = state
        self._asked = asked
        self._lost = lost
        self._sending = Sending()
        self._sent: Sent | None = None
        """None before the request goes out, and again once the attempt is over."""
        self.begun = False
        """Whether there is an attempt, on record, and so something that was sent or tried."""
        self.ended: Callable[[], None] | None = None
        """Told when the target has no more work with it."""

    async def run(self, request: ModelRequest, why: str, limits: Limits) -> Reply:
        """A reply whose first content has arrived. Raises ``UpstreamError``.

        ``InvalidRequest`` says that the provider has no such endpoint, and
        ``UpstreamCredentialsExhausted`` that it has no key left: there is no attempt then.
        """
        state = self._state
        send = _sender(state, request.endpoint)
        _insist_on_key(state)
        timers = Timers(limits, stream=request.stream)
        attempt = self._attempts.begin(self._asked, state.target, why, request)
        self.begun = True
        clock = asyncio.get_running_loop().time
        begun = clock()
        sent = self._sent = state.sent(begun, stream=request.stream)
        facts = Facts()
        try:
            own = replace(request, timeouts=limits.timeouts, sending=self._sending)
            with timers.watched(lambda late: state.overdue(sent, late, clock())):
                reply = await timers.first(send(own, state.target.model))
                facts = reply.facts
                held = await _primed(reply, timers)
        except BaseException as error:
            self._failed(attempt, facts, error)
            raise
        state.welcomed(sent, clock())
        if facts.content:
            attempt.content_came()
            state.answered(clock() - begun, stream=request.stream)
        onward = Owned(
            self._passed_on(reply, held, attempt, timers, request),
            lambda: self._unused(reply, attempt),
        )
        if self._asked.parent is not None:
            self._asked.parent.closers.append(onward.aclose)
        return replace(reply, events=onward, target=state.target.name)

    async def _unused(self, reply: Reply, attempt: Attempt) -> None:
        """Somebody else answered, or the call ended before the reply was looked at."""
        self._failed(attempt, reply.facts, GeneratorExit())
        close = getattr(reply.events, "aclose", None)
        if close is not None:
            await close()

    async def _passed_on(
        self,
        reply: Reply,
        held: list[Event],
        attempt: Attempt,
        timers: Timers,
        request: ModelRequest,
    ) -> Events:
        try:
            async with closing(reply.events) as events:
                for event in held:
                    for told in self._seen(event, attempt, reply.facts, request):
                        yield told
                while not (held and isinstance(held[-1], Done)):
                    event = await timers.between(_next(events))
                    for told in self._seen(event, attempt, reply.facts, request):
                        yield told
                    if isinstance(event, Done):
                        return
        except BaseException as error:
            self._failed(attempt, reply.facts, error)
            raise

    def _seen(
        self, event: Event, attempt: Attempt, facts: Facts, request: ModelRequest
    ) -> Sequence[Event]:
        """What goes on: the event, with what is to be said before the end."""
        if not isinstance(event, Done):
            return (event,)
        attempt.record["status"] = 200
        self._attempts.settle(attempt, "ok", facts)
        sent, self._sent = self._sent, None
        if sent is not None:
            self._state.completed(sent)
            self._close(attempt)
        return (*unsaid_usage(request, facts, attempt.record), event)

    def _failed(self, attempt: Attempt, facts: Facts, error: BaseException) -> None:
        sent, self._sent = self._sent, None
        if sent is None:
            return
        reached = self._sending.begun is not False
        if isinstance(error, UpstreamTimeout):
            error.sent = error.sent and reached
        if isinstance(error, UpstreamError):
            self._state.failed(sent, error, asyncio.get_running_loop().time())
        else:
            self._state.abandoned(sent)
        if isinstance(error, UpstreamUntranslated):
            self.begun = False
            self._attempts.withdraw(attempt, self._asked.parent)
            return
        if isinstance(error, HeadgateError):
            error.extra.setdefault("target", self._state.target.name)
            attempt.record["status"] = getattr(error, "upstream_status", None)
            said = f"{error.error_code}: {error}"
            self._attempts.settle(attempt, "error", facts, said, worked=_worked(error))
        elif isinstance(error, asyncio.CancelledError | GeneratorExit):
            said = LOST if self._lost(self) else ""
            self._attempts.settle(attempt, "cancelled", facts, said, worked=reached)
        else:
            said = type(error).__name__
            self._attempts.settle(attempt, "error", facts, said, worked=False)
        self._close(attempt)

    def _close(self, attempt: Attempt) -> None:
        parent: Context | None = self._asked.parent
        self._attempts.close(attempt, parent)
        if self.ended is not None:
            self.ended()


def _worked(error: HeadgateError) -> bool:
    """Whether the target was at work when the attempt failed: it may charge for that."""
    if isinstance(error, UpstreamMalformed):
        return error.worked
    return isinstance(error, UpstreamTruncated) or (
        isinstance(error, UpstreamTimeout) and error.sent
    )


_Send: TypeAlias = Callable[[ModelRequest, str], Awaitable[Reply]]


def _sender(state: TargetState, endpoint: str) -> _Send:
    """The provider's method for the endpoint. Raises ``InvalidRequest`` when it has none."""
    name = "chat" if endpoint == CHAT else "forward"
    send: _Send | None = getattr(state.provider, name, None)
    if send is None:
        raise InvalidRequest(
            f"The provider {state.target.provider!r} cannot be called at /v1/{endpoint}.",
            param="model",
            code="endpoint_not_served",
        )
    return send


def _insist_on_key(state: TargetState) -> None:
    """Raises ``UpstreamCredentialsExhausted`` before anything is begun that could not be sent."""
    insist: Callable[[str], None] | None = getattr(state.provider, "insist_on_key", None)
    if insist is None:
        return
    try:
        insist(state.target.model)
    except UpstreamError as error:
        error.extra.setdefault("target", state.target.name)
        state.faulted(error)
        raise


async def _primed(reply: Reply, timers: Timers) -> list[Event]:
    """Read until the first content, so that a target that fails before it can be replaced."""
    held: list[Event] = []
    try:
        while not held or not (reply.facts.content or isinstance(held[-1], Done)):
            held.append(await timers.first(_next(reply.events)))
    except BaseException:
        close = getattr(reply.events, "aclose", None)
        if close is not None:
            await close()
        raise
    return held


async def _next(events: Events) -> Event:
    try:
        return await anext(events)
    except StopAsyncIteration:
        raise UpstreamTruncated("The reply ended before it was complete.") from None
