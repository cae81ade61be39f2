"""A new configuration is served without a restart, and what is wrong in it breaks nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import web
from asking import client_of, user
from configs import proxy_config
from running import Server, run, serving
from sqlalchemy import select
from upstream import Upstream, says, upstream
from upstream import chunk as chunk_of
from upstream import sse as sse_of

from headgate_core.settings.load import load_settings
from headgate_core.store import Store
from headgate_core.store.rows import unpack
from headgate_core.store.tables import calls
from headgate_gateway.operations.live import workers

SOON_S = 30.0
BROKEN = "routes: [{name: plain\n"


def until(what: Callable[[], Any]) -> Any:
    """What ``what`` returns once that is true; fails after ``SOON_S``."""
    deadline = time.monotonic() + SOON_S
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come true"
        threading.Event().wait(0.02)
    return found


class Site:
    """A running gateway over a scripted upstream, and its files."""

    def __init__(self, server: Server, fake: Upstream, config: Path) -> None:
        self.server = server
        self.fake = fake
        self.config = config
        self.good = config.read_text()

    def write(self, text: str) -> None:
        """Replace the file as editors do: a new one under its name."""
        fresh = self.config.with_name("gateway.yaml.new")
        fresh.write_text(text)
        fresh.replace(self.config)

    def change(self, old: str, new: str) -> str:
        """Replace a part of the good file; returns the new configuration's hash."""
        assert old in self.good
        self.write(self.good.replace(old, new))
        return load_settings(self.config).hash

    def hup(self) -> None:
        os.kill(self.server.process.pid, signal.SIGHUP)

    def ready(self) -> dict[str, Any]:
        status, body = self.server.get("/ready")
        assert status == 200, body
        found: dict[str, Any] = body
        return found

    def serves(self, config_hash: str) -> None:
        until(lambda: self.ready()["config"] == config_hash)

    def refusal(self, word: str) -> str:
        """The refusal that ``/ready`` shows, once it names ``word``."""

        def told() -> str:
            refused = self.ready()["refused"]
            return refused["error"] if refused and word in refused["error"] else ""

        found: str = until(told)
        return found

    def log(self) -> str:
        return self.server.log.read_text()

    def status(self) -> tuple[int, dict[str, Any]]:
        done = run("status", "--json", "--config", str(self.config))
        return done.returncode, json.loads(done.stdout)


@contextmanager
def site(folder: Path, *arguments: str, reload: str = "watch") -> Iterator[Site]:
    more = f"server: {{reload: {reload}, drain_s: 10}}\n"
    with upstream(says("Hello", " world")) as fake:
        config = proxy_config(folder, fake.url, more=more)
        with serving(config, arguments) as server:
            yield Site(server, fake, config)


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


def test_a_broken_file_is_refused_and_named_and_the_next_good_one_is_served(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        before = place.ready()["config"]
        place.write(place.good + BROKEN)
        error = place.refusal("gateway.yaml:")
        assert place.ready()["config"] == before
        assert place.server.chat("plain", "hi")[0] == 200
        until(lambda: place.status()[1]["workers"][0]["refused"])
        code, status = place.status()
        assert (code, status["config"]) == (2, None)
        (worker,) = status["workers"]
        assert (worker["config"], worker["refused"]["error"]) == (before, error)
        assert place.log().count("is refused") == 1
        assert error in place.log()
        wanted = place.change("aliases: [gpt-4o]", "aliases: [gpt-4o, mended]")
        place.serves(wanted)
        assert place.ready()["refused"] is None
        assert place.server.chat("mended", "hi")[0] == 200
        until(lambda: place.status()[1]["workers"][0]["refused"] is None)
        code, status = place.status()
        assert (code, status["config"], status["workers"][0]["refused"]) == (0, wanted, None)


def test_a_remote_caller_is_not_told_what_is_wrong_in_a_file(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        place.write(place.good + BROKEN)
        place.refusal("gateway.yaml:")
        for headers in ({"X-Forwarded-For": "192.0.2.1"}, {"Authorization": "Bearer hg-guess"}):
            _, body = place.server.get("/ready", headers)
            assert "gateway.yaml" not in json.dumps(body["refused"])


def test_what_needs_a_restart_is_refused_as_a_whole_and_named_with_its_line(tmp_path: Path) -> None:
    with site(tmp_path) as place:
        before = place.ready()["config"]
        changed = place.good.replace("aliases: [gpt-4o]", "aliases: [gpt-4o, new]")
        place.write(changed + "store: {url: 'sqlite:///elsewhere/headgate.db'}\n")
        error = place.refusal("store.url")
        line = len(changed.splitlines()) + 1
        assert f"gateway.yaml:{line}:" in error
        assert "Restart the gateway" in error
        place.write(changed.replace("reload: watch", "workers: 3"))
        assert "is 3 and the gateway serves with 1" in place.refusal("server.workers")
        assert place.ready()["config"] == before
        assert place.server.chat("new", "hi")[0] == 404


def test_a_changed_port_is_refused(tmp_path: Path) -> None:
    with upstream(says("hi")) as fake:
        config = proxy_config(tmp_path, fake.url)
        with serving(config) as server:  # --port stands over the file, and so do its changes
            place = Site(server, fake, config)
            place.write(place.good + "server: {port: 1234, host: localhost}\n")
            assert "server.host" in place.refusal("localhost")
            assert "server.port" not in place.refusal("localhost")


def test_all_workers_change_over_and_none_is_replaced(tmp_path: Path) -> None:
    with site(tmp_path, "--workers", "2", reload="signal") as place:
        data_dir = load_settings(place.config).data_dir
        until(lambda: len(workers(data_dir)) == 2)
        pids = {w["pid"] for w in workers(data_dir)}
        wanted = place.change("aliases: [gpt-4o]", "aliases: [gpt-4o, second]")
        place.hup()
        until(lambda: {w["config"] for w in workers(data_dir)} == {wanted})
        assert {w["pid"] for w in workers(data_dir)} == pids
        assert {place.server.chat("second", "hi")[0] for _ in range(8)} == {200}


def test_a_worker_that_dies_while_the_file_is_broken_does_not_end_the_others(
    tmp_path: Path,
) -> None:
    with site(tmp_path, "--workers", "2") as place:
        data_dir = load_settings(place.config).data_dir
        until(lambda: len(workers(data_dir)) == 2)
        place.write(place.good + BROKEN)
        until(lambda: all(w["refused"] for w in workers(data_dir)))
        victim = workers(data_dir)[0]["pid"]
        os.kill(victim, signal.SIGKILL)
        until(lambda: "waits for what it can serve" in place.log())
        assert {place.server.chat("plain", "hi")[0] for _ in range(8)} == {200}
        wanted = place.change("aliases: [gpt-4o]", "aliases: [gpt-4o, again]")
        until(lambda: [w["config"] for w in workers(data_dir)] == [wanted, wanted])
        assert victim not in {w["pid"] for w in workers(data_dir)}


FAULTY = """\
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Faulty:
    \"""A provider that cannot be made.\"""

    def __post_init__(self) -> None:
        with Path(__file__).with_name("tries").open("a") as tries:
            tries.write("x")
        raise {error}

    async def chat(self, request, model):
        \"""Never asked.\"""
"""


@pytest.mark.parametrize(
    "error",
    [
        "RuntimeError('it burns')",
        "__import__('headgate_core.errors').errors.ConfigurationError('it burns')",
    ],
    ids=["a-fault", "an-error"],
)
def test_a_worker_that_dies_while_a_plugin_is_broken_does_not_end_the_others(
    tmp_path: Path, error: str
) -> None:
    (tmp_path / "faulty_plugin.py").write_text(FAULTY.replace("{error}", error))
    tries = tmp_path / "tries"
    modules = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    with upstream(says("hi")) as fake:
        config = proxy_config(tmp_path, fake.url)
        with serving(config, ["--workers", "2"], env={"PYTHONPATH": modules}) as server:
            place = Site(server, fake, config)
            data_dir = load_settings(config).data_dir
            until(lambda: len(workers(data_dir)) == 2)
            place.write(place.good.replace("use: echo}", "use: 'faulty_plugin:Faulty'}"))
            until(lambda: all(w["refused"] for w in workers(data_dir)))
            os.kill(workers(data_dir)[0]["pid"], signal.SIGKILL)
            until(lambda: "waits for what it can serve" in place.log())
            seen = len(tries.read_text())
            until(lambda: len(tries.read_text()) >= seen + 4)
            assert {server.chat("plain", "hi")[0] for _ in range(8)} == {200}
            # One of the worker that serves, and the dead one's where it is not recovered yet.
            assert len(list((data_dir / "journal").glob("*.jsonl"))) <= 2
            assert place.log().count("waits for what it can serve") == 1
            place.write(place.good)
            until(lambda: len([w for w in workers(data_dir) if not w["refused"]]) == 2)
            assert ended(server) == 0


def ended(server: Server) -> int:
    server.process.terminate()
    return server.process.wait(SOON_S)


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


PROMPT = """\
---
name: greet
---
=== system ===
{% include "parts/tone.md" %}
=== user ===
{{ question }}
"""
PROMPT = PROMPT.replace(
    "name: greet\n", "name: greet\ninputs:\n  question: {from: last_user_message}\n"
)


def test_an_edited_partial_is_served_at_file_and_not_under_a_label(tmp_path: Path) -> None:
    parts = tmp_path / "prompts" / "parts"
    parts.mkdir(parents=True)
    (tmp_path / "prompts" / "greet.md").write_text(PROMPT)
    tone = parts / "tone.md"
    tone.write_text("Be formal.\n")
    with upstream(says("ok")) as fake:
        config = proxy_config(tmp_path, fake.url)
        config.write_text(
            config.read_text()
            + "  - {name: draft, pool: main, prompt: greet@file}\n"
            + "  - {name: live, pool: main, prompt: greet@production}\n"
        )

        def system(model: str) -> str:
            assert server.chat(model, "hi")[0] == 200
            text: str = fake.seen[-1]["messages"][0]["content"]
            return text

        with serving(config) as server:
            assert (system("draft"), system("live")) == ("Be formal.", "Be formal.")
            fresh = parts / "tone.md~"
            fresh.write_text("Be brief.\n")
            fresh.replace(tone)
            until(lambda: system("draft") == "Be brief.")
            assert system("live") == "Be formal."
            moved = run("prompts", "label", "greet", "production", "file", "--config", str(config))
            assert moved.returncode == 0, moved.stderr
            os.kill(server.process.pid, signal.SIGHUP)
            until(lambda: system("live") == "Be brief.")


def test_an_edited_policy_is_enforced_without_a_restart(tmp_path: Path) -> None:
    policies = tmp_path / "guardrails"
    policies.mkdir()
    policy = policies / "words.yaml"
    text = "name: words\nchecks:\n  - {name: w, use: pii, at: [input], action: block, options: "
    policy.write_text(text + "{types: [iban]}}\n")
    with upstream(says("ok")) as fake:
        config = proxy_config(tmp_path, fake.url, more="defaults: {guards: [words]}\n")
        with serving(config) as server:
            place = Site(server, fake, config)

            def answered() -> bool:
                status, body = server.chat("plain", "write to jane.doe@example.com")
                return bool(status == 200 and body["choices"][0]["message"]["content"] == "ok")

            assert answered()
            policy.write_text(text + "{types: [email], nonsense: 1}}\n")
            assert "words.yaml:3" in place.refusal("words.yaml")
            assert answered()
            policy.write_text(text + "{types: [email]}}\n")
            until(lambda: not answered())
