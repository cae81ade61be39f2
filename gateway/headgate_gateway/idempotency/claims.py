"""Who works on an idempotency key, and what came of it: rows that all workers share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from headgate_core.store import Store
from headgate_core.store.sealing import Sealer
from headgate_core.store.tables import idempotency
from headgate_gateway.idempotency.errors import IdempotencyConflict

TTL_S = 24 * 3600
"""How long an answer is kept."""
LEASE_S = 15.0
"""A call that has not renewed its claim for so long counts as dead."""


class Place(NamedTuple):
    """Where an answer belongs: the same key of another principal or route is another one."""

    principal: str
    route: str
    key_hash: str


@dataclass(frozen=True, slots=True)
class Claim:
    """``mine``: this call does the work; ``busy``: another one does; ``answered``: it is done."""

    state: Literal["mine", "busy", "answered"]
    answer: bytes = b""
    owner: str = ""
    """The call that was given the answer."""


class Claims:
    """Claims and kept answers of one store. All methods block. ``clock``: Unix nanoseconds."""

    def __init__(self, store: Store, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._clock = clock
        self._sealer: Sealer | None = None

    def claim(self, place: Place, body_hash: str, owner: str) -> Claim:
        """Take the key if it is free or its owner is dead; ``owner`` is a call's id.

        Raises ``IdempotencyConflict`` when the key came with another body before.
        """
        now = self._clock()
        fresh = {**place._asdict(), **self._held(body_hash, owner, now)}
        with self._store.begin() as db:
            added = db.execute(_insert(db).values(fresh).on_conflict_do_nothing())
            if added.rowcount == 1:
                return Claim("mine")
            row = db.execute(select(idempotency).where(*_at(place))).one()
            if row.expires_unix_ns <= now or (row.answer is None and row.lease_unix_ns <= now):
                return self._taken_over(db, place, row, self._held(body_hash, owner, now))
        if row.body_hash != body_hash:
            raise IdempotencyConflict(
                "This Idempotency-Key was used with another body. Use a new key for a new request.",
                param="Idempotency-Key",
            )
        if row.answer is None:
            return Claim("busy")
        return Claim("answered", self._opened().open(row.answer, _name(place)), row.owner)

    def renew(self, place: Place, owner: str) -> None:
        """Hold the key for another lease."""
        lease = self._clock() + int(LEASE_S * 1e9)
        self._change(place, owner, lease_unix_ns=lease)

    def keep(self, place: Place, owner: str, answer: bytes) -> None:
        """Store the answer, encrypted, unless somebody else has taken the key over."""
        sealed = self._opened().seal(answer, _name(place))
        self._change(place, owner, answer=sealed)

    def release(self, place: Place, owner: str) -> None:
        """Give the key back without an answer: the next try runs."""
        with self._store.begin() as db:
            own = (idempotency.c.owner == owner, idempotency.c.answer.is_(None))
            db.execute(delete(idempotency).where(*_at(place), *own))

    def forget(self, place: Place, owner: str) -> None:
        """Delete the answer that this call was given: the next claim is free."""
        with self._store.begin() as db:
            db.execute(delete(idempotency).where(*_at(place), idempotency.c.owner == owner))

    def sweep(self) -> int:
        """Delete what is older than ``TTL_S``; returns how many answers went."""
        with self._store.begin() as db:
            old = idempotency.c.expires_unix_ns <= self._clock()
            return int(db.execute(delete(idempotency).where(old)).rowcount)

    def _held(self, body_hash: str, owner: str, now: int) -> dict[str, Any]:
        return {
            "body_hash": body_hash,
            "owner": owner,
            "lease_unix_ns": now + int(LEASE_S * 1e9),
            "expires_unix_ns": now + TTL_S * 10**9,
            "answer": None,
        }

    def _taken_over(self, db: Connection, place: Place, row: Any, held: dict[str, Any]) -> Claim:
        unchanged = (
            idempotency.c.owner == row.owner,
            idempotency.c.lease_unix_ns == row.lease_unix_ns,
            idempotency.c.expires_unix_ns == row.expires_unix_ns,
        )
        done = db.execute(update(idempotency).where(*_at(place), *unchanged).values(held))
        return Claim("mine" if done.rowcount == 1 else "busy")

    def _change(self, place: Place, owner: str, **values: Any) -> None:
        with self._store.begin() as db:
            own = (idempotency.c.owner == owner, idempotency.c.answer.is_(None))
            db.execute(update(idempotency).where(*_at(place), *own).values(values))

    def _opened(self) -> Sealer:
        if self._sealer is None:
            self._sealer = Sealer.of(self._store)
        return self._sealer


def _at(place: Place) -> tuple[Any, ...]:
    return tuple(idempotency.c[name] == value for name, value in place._asdict().items())


def _name(place: Place) -> str:
    return "\n".join(("idempotency", *place))


def _insert(db: Connection) -> Any:
    return (postgresql if db.dialect.name == "postgresql" else sqlite).insert(idempotency)
