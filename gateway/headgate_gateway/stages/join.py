"""Idempotency keys: join a call that is going on, or get the answer that it was given."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import orjson

from headgate_core.context import Context
from headgate_core.errors import Ended, Internal, InvalidRequest, StoreError
from headgate_core.reply import Done, Events, Reply, closing
from headgate_gateway.idempotency.answers import (
    MOST_BYTES,
    Collected,
    packed,
    replayed,
)
from headgate_gateway.idempotency.claims import LEASE_S, Claim, Claims, Place
from headgate_gateway.idempotency.errors import IdempotencyInFlight
from headgate_gateway.plan import RoutePlan
from headgate_gateway.replies.chunks import reply_of, wants_usage, whole

log = logging.getLogger("headgate.idempotency")

WAIT_S = 15.0
"""How long a call waits for the one that it joined."""
POLL_S = 0.2
"""How often the store is asked meanwhile; the other call may be in another process."""
LONGEST_KEY = 255


@dataclass(slots=True)
class Join:
    """Ends the call with the kept answer, with 409, or makes it the one that does the work."""

    name: ClassVar[str] = "join"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    claims: Claims
    terms: str
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    @classmethod
    def compile(cls, plan: RoutePlan) -> Join | None:
        """Every route has it where there is a store; without the header it does nothing."""
        claims = plan.parts.claims
        return cls(claims, _terms(plan)) if claims is not None else None

    async def run(self, ctx: Context) -> None:
        """Raises ``Ended`` with the kept answer, ``IdempotencyConflict`` or ``…InFlight``."""
        if not ctx.idempotency_key:
            return
        place, digest = _place(ctx), _digest(ctx)
        deadline = self.clock() + WAIT_S
        while True:
            claim = await self._claimed(place, digest, ctx)
            if claim.state == "mine":
                work = _Work(self, place, ctx)
                ctx.notes[self.name] = work
                ctx.closers.append(work.close)
                return
            if claim.state == "answered":
                reply = replayed(ctx, claim.answer, self.terms)
                if reply is not None:
                    raise Ended(reply, f"replayed the answer of {ctx.replayed}")
                ctx.degraded.append("join: the kept answer was made under other guards")
                await asyncio.to_thread(self.claims.forget, place, claim.owner)
                continue
            if self.clock() >= deadline:
                raise IdempotencyInFlight(
                    "The first call with this Idempotency-Key is still going on, "
                    f"after {WAIT_S:g} s of waiting for it.",
                    param="Idempotency-Key",
                )
            await self.sleep(POLL_S)

    async def _claimed(self, place: Place, digest: str, ctx: Context) -> Claim:
        """The claim; where the caller hangs up meanwhile, the call's end gives the key back."""
        asking = asyncio.ensure_future(
            asyncio.to_thread(self.claims.claim, place, digest, ctx.call_id)
        )
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            # A thread cannot be taken back: the key may be this call's in a moment.
            ctx.closers.append(partial(_give_back, self.claims, asking, place, ctx.call_id))
            raise


async def _give_back(
    claims: Claims, asking: asyncio.Future[Claim], place: Place, call_id: str
) -> None:
    await asyncio.wait([asking])
    if asking.exception() is None and asking.result().state == "mine":
        await _released(claims, place, call_id)


async def _released(claims: Claims, place: Place, call_id: str) -> None:
    try:
        await asyncio.to_thread(claims.release, place, call_id)
    except StoreError as error:
        log.warning("call %s holds its key for %g s more: %s", call_id, LEASE_S, error)


@dataclass(slots=True)
class Keep:
    """Keeps what the call that holds the key delivers, before its last byte goes out."""

    name: ClassVar[str] = "keep"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False

    @classmethod
    def compile(cls, plan: RoutePlan) -> Keep | None:
        """Wherever there is ``join``."""
        return cls() if plan.parts.claims is not None else None

    async def run(self, ctx: Context) -> None:
        """Wrap ``ctx.reply``."""
        work = ctx.notes.get(Join.name)
        if not isinstance(work, _Work):
            return
        if ctx.reply is None:
            raise Internal("There is no reply to keep.")
        ctx.reply = replace(ctx.reply, events=work.kept(ctx.reply))


class _Work:
    """One held key: renewed while the call goes on, answered or given back at its end."""

    def __init__(self, join: Join, place: Place, ctx: Context) -> None:
        self._claims = join.claims
        self._terms = join.terms
        self._place = place
        self._ctx = ctx
        self._sleep = join.sleep
        self._closed = False
        self._answered = False
        self._renewing = asyncio.create_task(self._renew(), name="idempotency lease")

    async def kept(self, reply: Reply) -> Events:
        """The reply's events; all of them are kept once ``Done`` has come."""
        seen = Collected()
        async with closing(reply.events) as events:
            async for event in events:
                seen.add(event)
                if isinstance(event, Done):
                    await self._keep(reply, seen)
                yield event

    async def close(self) -> None:
        """The call is over: a refusal before any model was asked is an answer, a failure is not."""
        if self._closed:
            return
        self._closed = True
        self._renewing.cancel()
        ctx = self._ctx
        if not self._answered and ctx.refused and ctx.error is None and not ctx.cancelled:
            body = whole(ctx.call_id, ctx.asked_model, ctx.answer, "content_filter")
            reply = reply_of(body, stream=ctx.stream, include_usage=wants_usage(ctx.request))
            refusal = Collected()
            async for event in reply.events:
                refusal.add(event)
            await self._keep(reply, refusal)
        if not self._answered:
            await _released(self._claims, self._place, ctx.call_id)

    async def _keep(self, reply: Reply, made: Collected) -> None:
        answer = b""
        if not made.too_large:
            answer = await asyncio.to_thread(packed, self._ctx, reply, made, self._terms)
        if not 0 < len(answer) <= MOST_BYTES:
            self._ctx.degraded.append("keep: the answer is too large to be kept for its key")
            return
        try:
            await asyncio.to_thread(self._claims.keep, self._place, self._ctx.call_id, answer)
        except StoreError as error:
            log.warning("call %s: its answer is not kept: %s", self._ctx.call_id, error)
            self._ctx.degraded.append("keep: the store did not take the answer")
            return
        self._answered = True

    async def _renew(self) -> None:
        while True:
            await self._sleep(LEASE_S / 3)
            try:
                await asyncio.to_thread(self._claims.renew, self._place, self._ctx.call_id)
            except StoreError as error:
                log.warning("call %s: its key could not be renewed: %s", self._ctx.call_id, error)


def _terms(plan: RoutePlan) -> str:
    """What an answer must have been made under to be the answer of this route's next call."""
    guards = plan.guards.version if plan.guards is not None else ""
    return f"{guards}|{plan.text}|{plan.wire}"


def _place(ctx: Context) -> Place:
    key = ctx.idempotency_key
    if len(key) > LONGEST_KEY:
        raise InvalidRequest(
            f"An Idempotency-Key has at most {LONGEST_KEY} characters.", param="Idempotency-Key"
        )
    return Place(ctx.payer.key_id, ctx.route, hashlib.sha256(key.encode()).hexdigest())


def _digest(ctx: Context) -> str:
    body = [ctx.endpoint, ctx.asked_model, ctx.request, ctx.inputs, ctx.meta_asked]
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
