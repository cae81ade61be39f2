"""One try at one target, from the line before it is sent to the sum it is settled with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from headgate_core.context import Context
from headgate_core.endpoints import CHAT, WIRES
from headgate_core.ids import uuid7
from headgate_core.ports import ModelRequest, Target
from headgate_core.records import AttemptHead, AttemptRecord, CallHead, JournalLine, usage_record
from headgate_core.reply import Facts
from headgate_core.types import Json, Principal, Purpose, Usage
from headgate_gateway.forwarded import search_units, texts, token_count
from headgate_gateway.native_bodies import answers, size
from headgate_gateway.replies.chunks import message_text
from headgate_gateway.replies.tiers import asked_tier
from headgate_gateway.routing.parameters import UnsupportedParameter

CHARACTERS_PER_TOKEN = 4
"""Basis of every estimate: the usual rule of thumb for English text."""
CHARACTERS_PER_SPOKEN_TOKEN = 100
"""Of base64: speech has 10 to 32 tokens a second, and the smallest MP3 of it 1,000 bytes."""


class Priced(Protocol):
    """What a usage costs."""

    @property
    def pico(self) -> int | None:
        """Pico-dollars; None when the model has no known price."""
        ...

    @property
    def text(self) -> str:
        """The prices used."""
        ...


class Prices(Protocol):
    """The price table of the configured models."""

    def price(self, usage: Usage, provider: str, model: str, tier: str = "") -> Priced:
        """What ``usage`` costs at this target in a service tier."""
        ...

    def worst_case(self, most: Usage, provider: str, model: str, tier: str = "") -> int | None:
        """The most that one attempt can cost, in pico-dollars; None = no known price."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """Why and for whom an attempt is made."""

    pool: str
    purpose: Purpose
    principal: Principal
    parent: Context | None
    config_hash: str


class Attempts:
    """Opens and settles attempts: the only place where money is booked."""

    def __init__(self, journal: Callable[[JournalLine], None], prices: Prices) -> None:
        self._journal = journal
        self._prices = prices

    def begin(self, asked: Asked, target: Target, why: str, request: ModelRequest) -> Attempt:
        """Write the line that survives a crash, before anything is sent."""
        parent = asked.parent
        now = time.perf_counter_ns()
        record: AttemptRecord = {
            "attempt_id": uuid7(),
            "call_id": parent.call_id if parent else "",
            "n": len(parent.attempts) + 1 if parent else 1,
            "why": why,
            "purpose": asked.purpose.value,
            "pool": asked.pool,
            "provider": target.provider,
            "model": target.model,
            "started_unix_ns": time.time_ns(),
            "start_ms": (now - parent.started_ns) / 1e6 if parent else 0.0,
            "duration_ms": 0.0,
            "first_token_ms": None,
            "outcome": "",
            "status": None,
            "error": "",
            "usage": None,
            "cost_pico": None,
            "price": "",
            "principal": asked.principal.key_id,
            "team": asked.principal.team,
        }
        asks, tier = _estimated(request), asked_tier(request.body)
        attempt = Attempt(record, now, asks, tier)
        head: AttemptHead = {
            **_known(record),
            "reserved_pico": self._worst(request, asks, target),
            "input_tokens": asks.input_tokens,
        }
        call = _head(parent, asked.config_hash) if parent else None
        self._journal({"t": "begin", "attempt": head, "call": call})
        if parent is not None:
            parent.attempts.append(record)
        return attempt

    def insist_on_price(self, target: Target, request: ModelRequest) -> None:
        """Raises ``UnsupportedParameter`` for a request that asks for a tier without a price."""
        tier = asked_tier(request.body)
        if tier and self._worst(request, _estimated(request), target) is None:
            raise UnsupportedParameter(
                f"No price is known for {target.name} in the service tier {tier!r}, and its pool "
                "takes no call without one. Leave the tier out, or give its price in "
                "`prices.overrides`.",
                param="service_tier" if request.body.get("service_tier") else "speed",
            )

    def _worst(self, request: ModelRequest, asks: Usage, target: Target) -> int | None:
        read, written = asks.input_tokens + _heard(request.body), _bound(request.body)
        most = replace(asks, input_tokens=read, output_tokens=written)
        tier = asked_tier(request.body)
        return self._prices.worst_case(most, target.provider, target.model, tier)

    def settle(
        self, attempt: Attempt, outcome: str, facts: Facts, error: str = "", *, worked: bool = True
    ) -> None:
        """Book the attempt, once. What the target did not report is estimated.

        ``worked``: the target may have done work, and may charge for it, though it failed.
        """
        record = attempt.record
        if record["outcome"]:
            return
        record["outcome"] = outcome
        record["error"] = error
        record["duration_ms"] = (time.perf_counter_ns() - attempt.started_ns) / 1e6
        if facts.usage is None and not (facts.content or worked):
            record["cost_pico"] = 0
            return
        usage, tier = _completed(facts, attempt.asks), facts.service_tier or attempt.tier
        priced = self._prices.price(usage, record["provider"], record["model"], tier)
        record["usage"] = usage_record(usage)
        if tier:
            record["service_tier"] = tier
        record["cost_pico"] = priced.pico
        record["price"] = priced.text
        record["response_id"] = facts.response_id
        record["response_model"] = facts.model

    def withdraw(self, attempt: Attempt, parent: Context | None) -> None:
        """It proved that there is nothing to send: the attempt is none."""
        record = attempt.record
        if parent is not None:
            parent.attempts.remove(record)
        attempt_id = record["attempt_id"]
        self._journal({"t": "withdrawn", "call_id": record["call_id"], "attempt_id": attempt_id})

    def close(self, attempt: Attempt, parent: Context | None) -> None:
        """An attempt that no call's record will carry gets its own line."""
        if parent is None or parent.finished:
            self._journal({"t": "attempt", "attempt": attempt.record})


@dataclass(slots=True)
class Attempt:
    """An open attempt."""

    record: AttemptRecord
    started_ns: int
    asks: Usage
    """Estimated from the request."""
    tier: str = ""
    """The service tier that the request names."""

    def content_came(self) -> None:
        """Note the time to the first content, once."""
        if self.record["first_token_ms"] is None:
            self.record["first_token_ms"] = (time.perf_counter_ns() - self.started_ns) / 1e6


def _completed(facts: Facts, asks: Usage) -> Usage:
    """The reported usage; a number that is missing, or 0 where there was text, is estimated."""
    told = facts.usage or Usage(estimated=True)
    sent = told.input_tokens or asks.input_tokens
    written = told.output_tokens or -(-facts.output_characters // CHARACTERS_PER_TOKEN)
    units = told.search_units or asks.search_units
    if (sent, written, units) == (told.input_tokens, told.output_tokens, told.search_units):
        return told
    return replace(
        told, input_tokens=sent, output_tokens=written, search_units=units, estimated=True
    )


def _estimated(request: ModelRequest) -> Usage:
    units = search_units(request.body) if request.endpoint == "rerank" else 0
    return Usage(input_estimate(request.body, request.endpoint), search_units=units)


def input_estimate(body: Json, endpoint: str = CHAT) -> int:
    """Tokens of the body's text, by ``CHARACTERS_PER_TOKEN``, rounded up; token ids count."""
    if "messages" in body:
        characters = sum(len(message_text(m)) for m in body["messages"] or ())
        return -(-characters // CHARACTERS_PER_TOKEN)
    if endpoint in WIRES:
        characters, ids = size(body)
        return -(-characters // CHARACTERS_PER_TOKEN) + ids
    characters = sum(len(one.text) for one in texts(body))
    return -(-characters // CHARACTERS_PER_TOKEN) + token_count(body)


def _heard(body: Json) -> int:
    """At most so many tokens are in the speech of a request: few recordings are smaller."""
    parts = (
        part.get("input_audio")
        for message in body.get("messages") or ()
        if isinstance(message.get("content"), list)
        for part in message["content"]
        if isinstance(part, dict)
    )
    heard = (part.get("data") for part in parts if isinstance(part, dict))
    characters = sum(len(data) for data in heard if isinstance(data, str))
    return -(-characters // CHARACTERS_PER_SPOKEN_TOKEN)


def _bound(body: Json) -> int:
    names = ("max_completion_tokens", "max_output_tokens", "max_tokens")
    limit = next((body[name] for name in names if body.get(name)), 0)
    return limit * answers(body) if isinstance(limit, int) else 0


def _known(record: AttemptRecord) -> AttemptHead:
    return {
        "attempt_id": record["attempt_id"],
        "call_id": record["call_id"],
        "n": record["n"],
        "why": record["why"],
        "purpose": record["purpose"],
        "pool": record["pool"],
        "provider": record["provider"],
        "model": record["model"],
        "started_unix_ns": record["started_unix_ns"],
        "start_ms": record["start_ms"],
        "principal": record["principal"],
        "team": record["team"],
    }


def _head(ctx: Context, config_hash: str) -> CallHead:
    who = ctx.payer
    return {
        "call_id": ctx.call_id,
        "trace_id": ctx.trace_id,
        "parent_span_id": ctx.parent_span_id,
        "source": ctx.source,
        "route": ctx.route,
        "asked_model": ctx.asked_model,
        "config_hash": config_hash,
        "key_id": who.key_id,
        "key_name": who.name,
        "team": who.team,
        "tenant": who.tenant,
        "session": ctx.session,
        "user": ctx.user,
        "tags": list(ctx.tags),
        "started_unix_ns": ctx.started_unix_ns,
        "stream": ctx.stream,
        "endpoint": ctx.endpoint,
    }
