"""Keys and limits, as callers meet them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from configs import proxy_config, write_config
from running import Server, headgate, run, serving
from upstream import says, upstream


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    folder = tmp_path_factory.mktemp("access")
    with upstream(says("ok")) as fake:
        config = proxy_config(folder, fake.url, keys="required")
        with serving(config) as server:
            yield server, config


def make_key(config: Path, *options: str) -> str:
    done = headgate("keys", "create", "--name", "app", "--json", "--config", str(config), *options)
    assert done.returncode == 0, done.stderr
    key: str = json.loads(done.stdout)["key"]
    assert key.startswith("hg-")
    return key


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


BODY = {"model": "plain", "messages": [{"role": "user", "content": "hi"}]}


def test_without_a_key_the_answer_is_401_and_says_how_to_get_one(
    guarded: tuple[Server, Path],
) -> None:
    status, body = guarded[0].post("/v1/chat/completions", BODY)
    assert status == 401
    assert "headgate keys create" in body["error"]["message"]


def test_a_key_made_while_the_server_runs_works_at_once(guarded: tuple[Server, Path]) -> None:
    server, config = guarded
    status, _ = server.post("/v1/chat/completions", BODY, bearer(make_key(config)))
    assert status == 200


def test_a_key_may_use_only_the_models_it_names(guarded: tuple[Server, Path]) -> None:
    server, config = guarded
    key = make_key(config, "--model", "safe")
    assert server.post("/v1/chat/completions", BODY, bearer(key))[0] == 403
    assert server.post("/v1/chat/completions", {**BODY, "model": "safe"}, bearer(key))[0] == 200
    status, models = server.get("/v1/models", bearer(key))
    assert (status, [m["id"] for m in models["data"]]) == (200, ["safe"])


def test_a_bare_pool_needs_a_key_that_names_it(guarded: tuple[Server, Path]) -> None:
    server, config = guarded
    body = {**BODY, "model": "main"}
    assert server.post("/v1/chat/completions", body, bearer(make_key(config)))[0] == 403
    named = make_key(config, "--model", "main")
    assert server.post("/v1/chat/completions", body, bearer(named))[0] == 200


def test_an_unknown_model_lists_only_what_the_key_may_use(guarded: tuple[Server, Path]) -> None:
    server, config = guarded
    key = make_key(config, "--model", "safe")
    status, body = server.post("/v1/chat/completions", {**BODY, "model": "nope"}, bearer(key))
    assert status == 404
    assert "Known: safe." in body["error"]["message"]


def test_an_unknown_model_without_a_key_is_401_and_lists_nothing(
    guarded: tuple[Server, Path],
) -> None:
    status, body = guarded[0].post("/v1/chat/completions", {**BODY, "model": "nope"})
    assert status == 401
    assert "plain" not in body["error"]["message"]


def test_requests_per_minute_end_in_429_that_says_when(guarded: tuple[Server, Path]) -> None:
    server, config = guarded
    headers = bearer(make_key(config, "--requests-per-minute", "3"))
    statuses = [server.post("/v1/chat/completions", BODY, headers)[0] for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


def test_two_workers_share_one_limit(tmp_path: Path) -> None:
    config = write_config(
        tmp_path,
        """\
        auth: {keys: required}
        providers: [{name: echo, use: echo}]
        pools: [{name: e, targets: [{provider: echo, model: echo}]}]
        routes: [{name: plain, pool: e}]
        """,
    )
    headers = bearer(make_key(config, "--requests-per-minute", "7"))
    with serving(config, ["--workers", "2"]) as server:
        statuses = [server.post("/v1/chat/completions", BODY, headers)[0] for _ in range(20)]
    assert statuses.count(200) == 7
    assert statuses.count(429) == 13


def test_open_keys_on_a_public_address_do_not_start(tmp_path: Path) -> None:
    with upstream() as fake:
        config = proxy_config(tmp_path, fake.url)
        done = run("serve", "--config", str(config), "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 2
    assert "loopback" in done.stderr
