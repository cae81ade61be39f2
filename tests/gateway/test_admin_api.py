"""The admin API: a key of its own, where configured a port of its own, and what it does."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from configs import proxy_config
from running import Server, free_port, run, serving
from upstream import says, upstream

from headgate_core.errors import ConfigurationError
from headgate_core.settings.load import load_settings

KEY = "a-key-drawn-at-random-7Qx2"
ENV = {"HEADGATE_ADMIN_KEY": KEY}
BEARER = {"Authorization": f"Bearer {KEY}"}
ADMIN_KEY = "env:HEADGATE_ADMIN_KEY"


def until(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 30
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come true"
        threading.Event().wait(0.02)
    return found


def configured(folder: Path, url: str, *, server: str = "", key: str = ADMIN_KEY) -> Path:
    """The usual proxy, with an admin key and members of ``server``."""
    path = proxy_config(folder, url, more=f"server: {{reload: signal{server}}}\n")
    auth = "auth: {keys: open" + (f", admin_key: {key}" if key else "") + "}"
    path.write_text(path.read_text().replace("auth: {keys: open}", auth))
    return path


def with_route(text: str, route: str) -> str:
    """The configuration with one more route, the first one."""
    return text.replace("routes:\n", f"routes:\n  - {route}\n")


@contextmanager
def site(folder: Path, *arguments: str, server: str = "") -> Iterator[tuple[Server, Path]]:
    with upstream(says("Hello")) as fake:
        config = configured(folder, fake.url, server=server)
        with serving(config, arguments, ENV) as running:
            yield running, config


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """One port for all."""
    with site(tmp_path_factory.mktemp("admin")) as made:
        yield made


@pytest.mark.parametrize("path", ["/admin/status", "/admin/nothing", "/admin", "/admin/reload"])
@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {KEY}x"}, {"x-api-key": ""}],
)
def test_without_the_admin_key_nothing_is_told_apart(
    both: tuple[Server, Path], path: str, headers: dict[str, str]
) -> None:
    status, body = both[0].get(path, headers)
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")
    assert KEY not in str(body)


def test_a_key_for_calls_opens_no_admin_api(both: tuple[Server, Path]) -> None:
    made = run("keys", "create", "--name", "app", "--config", str(both[1]), env=ENV)
    key = made.stdout.strip()
    assert key.startswith("hg-"), made.stderr
    assert both[0].get("/admin/status", {"Authorization": f"Bearer {key}"})[0] == 401


def test_the_admin_key_makes_no_calls(tmp_path: Path) -> None:
    with upstream(says("Hello")) as fake:
        config = configured(tmp_path, fake.url)
        config.write_text(config.read_text().replace("keys: open", "keys: required"))
        with serving(config, env=ENV) as server:
            body = {"model": "plain", "messages": [{"role": "user", "content": "hi"}]}
            assert server.post("/v1/chat/completions", body, BEARER)[0] == 401


def test_without_a_key_in_the_configuration_there_is_no_admin_api(tmp_path: Path) -> None:
    with upstream(says("Hello")) as fake, serving(configured(tmp_path, fake.url, key="")) as server:
        for headers in ({}, BEARER, {"Authorization": "Bearer "}):
            status, body = server.get("/admin/status", headers)
            assert (status, body["error"]["code"]) == (403, "admin_api_off")
            assert "auth.admin_key" in body["error"]["message"]


def test_status_is_one_look_at_the_deployment(both: tuple[Server, Path]) -> None:
    server = both[0]
    status, found = server.get("/admin/status", BEARER)
    assert status == 200
    assert found["config"] == server.get("/ready")[1]["config"]
    assert found["store"] == "ok"
    assert [w["pid"] for w in found["workers"]] == [server.process.pid]


def test_a_target_is_disabled_and_enabled(both: tuple[Server, Path]) -> None:
    server = both[0]
    asked = {"target": "up/fake", "for": "2h", "why": "its disk is full"}
    status, said = server.post("/admin/targets/disable", asked, BEARER)
    assert (status, said["why"], said["still_used_in"]) == (
        200,
        "its disk is full",
        ["main", "guarded"],
    )
    rows = server.get("/admin/targets", BEARER)[1]["targets"]
    assert {r["target"]: r["state"] for r in rows} == {"up/fake": "disabled", "echo/echo": "closed"}
    assert server.get("/admin/status", BEARER)[1]["disabled"][0]["target"] == "up/fake"
    assert server.post("/admin/targets/enable", {"target": "up/fake"}, BEARER)[0] == 200
    assert server.get("/admin/status", BEARER)[1]["disabled"] == []
    status, said = server.post("/admin/targets/enable", {"target": "up/fake"}, BEARER)
    assert (status, said["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"target": "up/fakee", "for": "2h", "why": "x"}, 404, "'up/fake'"),
        ({"target": "up/fake", "for": "soon", "why": "x"}, 400, "is no duration"),
        ({"target": "up/fake", "for": "2h", "why": " "}, 400, "Say why"),
        ({"target": "up/fake", "for": "2h"}, 400, "why: Field required"),
        ({"target": "up/fake", "for": "2h", "why": "x", "wy": 1}, 400, "wy: Extra inputs"),
        ({"target": 1, "for": "2h", "why": "x"}, 400, "target: "),
        ({"target": "up/fake", "for": "9" * 5000 + "d", "why": "x"}, 400, "is no duration"),
        ({"target": "up/fake", "for": "1m", "why": "a\nFAKE log line"}, 400, "in one line"),
        (rb'{"target": "up/fake", "for": "1m", "why": "\ud800"}', 400, "why: "),
        (b"{", 400, "JSON decode error"),
        (b"\xff", 400, "body"),
    ],
)
def test_what_is_wrong_comes_in_the_envelope_and_says_what(
    both: tuple[Server, Path], body: Any, status: int, said: str
) -> None:
    found, answer = both[0].post("/admin/targets/disable", body, BEARER)
    assert found == status, answer
    assert set(answer["error"]) >= {"message", "type", "param", "code"}
    assert said in answer["error"]["message"]


def test_paths_and_methods_that_are_not_there_come_in_the_envelope(
    both: tuple[Server, Path],
) -> None:
    status, body = both[0].get("/admin/nothing", BEARER)
    assert (status, body["error"]["code"]) == (404, "unknown_path")
    status, body = both[0].get("/admin/reload", BEARER)
    assert (status, body["error"]["code"]) == (405, "method_not_allowed")


def test_the_api_describes_itself_and_loads_nothing_from_elsewhere(
    both: tuple[Server, Path],
) -> None:
    status, found = both[0].get("/admin/openapi.json", BEARER)
    assert status == 200
    assert {"/admin/reload", "/admin/status", "/admin/targets"} <= set(found["paths"])
    assert both[0].get("/admin/docs", BEARER)[0] == 404


def test_a_reload_answers_when_the_new_configuration_serves(tmp_path: Path) -> None:
    with site(tmp_path) as (server, config):
        before = server.get("/ready")[1]["config"]
        good = config.read_text()
        config.write_text(with_route(good, "{name: fresh, pool: main}"))
        status, said = server.post("/admin/reload", {}, BEARER)
        assert (status, said["before"]) == (200, before)
        assert said["config"] == server.get("/ready")[1]["config"] != before
        assert server.chat("fresh", "hi")[0] == 200

        config.write_text(with_route(good, "{name: lost, pool: nowhere}"))
        status, refused = server.post("/admin/reload", {}, BEARER)
        error = refused["error"]
        assert (status, error["code"], error["serving"]) == (
            422,
            "configuration_refused",
            said["config"],
        )
        line = good.splitlines().index("routes:") + 2
        (problem,) = error["problems"]
        assert (problem["file"], problem["line"]) == (str(config), line)
        assert "unknown pool 'nowhere'" in problem["message"]
        assert server.chat("fresh", "hi")[0] == 200


def test_many_reloads_at_once_all_answer(tmp_path: Path) -> None:
    with site(tmp_path) as (server, _):
        answers: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: answers.append(server.post("/admin/reload", {}, BEARER)[0])
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert answers == [200] * 8


def test_where_nothing_is_read_again_a_reload_says_so(tmp_path: Path) -> None:
    with upstream(says("Hello")) as fake:
        config = configured(tmp_path, fake.url)
        config.write_text(config.read_text().replace("reload: signal", "reload: never"))
        with serving(config, env=ENV) as server:
            status, body = server.post("/admin/reload", {}, BEARER)
            assert (status, body["error"]["code"]) == (409, "reload_off")


def test_admin_and_calls_are_apart_where_the_admin_api_has_a_port(tmp_path: Path) -> None:
    port = free_port()
    with site(tmp_path, server=f", admin: {{port: {port}}}") as (server, _):
        admin = Server(server.process, port, server.log)
        assert admin.get("/admin/status", BEARER)[0] == 200
        status, body = server.get("/admin/status", BEARER)
        assert (status, body["error"]["code"]) == (404, "unknown_path")
        assert server.chat("plain", "hi")[0] == 200
        for path in ("/v1/models", "/v1/chat/completions", "/nothing"):
            status, body = admin.get(path, BEARER)
            assert (status, body["error"]["code"]) == (404, "unknown_path")
        for one in (server, admin):
            assert one.get("/health")[0] == 200
            assert one.get("/ready")[0] == 200


def test_two_workers_share_the_admin_port_and_change_over_together(tmp_path: Path) -> None:
    port = free_port()
    ports = f", admin: {{port: {port}}}"
    with site(tmp_path, "--workers", "2", server=ports) as (server, config):
        admin = Server(server.process, port, server.log)
        until(lambda: len(admin.get("/admin/status", BEARER)[1]["workers"]) == 2)
        for _ in range(20):
            assert server.get("/admin/status", BEARER)[0] == 404
        config.write_text(with_route(config.read_text(), "{name: fresh, pool: main}"))
        status, said = admin.post("/admin/reload", {}, BEARER)
        assert status == 200, said
        assert {w["config"] for w in said["workers"]} == {said["config"]}
        assert len({w["pid"] for w in said["workers"]}) == 2
        for _ in range(20):
            assert server.chat("fresh", "hi")[0] == 200


@pytest.mark.parametrize(
    ("auth", "server", "said"),
    [
        ("", "{admin: {port: 8081}}", "the admin API needs a key"),
        ("", "{admin: {host: 0.0.0.0, port: 8081}}", "the admin API needs a key"),
        ("env:HEADGATE_ADMIN_KEY", "{port: 8081, admin: {port: 8081}}", "both have port 8081"),
        ("env:SHORT", "{}", "can be guessed"),
        ("env:SAME", "{}", "can be guessed"),
        (KEY, "{}", "secret"),
        ("env:HEADGATE_ADMIN_KEY", "{admin: {prot: 8081}}", "Did you mean 'port'"),
    ],
)
def test_an_admin_api_that_is_not_safe_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auth: str, server: str, said: str
) -> None:
    config = proxy_config(tmp_path, "http://127.0.0.1:1", more=f"server: {server}\n")
    key = f", admin_key: {auth}" if auth else ""
    config.write_text(config.read_text().replace("keys: open", f"keys: open{key}"))
    for name, value in {**ENV, "SHORT": "sk-1234", "SAME": "a" * 40}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(config)
    assert said in str(caught.value)
    assert KEY not in str(caught.value)
    assert "sk-1234" not in str(caught.value)


def test_a_port_given_at_start_that_the_admin_api_has_is_refused(tmp_path: Path) -> None:
    config = configured(tmp_path, "http://127.0.0.1:1", server=", admin: {port: 8081}")
    done = run("serve", "--config", str(config), "--port", "8081", env=ENV)
    assert done.returncode == 2
    assert "both have port 8081" in done.stderr


def test_a_worker_whose_keeper_is_gone_says_so(tmp_path: Path) -> None:
    with site(tmp_path, "--workers", "2") as (server, _):
        workers = server.get("/admin/status", BEARER)[1]["workers"]
        server.process.kill()
        server.process.wait(30)
        try:
            status, body = server.post("/admin/reload", {}, BEARER)
            assert status == 500
            assert "restart the gateway" in body["error"]["message"]
        finally:
            for worker in workers:
                os.kill(worker["pid"], signal.SIGKILL)
