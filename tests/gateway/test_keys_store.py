"""Keys: made once in plain, kept as a keyed hash, refused when revoked or expired."""

from __future__ import annotations

import asyncio
import secrets as random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from headgate_core.errors import InvalidRequest, NotFound, StoreError
from headgate_core.store import Store
from headgate_core.store.tables import keys, secrets
from headgate_core.types import Principal
from headgate_gateway import keys as module
from headgate_gateway.keys import KeyRequest, KeyRing, create, find, list_keys, revoke


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store.open(f"sqlite:///{tmp_path / 'headgate.db'}")
    yield found
    found.close()


def test_a_key_says_who_calls(store: Store) -> None:
    plain, row = create(
        store, KeyRequest("app", "care", "acme", ("staff", "eu"), ("docs",), requests_per_minute=60)
    )
    assert find(store, plain) == Principal(
        key_id=row.key_id,
        name="app",
        team="care",
        tenant="acme",
        groups=("staff", "eu"),
        models=("docs",),
        requests_per_minute=60,
    )


def test_a_key_has_256_random_bits_and_the_store_has_no_part_of_it_but_its_end(
    store: Store, tmp_path: Path
) -> None:
    plain, row = create(store, KeyRequest("app"))
    assert plain.startswith("hg-") and len(plain) == 46
    store.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert plain[:12].encode() not in stored and plain[3:-4].encode() not in stored
    assert row.hint == plain[-4:]


@pytest.mark.parametrize(
    "change", [lambda k: k[:-1] + "~", lambda k: k + "x", lambda k: "hg-", str.upper]
)
def test_what_is_not_the_whole_key_is_nobody(store: Store, change) -> None:  # type: ignore[no-untyped-def]
    plain, _ = create(store, KeyRequest("app"))
    assert find(store, change(plain)) is None
    assert asyncio.run(KeyRing(store).find(change(plain))) is None


def test_a_revoked_key_is_refused_and_stays_on_the_list(store: Store) -> None:
    plain, row = create(store, KeyRequest("app"))
    first = revoke(store, row.key_id[:-3])
    assert find(store, plain) is None
    assert revoke(store, row.key_id) == first == list_keys(store)[0]


def test_an_expired_key_is_refused(store: Store) -> None:
    soon, _ = create(store, KeyRequest("a", expires=datetime.now(UTC) + timedelta(hours=1)))
    late, _ = create(store, KeyRequest("b", expires=datetime.now(UTC) - timedelta(seconds=1)))
    assert find(store, soon) is not None
    assert find(store, late) is None


def test_hashes_of_one_store_say_nothing_in_another(store: Store, tmp_path: Path) -> None:
    plain, _ = create(store, KeyRequest("app"))
    other = Store.open(f"sqlite:///{tmp_path / 'other.db'}")
    with store.begin() as here, other.begin() as there:
        there.execute(keys.insert(), [dict(here.execute(select(keys)).mappings().one())])
    assert find(other, plain) is None
    other.close()


def test_unclear_ids_and_bad_values_say_what_is_wrong(store: Store) -> None:
    for _ in range(2):
        create(store, KeyRequest("app"))
    with pytest.raises(NotFound, match="keys list"):
        revoke(store, "zzz")
    with pytest.raises(NotFound):
        revoke(store, "")
    with pytest.raises(InvalidRequest, match="give more of the id"):
        revoke(store, list_keys(store)[0].key_id[:6])
    with pytest.raises(InvalidRequest, match="name"):
        create(store, KeyRequest(" "))


def test_a_store_that_lost_its_secret_says_so(store: Store) -> None:
    with store.begin() as db:
        db.execute(delete(secrets))
    with pytest.raises(StoreError, match="backup"):
        create(store, KeyRequest("app"))


class Watched:
    """Counts how often the ring asks the store, and how many of its threads do at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.now = 100.0
        real = module._lookup

        def lookup(store: Store, digest: str) -> module.KeyRow | None:
            self.asked += 1
            return real(store, digest)

        monkeypatch.setattr(module, "_lookup", lookup)

    def clock(self) -> float:
        return self.now


def test_the_ring_asks_once_in_five_seconds_so_that_revoking_works_by_then(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, row = create(store, KeyRequest("app"))
    watched = Watched(monkeypatch)

    async def run() -> None:
        ring = KeyRing(store, clock=watched.clock)
        found = await asyncio.gather(*(ring.find(plain) for _ in range(20)))
        assert all(one and one.name == "app" for one in found)
        assert watched.asked == 1
        revoke(store, row.key_id)
        watched.now += 4.9
        assert await ring.find(plain) is not None
        watched.now += 0.2
        assert await ring.find(plain) is None
        assert watched.asked == 2

    asyncio.run(run())


def test_the_ring_remembers_no_misses_so_that_a_new_key_works_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = "hg-" + "A" * 43
    watched = Watched(monkeypatch)

    async def run() -> None:
        ring = KeyRing(store, clock=watched.clock)
        assert await ring.find(plain) is None
        monkeypatch.setattr(random, "token_urlsafe", lambda _: "A" * 43)
        create(store, KeyRequest("app"))
        assert await ring.find(plain) is not None

    asyncio.run(run())


def test_the_ring_keeps_a_bounded_number_of_keys(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [create(store, KeyRequest(f"app {n}"))[0] for n in range(4)]
    watched = Watched(monkeypatch)

    async def run() -> None:
        ring = KeyRing(store, most=2, clock=watched.clock)
        for plain in (*made, made[-1]):
            assert await ring.find(plain) is not None
        assert (len(ring._known), watched.asked) == (2, 4)

    asyncio.run(run())


def test_the_ring_forgets_a_key_when_it_expires(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, _ = create(store, KeyRequest("app", expires=datetime.now(UTC) + timedelta(seconds=2)))
    watched = Watched(monkeypatch)

    async def run() -> None:
        ring = KeyRing(store, clock=watched.clock)
        assert await ring.find(plain) is not None
        watched.now += 2.1
        await ring.find(plain)
        assert watched.asked == 2

    asyncio.run(run())


def test_the_ring_passes_on_that_the_store_is_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreError("away")

    monkeypatch.setattr(module, "_lookup", away)
    with pytest.raises(StoreError, match="away"):
        asyncio.run(KeyRing(store).find("hg-" + "A" * 43))
