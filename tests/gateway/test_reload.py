"""A new configuration is served without a restart, and no call notices."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import web
from asking import client_of, user
from reload_world import site
from running import SOON_S, Server, until
from sqlalchemy import select
from upstream import chunk as chunk_of
from upstream import sse as sse_of

from headgate_core.settings.load import load_settings
from headgate_core.store import Store
from headgate_core.store.rows import unpack
from headgate_core.store.tables import calls


def recorded(config: Path) -> list[tuple[str, str, int]]:
    """Outcome, configuration and status of every call in the store."""
    store = Store.open(load_settings(config).store.url)
    try:
        with store.begin() as db:
            rows = db.execute(select(calls.c.outcome, calls.c.record, calls.c.status)).all()
            return [(o, unpack(record)["config_hash"], status) for o, record, status in rows]
    finally:
        store.close()


class Load:
    """Clients that call without a pause, one in two of them for a stream."""

    def __init__(self, url: str, clients: int) -> None:
        self._stop = threading.Event()
        self.errors: list[str] = []
        self.made = 0
        self._threads = [
            threading.Thread(target=self._call, args=(url, n % 2 == 1)) for n in range(clients)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(SOON_S)
            assert not thread.is_alive()

    def _call(self, url: str, stream: bool) -> None:
        with client_of(url) as client:
            while not self._stop.is_set():
                try:
                    text = self._streamed(client) if stream else self._whole(client)
                    if text != "Hello world":
                        self.errors.append(f"said {text!r}")
                except openai.OpenAIError as error:
                    self.errors.append(repr(error))
                self.made += 1

    def _whole(self, client: openai.OpenAI) -> str:
        made = client.chat.completions.create(model="plain", messages=user("hi"))
        return made.choices[0].message.content or ""

    def _streamed(self, client: openai.OpenAI) -> str:
        with client.chat.completions.create(
            model="plain", messages=user("hi"), stream=True
        ) as stream:
            pieces = [c.choices[0].delta.content or "" for c in stream if c.choices]
        return "".join(pieces)


def descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


@pytest.mark.slow
def test_100_reloads_under_load_break_no_call_and_leave_nothing_open(tmp_path: Path) -> None:
    with site(tmp_path, reload="signal") as place:
        with Load(place.server.url, clients=4) as load:
            until(lambda: load.made > 20)
        open_before = descriptors(place.server)
        two = {load_settings(place.config).hash}
        with Load(place.server.url, clients=4) as load:
            for n in range(100):
                # The provider changes every time: its connections are made and closed again.
                new = f'"{place.fake.url}", headers: {{x-n: "{n % 2}"}}'
                wanted = place.change(f'"{place.fake.url}"', new)
                two.add(wanted)
                place.hup()
                place.serves(wanted)
        assert load.errors == []
        assert load.made > 100
        until(lambda: descriptors(place.server) <= open_before + 4)
        assert place.ready()["refused"] is None
    found = recorded(place.config)
    assert {(outcome, status) for outcome, _, status in found} == {("ok", 200)}
    assert {config for _, config, _ in found} == two
    assert len(two) == 3  # as it began, and the two in turn
    assert len(found) >= load.made


def test_a_stream_outlives_the_reload_that_removes_its_route(tmp_path: Path) -> None:
    release, begun = threading.Event(), threading.Event()

    async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(sse_of(chunk_of({"role": "assistant", "content": "first"})))
        begun.set()
        while not release.is_set():
            await asyncio.sleep(0.02)
        for event in (chunk_of({"content": " last"}), chunk_of({}, "stop")):
            await response.write(sse_of(event))
        await response.write(b"data: [DONE]\n\n")
        return response

    with site(tmp_path, reload="signal") as place, client_of(place.server.url) as client:
        before = place.ready()["config"]
        place.fake.answers[:] = [slow]
        messages = user("go")
        stream = client.chat.completions.create(model="plain", messages=messages, stream=True)
        assert begun.wait(SOON_S)
        # Its pool and its provider go too.
        place.write(
            "auth: {keys: open}\nproviders: [{name: echo, use: echo}]\n"
            "pools: [{name: spare, targets: [{provider: echo, model: echo}]}]\n"
            "server: {reload: signal, drain_s: 10}\n"
        )
        wanted = load_settings(place.config).hash
        place.hup()
        place.serves(wanted)
        assert place.server.chat("plain", "hi")[0] == 404
        release.set()
        text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
        assert text == "first last"
    assert sorted(recorded(place.config), key=lambda row: row[2]) == [
        ("ok", before, 200),
        ("error", wanted, 404),
    ]


def test_a_new_route_and_a_new_limit_are_served_after_a_signal(tmp_path: Path) -> None:
    with site(tmp_path, reload="signal") as place:
        assert place.server.chat("fresh", "hi")[0] == 404
        limit = "  - {name: fresh, pool: spare, limits: {requests_per_minute: 2}}\n  - {name: safe"
        wanted = place.change("  - {name: safe", limit)
        place.hup()
        place.serves(wanted)
        assert [place.server.chat("fresh", "hi")[0] for _ in range(3)] == [200, 200, 429]
        wanted = place.change("  - {name: safe", limit.replace("pool", "aliases: [other], pool"))
        place.hup()
        place.serves(wanted)
        assert place.server.chat("other", "hi")[0] == 429, "the minute began anew"


def test_with_reload_never_a_signal_does_nothing_and_does_not_end_the_process(
    tmp_path: Path,
) -> None:
    with site(tmp_path, reload="never") as place:
        before = place.ready()["config"]
        place.change("aliases: [gpt-4o]", "aliases: [gpt-4o, ignored]")
        place.hup()
        until(lambda: "the signal to reload is ignored" in place.log())
        assert place.ready()["config"] == before
        assert place.server.chat("ignored", "hi")[0] == 404
