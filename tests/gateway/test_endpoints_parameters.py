"""Parameters that a target cannot honour, and pools that are used for what they do not serve."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import user
from endpoints_world import World, world
from upstream import fails, says

from headgate_core.errors import ConfigurationError
from headgate_core.settings.load import load_settings

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("endpoints-parameters")) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tools", TOOLS),
        ("n", 2),
        ("logprobs", True),
        ("response_format", {"type": "json_object"}),
        ("stop", ["x"]),
        ("logit_bias", {"1": 2}),
        ("made_up", 1),
    ],
)
def test_what_a_target_cannot_honour_is_refused_by_name(
    place: World, name: str, value: object
) -> None:
    status, answer = place.server.chat("spoken", "hi", **{name: value})
    assert (status, answer["error"]["code"]) == (400, "unsupported_parameter")
    assert answer["error"]["param"] == name
    assert "echo/echo" in answer["error"]["message"]


def test_what_changes_nothing_about_one_plain_text_is_taken(place: World) -> None:
    harmless: dict[str, Any] = {
        "temperature": 0.3,
        "seed": 1,
        "n": 1,
        "user": "u",
        "tools": None,
        "response_format": {"type": "text"},
        "metadata": {"a": "b"},
    }
    status, answer = place.server.chat("spoken", "one two three", **harmless)
    assert (status, answer["choices"][0]["message"]["content"]) == (200, "one two three")


def test_a_bound_on_tokens_is_honoured(place: World) -> None:
    status, answer = place.server.chat("spoken", "one two three", max_tokens=2)
    assert (status, answer["choices"][0]["message"]["content"]) == (200, "one two")
    assert answer["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("stream", [False, True])
def test_dropped_parameters_are_named(place: World, stream: bool) -> None:
    client = place.client().chat.completions
    raw = client.with_raw_response.create(
        model="loose", messages=user("hi"), n=2, stop=["x"], stream=stream
    )
    assert raw.headers["x-headgate-dropped"] == "n, stop"
    said = raw.http_response.read().decode()
    assert '"content":"hi"' in said.replace(" ", "")
    record = place.record(raw.headers["x-request-id"])
    assert record["degraded"] == ["route: dropped n, stop for echo/echo"]


def test_a_target_of_the_pool_that_can_honour_it_takes_the_call(place: World) -> None:
    place.fake.answers[:] = [says("ok")]
    raw = place.client().chat.completions.with_raw_response.create(
        model="mixed", messages=user("hi"), n=2
    )
    assert raw.headers["x-headgate-target"] == "up/fake"
    assert raw.headers["x-headgate-attempts"] == "1"
    assert [a["why"] for a in place.record(raw.headers["x-request-id"])["attempts"]] == ["first"]


def test_a_fallback_that_cannot_honour_it_does_not_hide_the_failure(place: World) -> None:
    place.fake.answers[:] = [fails(503)]
    assert place.server.chat("tired", "hi")[0] == 200
    status, answer = place.server.chat("tired", "hi", n=2)
    assert (status, answer["error"]["upstream_status"]) == (502, 503)


def test_the_sdk_knows_what_its_models_take(place: World) -> None:
    status, answer = place.server.chat("claude", "hi", temperature=0.5, top_k=3, seed=7)
    assert (status, answer["error"]["code"]) == (400, "unsupported_parameter")
    assert answer["error"]["param"] == "seed"


def test_nothing_is_dropped_where_nothing_is_known(place: World) -> None:
    place.fake.answers[:] = [says("ok")]
    raw = place.client().chat.completions.with_raw_response.create(
        model="plain", messages=user("hi"), n=2, extra_body={"made_up": 1}
    )
    assert "x-headgate-dropped" not in raw.headers
    assert place.fake.seen[-1]["made_up"] == 1


BASE = """\
providers:
  - {name: up, use: openai_compatible, options: {base_url: "http://127.0.0.1:9/v1"}}
  - {name: echo, use: echo}
  - {name: local, use: local_embeddings}
pools:
  - {name: talk, targets: [{provider: up, model: m}]}
  - {name: vectors, serves: embeddings, targets: [{provider: up, model: m}]}
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("routes: [{name: r, pool: vectors}]\n", "serves embeddings, and routes are for chat"),
        (
            "  - {name: p, targets: [{provider: up, model: m}], fallbacks: [vectors]}\n",
            "cannot fall back to 'vectors', which serves embeddings",
        ),
        (
            "  - {name: p, serves: rerank, targets: [{provider: echo, model: m}]}\n",
            "the provider 'echo' (echo) cannot do",
        ),
        (
            "  - {name: p, serves: rerank, targets: [{provider: local, model: m}]}\n",
            "the provider 'local' (local_embeddings) cannot do",
        ),
        (
            "  - {name: p, targets: [{provider: local, model: m}]}\n",
            "the provider 'local' (local_embeddings) cannot do",
        ),
        (
            "  - {name: p, serves: pictures, targets: [{provider: up, model: m}]}\n",
            "'embeddings'",
        ),
    ],
)
def test_pools_that_do_not_fit_are_refused_at_load(tmp_path: Path, more: str, said: str) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(BASE + more, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file)
    assert [p for p in caught.value.problems if said in p.message], caught.value.message


def test_pools_of_every_kind_load(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    more = "  - {name: mine, serves: embeddings, targets: [{provider: local, model: minilm}]}\n"
    file.write_text(BASE + more, encoding="utf-8")
    assert [pool.serves for pool in load_settings(file).pools] == ["chat", *["embeddings"] * 2]
