"""Idempotency keys: claims, leases and waiting, on a clock of the test's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from headgate_core.context import Context
from headgate_core.errors import Ended, StoreError
from headgate_core.store import Store
from headgate_core.store.sealing import Sealer
from headgate_core.types import Principal
from headgate_gateway.idempotency.claims import LEASE_S, TTL_S, Claim, Claims, Place
from headgate_gateway.idempotency.errors import IdempotencyConflict, IdempotencyInFlight
from headgate_gateway.stages.join import WAIT_S, Join

AT = Place("key-1", "plain", "k" * 64)


@dataclass
class Clock:
    now_s: float = 1_000_000.0

    def unix_ns(self) -> int:
        return int(self.now_s * 1e9)

    def monotonic(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'headgate.db'}")
    yield opened
    opened.close()


def test_a_dead_owners_key_is_taken_over_when_its_lease_is_over(store: Store) -> None:
    clock = Clock()
    claims = Claims(store, clock.unix_ns)
    assert claims.claim(AT, "b", "call-1").state == "mine"
    clock.now_s += LEASE_S - 1
    claims.renew(AT, "call-1")
    clock.now_s += LEASE_S - 1
    assert claims.claim(AT, "b", "call-2").state == "busy"
    clock.now_s += 1
    assert claims.claim(AT, "b", "call-2").state == "mine"
    claims.release(AT, "call-1")
    assert claims.claim(AT, "b", "call-3").state == "busy"


def test_an_owner_that_was_given_up_cannot_overwrite_its_successors_answer(store: Store) -> None:
    pytest.importorskip("cryptography")
    clock = Clock()
    claims = Claims(store, clock.unix_ns)
    claims.claim(AT, "b", "call-1")
    clock.now_s += LEASE_S
    claims.claim(AT, "b", "call-2")
    claims.keep(AT, "call-1", b"late")
    claims.keep(AT, "call-2", b"right")
    assert claims.claim(AT, "b", "call-3").answer == b"right"


def test_an_answer_goes_after_a_day_and_its_key_is_free_again(store: Store) -> None:
    pytest.importorskip("cryptography")
    clock = Clock()
    claims = Claims(store, clock.unix_ns)
    claims.claim(AT, "b", "call-1")
    claims.keep(AT, "call-1", b"text")
    clock.now_s += TTL_S - 1
    assert claims.sweep() == 0
    with pytest.raises(IdempotencyConflict):
        claims.claim(AT, "other body", "call-2")
    clock.now_s += 1
    assert claims.claim(AT, "other body", "call-2").state == "mine"
    clock.now_s += TTL_S
    assert claims.sweep() == 1


def test_an_answer_that_was_moved_to_another_key_does_not_open(store: Store) -> None:
    pytest.importorskip("cryptography")
    claims = Claims(store)
    for place in (AT, AT._replace(principal="key-2")):
        claims.claim(place, "b", "call")
        claims.keep(place, "call", place.principal.encode())
    with store.begin() as db:
        db.execute(
            text(
                "update idempotency set answer = "
                "(select answer from idempotency where principal = 'key-1')"
            )
        )
    assert claims.claim(AT, "b", "x").answer == b"key-1"
    with pytest.raises(StoreError, match="cannot be decrypted"):
        claims.claim(AT._replace(principal="key-2"), "b", "x")


def test_two_seals_of_one_text_differ() -> None:
    pytest.importorskip("cryptography")
    sealer = Sealer(b"s" * 32)
    one, two = sealer.seal(b"text", "here"), sealer.seal(b"text", "here")
    assert one != two and sealer.open(one, "here") == sealer.open(two, "here") == b"text"


def context(call_id: str) -> Context:
    body = {"messages": [{"role": "user", "content": "hi"}]}
    ctx = Context("plain", body, asked_model="plain", call_id=call_id)
    ctx.principal = Principal("key-1")
    ctx.idempotency_key = "abc"
    return ctx


def test_a_call_waits_for_the_one_it_joined_and_then_may_be_tried_again(store: Store) -> None:
    clock = Clock()
    # The lease of the other call is on a clock that stands still: it is alive.
    join = Join(Claims(store, Clock().unix_ns), "", clock.monotonic, clock.sleep)

    async def scenario() -> float:
        first, second = context("call-1"), context("call-2")
        await Join(join.claims, "").run(first)
        begun = clock.now_s
        with pytest.raises(IdempotencyInFlight) as raised:
            await join.run(second)
        assert raised.value.sdk_may_retry is True
        for close in first.closers:
            await close()
        await join.run(second)
        for close in second.closers:
            await close()
        return clock.now_s - begun

    assert WAIT_S <= asyncio.run(scenario()) < WAIT_S + 1


def test_a_caller_who_hangs_up_while_the_key_is_claimed_holds_it_no_longer(store: Store) -> None:
    claimed, go_on = threading.Event(), threading.Event()

    class Slow(Claims):
        def claim(self, place: Place, body_hash: str, owner: str) -> Claim:
            found = super().claim(place, body_hash, owner)
            claimed.set()
            assert go_on.wait(10)
            return found

    async def scenario() -> None:
        first, second = context("call-1"), context("call-2")
        going = asyncio.create_task(Join(Slow(store), "").run(first))
        assert await asyncio.to_thread(claimed.wait, 10)
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        go_on.set()
        for close in first.closers:
            await close()
        clock = Clock()
        await Join(Claims(store), "", clock.monotonic, clock.sleep).run(second)
        assert clock.now_s == Clock().now_s
        for close in second.closers:
            await close()

    asyncio.run(scenario())


def test_a_joined_call_gets_the_answer_as_soon_as_it_is_there(store: Store) -> None:
    pytest.importorskip("cryptography")

    async def scenario() -> str:
        first, second = context("call-1"), context("call-2")
        await Join(Claims(store), "").run(first)
        waiting = asyncio.create_task(Join(Claims(store), "").run(second))
        first.refused, first.answer = True, "no"
        for close in first.closers:
            await close()
        with pytest.raises(Ended):
            await waiting
        return second.replayed

    assert asyncio.run(scenario()) == "call-1"
