"""How much feedback a key may give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from configs import write_config
from running import Server, run, serving

CONFIG = """\
auth: {keys: required}
providers: [{name: echo, use: echo}]
pools: [{name: main, targets: [{provider: echo, model: echo}]}]
routes: [{name: plain, pool: main}]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    config = write_config(tmp_path_factory.mktemp("feedback-limits"), CONFIG)
    with serving(config) as server:
        yield server, config


def keyed(site: tuple[Server, Path], *options: str) -> tuple[str, dict[str, str]]:
    """A finished call of a new key, and the key's header."""
    server, config = site
    key = run("keys", "create", "--name", "k", *options, "--config", str(config)).stdout.strip()
    bearer = {"Authorization": f"Bearer {key}"}
    body = {"model": "plain", "messages": [{"role": "user", "content": "hi"}]}
    status, said = server.post("/v1/chat/completions", {**body, "headgate": {"meta": True}}, bearer)
    assert status == 200, said
    return said["headgate"]["call_id"], bearer


def test_a_call_takes_feedback_under_twenty_names_of_a_key(site: tuple[Server, Path]) -> None:
    call_id, bearer = keyed(site)
    for n in range(20):
        given = {"call_id": call_id, "name": f"n{n}", "value": n}
        assert site[0].post("/v1/feedback", given, bearer)[0] == 200
    one_more = {"call_id": call_id, "name": "n20", "value": 1}
    status, said = site[0].post("/v1/feedback", one_more, bearer)
    assert (status, said["error"]["code"]) == (409, "too_many_names")
    assert site[0].post("/v1/feedback", {**one_more, "name": "n3"}, bearer)[0] == 200
    assert len(site[0].get(f"/v1/calls/{call_id}", bearer)[1]["feedback"]) == 20


def test_feedback_is_counted_by_the_minute_apart_from_calls(site: tuple[Server, Path]) -> None:
    call_id, bearer = keyed(site, "--requests-per-minute", "3")
    statuses = [
        site[0].post("/v1/feedback", {"call_id": call_id, "value": n}, bearer)[0] for n in range(5)
    ]
    assert statuses == [200, 200, 200, 429, 429]
    body = {"model": "plain", "messages": [{"role": "user", "content": "hi"}]}
    assert site[0].post("/v1/chat/completions", body, bearer)[0] == 200
