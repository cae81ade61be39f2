"""The database goes away under load and comes back: what callers and the ledger see of it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from configs import write_config
from in_process import opened
from postgres import Postgres, postgres
from running import Server, serving
from sqlalchemy import func, select, text
from upstream import says, upstream

from headgate_core.errors import StoreError
from headgate_core.store import Store
from headgate_core.store.engine import OVERFLOW, POOL
from headgate_core.store.tables import attempts
from headgate_gateway.keys import REMEMBERED_S, KeyRequest, KeyRing, create

CALL_PICO = 15_600_000
"""11 tokens in at 0.40 and 7 out at 1.60 dollars per million."""
THREADS = 8
CONFIG = """\
auth: {{keys: required}}
store: {{url: "{store}", when_away: {mode}}}
providers: [{{name: up, use: openai_compatible, options: {{base_url: "{up}"}}}}]
pools: [{{name: main, targets: [{{provider: up, model: fake}}]}}]
prices:
  overrides: [{{model: up/fake, input_per_mtok_usd: 0.40, output_per_mtok_usd: 1.60}}]
routes: [{{name: plain, pool: main}}]
"""


MESSAGES = [{"role": "user", "content": "hi"}]
ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/messages": {"messages": MESSAGES, "max_tokens": 9},
    "/v1/responses": {"input": "hi", "store": False},
    "/v1/completions": {"prompt": "hi"},
}
"""How the same is asked at each endpoint."""


@dataclass
class Load:
    """Callers that call again and again until they are told to stop."""

    server: Server
    key: str
    results: list[tuple[int, Any]] = field(default_factory=list)
    _more: threading.Condition = field(default_factory=threading.Condition)
    _over: threading.Event = field(default_factory=threading.Event)

    def call(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        body = {"model": "plain", "messages": MESSAGES}
        while not self._over.is_set():
            result = self.server.post("/v1/chat/completions", body, headers)
            with self._more:
                self.results.append(result)
                self._more.notify_all()

    def until(self, status: int, times: int) -> None:
        """Wait for so many more answers of this status."""
        with self._more:
            begun = len(self.results)

            def enough() -> bool:
                return sum(s == status for s, _ in self.results[begun:]) >= times

            assert self._more.wait_for(enough, 30), Counter(s for s, _ in self.results[begun:])

    def count(self, status: int) -> int:
        return sum(s == status for s, _ in self.results)

    @contextmanager
    def going(self) -> Iterator[Load]:
        threads = [threading.Thread(target=self.call) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join(60)


@dataclass
class Place:
    """A gateway whose store is a PostgreSQL server of its own."""

    db: Postgres
    server: Server
    key: str

    def booked(self) -> tuple[int, int]:
        """How many attempts the ledger has, and their cost in pico-dollars."""
        store = Store(self.db.url)
        try:
            with store.begin() as db:
                query = select(func.count(), func.sum(attempts.c.cost_pico)).select_from(attempts)
                count, cost = db.execute(query).one()
                return int(count), int(cost or 0)
        finally:
            store.close()

    def connections(self) -> int:
        """Connections of the gateway to the database."""
        store = Store(self.db.url)
        try:
            with store.begin() as db:
                query = (
                    "select count(*) from pg_stat_activity where backend_type = 'client backend' "
                    "and pid <> pg_backend_pid()"
                )
                return int(db.execute(text(query)).scalar_one())
        finally:
            store.close()


@contextmanager
def before_postgres(folder: Path, mode: str) -> Iterator[Place]:
    with postgres() as db, upstream(says("Hello", " world")) as fake:
        store = Store.open(db.url)
        key, _ = create(store, KeyRequest("load"))
        store.close()
        config = write_config(folder, CONFIG.format(store=db.url, mode=mode, up=fake.url))
        with serving(config) as server:
            yield Place(db, server, key)


def all_is_booked(place: Place, calls: int) -> None:
    """Every call that was answered is in the ledger, once, at its price."""
    deadline = threading.Event()
    timer = threading.Timer(40, deadline.set)
    timer.start()
    try:
        while place.booked()[0] < calls and not deadline.wait(0.1):
            pass
    finally:
        timer.cancel()
    assert place.booked() == (calls, calls * CALL_PICO)


def test_a_restart_of_the_database_costs_no_call_and_no_cent(tmp_path: Path) -> None:
    with before_postgres(tmp_path, "spool") as place:
        load = Load(place.server, place.key)
        with load.going():
            load.until(200, 100)
            assert 0 < place.connections() <= POOL + OVERFLOW
            place.db.stop()
            load.until(200, 300)
            status, ready = place.server.get("/ready")
            assert (status, ready["store"]) == (200, "away")
            place.db.start()
            load.until(200, 100)
        assert load.count(200) == len(load.results)
        all_is_booked(place, len(load.results))
        assert place.server.get("/ready")[1]["store"] == "ok"


def test_where_nothing_may_go_on_without_the_database_calls_are_refused_meanwhile(
    tmp_path: Path,
) -> None:
    with before_postgres(tmp_path, "refuse") as place:
        load = Load(place.server, place.key)
        with load.going():
            load.until(200, 50)
            place.db.stop()
            load.until(503, 100)
            assert place.server.get("/ready")[0] == 503
            before = load.count(200)
            load.until(503, 20)
            assert load.count(200) == before  # none slips through
            place.db.start()
            load.until(200, 50)
        assert {s for s, _ in load.results} == {200, 503}
        for status, body in load.results:
            if status == 503:
                assert body["error"]["code"] == "store_unavailable"
                assert "connect" not in body["error"]["message"]  # nothing of the inside
        all_is_booked(place, load.count(200))


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While it is set, no store of this process answers."""
    gone = threading.Event()
    begin = Store.begin

    def guarded(self: Store) -> Any:
        if gone.is_set():
            raise StoreError("The store failed: host db-7.internal is unreachable.")
        return begin(self)

    monkeypatch.setattr(Store, "begin", guarded)
    return gone


@pytest.mark.parametrize(("mode", "status"), [("spool", 200), ("refuse", 503)])
def test_the_declared_mode_holds_for_every_endpoint(
    tmp_path: Path, away: threading.Event, mode: str, status: int
) -> None:
    async def work(url: str) -> None:
        text = CONFIG.format(store="sqlite:///var/headgate.db", mode=mode, up=url)
        config = write_config(tmp_path, text.replace("keys: required", "keys: open"))
        async with opened(config) as place:
            gateway = place.endpoints.gateway
            away.set()
            await gateway.presence.look()
            for path, members in ASKED.items():
                answer = await place.ask({"model": "plain", **members}, path=path)
                assert answer.status == status, answer.body
                assert b"internal" not in answer.body
            away.clear()
            await gateway.presence.look()
            assert (await place.chat("plain")).status == 200
            await gateway.flush()

    with upstream(says("Hello", " world")) as fake:
        asyncio.run(work(fake.url))


@pytest.mark.parametrize(("spool", "passes"), [(True, True), (False, False)])
def test_a_known_key_outlives_an_outage_only_where_calls_go_on(
    tmp_path: Path, away: threading.Event, spool: bool, passes: bool
) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/headgate.db")
    now = [0.0]
    known, unknown = create(store, KeyRequest("a"))[0], create(store, KeyRequest("b"))[0]
    noticed = [""]
    ring = KeyRing(store, clock=lambda: now[0], spool=spool, away=lambda: noticed[0])

    async def work() -> None:
        principal = await ring.find(known)
        away.set()
        now[0] += REMEMBERED_S + 1
        for noticed[0] in ("", "it is away"):  # whoever notices first
            if passes:
                assert await ring.find(known) == principal
            else:
                with pytest.raises(StoreError):
                    await ring.find(known)
            with pytest.raises(StoreError):
                await ring.find(unknown)

    asyncio.run(work())
    store.close()
