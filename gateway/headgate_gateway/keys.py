"""API keys: 256 random bits, of which the store keeps a keyed hash alone."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import secrets as random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, insert, select, update

from headgate_core.errors import InvalidRequest, NotFound, StoreError
from headgate_core.ids import uuid7
from headgate_core.store import Store
from headgate_core.store.tables import keys, secrets
from headgate_core.types import Principal

PREFIX = "hg-"
LENGTH = len(PREFIX) + 43
REMEMBERED_S = 5.0
"""How long a revoked key may still pass in another process."""


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """What a new key shall be; see ``Principal`` for the members' meaning."""

    name: str
    team: str = "default"
    tenant: str = "default"
    groups: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    expires: datetime | None = None


class KeyRow(NamedTuple):
    """A key as stored, without its hash; ``hint`` is its last four characters."""

    key_id: str
    hint: str
    name: str
    team: str
    tenant: str
    groups: tuple[str, ...]
    models: tuple[str, ...]
    requests_per_minute: int | None
    created_unix_ns: int
    expires_unix_ns: int | None
    revoked_unix_ns: int | None

    @property
    def principal(self) -> Principal:
        """Who a call with this key is made by."""
        return Principal(
            key_id=self.key_id,
            name=self.name,
            team=self.team,
            tenant=self.tenant,
            groups=self.groups,
            models=self.models,
            requests_per_minute=self.requests_per_minute,
        )

    def valid_until(self, now_unix_ns: int) -> int | None:
        """When it stops being valid, in Unix nanoseconds (0 = never); None when it has."""
        if self.revoked_unix_ns is not None:
            return None
        if self.expires_unix_ns is None:
            return 0
        return self.expires_unix_ns if self.expires_unix_ns > now_unix_ns else None


_COLUMNS = [keys.c[name] for name in KeyRow._fields]


def create(store: Store, request: KeyRequest) -> tuple[str, KeyRow]:
    """Make a key; returns it in plain, which is not to be had again, and its row.

    Raises ``InvalidRequest`` for values that a key cannot have.
    """
    _check(request)
    plain = PREFIX + random.token_urlsafe(32)
    row = KeyRow(
        key_id=uuid7(),
        hint=plain[-4:],
        name=request.name,
        team=request.team,
        tenant=request.tenant,
        groups=request.groups,
        models=request.models,
        requests_per_minute=request.requests_per_minute,
        created_unix_ns=time.time_ns(),
        expires_unix_ns=int(request.expires.timestamp() * 10**9) if request.expires else None,
        revoked_unix_ns=None,
    )
    values = row._asdict() | {
        "hash": _hash(server_secret(store), plain),
        "groups": orjson.dumps(row.groups).decode(),
        "models": orjson.dumps(row.models).decode(),
    }
    with store.begin() as db:
        db.execute(insert(keys).values(values))
    return plain, row


def find(store: Store, plain: str) -> Principal | None:
    """Who a key belongs to; None when it is unknown, revoked or expired."""
    row = _lookup(store, _hash(server_secret(store), plain))
    valid = row is not None and row.valid_until(time.time_ns()) is not None
    return row.principal if row and valid else None


def list_keys(store: Store) -> list[KeyRow]:
    """All keys, the revoked and expired ones too, oldest first."""
    with store.begin() as db:
        return [_row(row) for row in db.execute(select(*_COLUMNS).order_by(keys.c.key_id))]


def revoke(store: Store, key_id: str) -> KeyRow:
    """Revoke a key by its id or a unique beginning of it; every process obeys within 5 s.

    Revoking again changes nothing. Raises ``NotFound`` or ``InvalidRequest``.
    """
    with store.begin() as db:
        row = _by_id(db, key_id)
        if row.revoked_unix_ns is None:
            row = row._replace(revoked_unix_ns=time.time_ns())
            query = update(keys).where(keys.c.key_id == row.key_id)
            db.execute(query.values(revoked_unix_ns=row.revoked_unix_ns))
        return row


def server_secret(store: Store) -> bytes:
    """The secret that keys are hashed with. Raises ``StoreError`` if the store has lost it."""
    with store.begin() as db:
        found = db.execute(select(secrets.c.value).filter_by(name="keys")).scalar()
    if found is None:
        raise StoreError("The store has no server secret: restore table `secrets` from a backup.")
    return bytes(found)


class _Known(NamedTuple):
    """A key that was valid; both times are of the ring's clock, in seconds."""

    fresh_until: float
    valid_until: float
    principal: Principal

    def passes(self, now: float, *, stale: bool) -> bool:
        return now < self.valid_until and (stale or now < self.fresh_until)


@dataclass(slots=True)
class KeyRing:
    """Keys on the hot path: valid ones are remembered for ``REMEMBERED_S``, others never.

    With ``spool``, a remembered key passes until it expires while the store is ``away``: nobody
    can be asked whether it was revoked. At most ``lookups`` threads ask the store at once, so
    that guesses cannot take all of them.
    """

    store: Store
    most: int = 10_000
    lookups: int = 4
    clock: Callable[[], float] = time.monotonic
    _secret: bytes = b""
    spool: bool = False
    away: Callable[[], str] = lambda: ""
    _known: OrderedDict[str, _Known] = field(default_factory=OrderedDict)
    _asked: dict[str, asyncio.Task[Principal | None]] = field(default_factory=dict)
    _room: asyncio.Semaphore | None = None

    async def find(self, plain: str) -> Principal | None:
        """Who a key belongs to; None when unknown, revoked or expired. Raises ``StoreError``."""
        if len(plain) != LENGTH or not plain.startswith(PREFIX):
            return None
        if not self._secret:
            self._secret = await asyncio.to_thread(server_secret, self.store)
        digest = _hash(self._secret, plain)
        known = self._known.get(digest)
        if known and known.passes(self.clock(), stale=self.spool and bool(self.away())):
            self._known.move_to_end(digest)
            return known.principal
        task = self._asked.get(digest)
        if task is None:
            task = self._asked[digest] = asyncio.create_task(self._ask(digest))
            task.add_done_callback(lambda _: self._asked.pop(digest, None))
        try:
            return await asyncio.shield(task)
        except StoreError:
            if self.spool and known and known.passes(self.clock(), stale=True):
                return known.principal
            raise

    async def _ask(self, digest: str) -> Principal | None:
        self._room = self._room or asyncio.Semaphore(self.lookups)
        async with self._room:
            begun = self.clock()
            row = await asyncio.to_thread(_lookup, self.store, digest)
        now = time.time_ns()
        until = row.valid_until(now) if row else None
        if row is None or until is None:
            self._known.pop(digest, None)
            return None
        valid = begun + (until - now) / 1e9 if until else math.inf
        self._known[digest] = _Known(begun + REMEMBERED_S, valid, row.principal)
        self._known.move_to_end(digest)
        while len(self._known) > self.most:
            self._known.popitem(last=False)
        return row.principal


def _hash(secret: bytes, plain: str) -> str:
    return hmac.new(secret, plain.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _lookup(store: Store, digest: str) -> KeyRow | None:
    with store.begin() as db:
        found = db.execute(select(keys.c.hash, *_COLUMNS).where(keys.c.hash == digest)).first()
    # The index has compared already; comparing again in constant time rests on no database.
    if found is None or not hmac.compare_digest(found[0], digest):
        return None
    return _row(found[1:])


def _row(row: Any) -> KeyRow:
    known = KeyRow(*row)
    return known._replace(groups=tuple(orjson.loads(row[5])), models=tuple(orjson.loads(row[6])))


def _by_id(db: Connection, key_id: str) -> KeyRow:
    query = select(*_COLUMNS).where(keys.c.key_id.startswith(key_id, autoescape=True)).limit(2)
    found = db.execute(query).all() if key_id else []
    if not found:
        raise NotFound(f"There is no key with id {key_id!r}. `headgate keys list` shows all.")
    if len(found) > 1:
        raise InvalidRequest(f"Several keys' ids begin with {key_id!r}: give more of the id.")
    return _row(found[0])


def _check(request: KeyRequest) -> None:
    for member in ("name", "team", "tenant"):
        value = getattr(request, member)
        if not value.strip() or len(value) > 200:
            raise InvalidRequest(f"A key's {member} must be 1 to 200 characters.", param=member)
    if request.requests_per_minute is not None and request.requests_per_minute < 1:
        raise InvalidRequest("A key's requests per minute must be at least 1.")
