"""The wire as an application meets it: a real server, the official client, a scripted upstream."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest
from asking import client_of, user
from configs import proxy_config
from running import Server, headgate, run, serving, until
from upstream import Upstream, fails, says, stream_of, upstream

USER = user("Say hello.")


@dataclass
class Place:
    """A gateway in front of a fake upstream."""

    server: Server
    fake: Upstream
    config: Path
    client: openai.OpenAI


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("wire")
    with upstream() as fake:
        config = proxy_config(folder, fake.url)
        with serving(config) as server, client_of(server.url) as client:
            yield Place(server, fake, config, client)


def test_the_official_client_gets_a_whole_answer_with_usage_and_cost(place: Place) -> None:
    place.fake.answers[:] = [says("Hello", " world")]
    raw = place.client.chat.completions.with_raw_response.create(model="gpt-4o", messages=USER)
    answer = raw.parse()
    assert answer.choices[0].message.content == "Hello world"
    assert answer.usage is not None and answer.usage.total_tokens == 18
    assert raw.headers["x-headgate-target"] == "up/fake"
    assert raw.headers["x-headgate-cost-usd"] == "0.0000156"
    assert place.fake.seen[-1]["max_tokens"] == 2048
    assert place.fake.seen[-1]["model"] == "fake"


def test_the_official_client_gets_a_stream_and_usage_only_when_asked(place: Place) -> None:
    place.fake.answers[:] = [says("Hello", " world")]
    client = place.client
    chunks = list(client.chat.completions.create(model="plain", messages=USER, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello world"
    assert all(c.usage is None for c in chunks)
    asked = client.chat.completions.create(
        model="plain", messages=USER, stream=True, stream_options={"include_usage": True}
    )
    usages = [c.usage for c in asked if c.usage is not None]
    assert [u.total_tokens for u in usages] == [18]


def test_a_streams_cost_equals_the_cost_of_the_whole_answer(place: Place) -> None:
    place.fake.answers[:] = [says("Hello", " world")]
    body = {"model": "plain", "messages": USER, "headgate": {"meta": True}}
    _, whole = place.server.post("/v1/chat/completions", body)
    client = place.client
    stream = client.chat.completions.create(
        model="plain", messages=USER, stream=True, extra_body={"headgate": {"meta": True}}
    )
    last = list(stream)[-1].model_dump()
    assert last["headgate"]["cost_usd"] == whole["headgate"]["cost_usd"] == "0.0000156"


def test_a_route_without_text_stages_forwards_the_upstreams_bytes(place: Place) -> None:
    place.fake.answers[:] = [says("a", "b")]
    with socket.create_connection(("127.0.0.1", place.server.port)) as connection:
        body = json.dumps(
            {
                "model": "plain",
                "messages": USER,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        ).encode()
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    for event in stream_of(["a", "b"]):
        assert event in received


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": USER}, "model"),
        ({"model": "plain"}, "messages"),
        ({"model": "plain", "messages": []}, "messages"),
        ({"model": "plain", "messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"model": "plain", "messages": USER, "temperature": 9}, "temperature"),
        ({"model": "plain", "messages": USER, "stream": "yes"}, "stream"),
        ({"model": "plain", "messages": USER, "headgate": {"input": {}}}, "headgate.input"),
        (
            {"model": "plain", "messages": USER, "headgate": {"inputs": {"a": 1}}},
            "headgate.inputs.a",
        ),
    ],
)
def test_a_wrong_parameter_is_named(place: Place, body: object, param: str) -> None:
    status, answer = place.server.post("/v1/chat/completions", body)
    assert status == 400
    assert answer["error"]["param"] == param
    assert {"message", "type", "param", "code"} <= set(answer["error"])


def test_a_body_that_is_not_json_is_400(place: Place) -> None:
    status, answer = place.server.post("/v1/chat/completions", b"{not json")
    assert status == 400
    assert "not valid JSON" in answer["error"]["message"]


def test_an_unknown_model_is_404_and_lists_what_there_is(place: Place) -> None:
    status, answer = place.server.chat("gpt-4", "hi")
    assert status == 404
    assert answer["error"]["code"] == "model_not_found"
    assert "'gpt-4o'" in answer["error"]["message"]
    assert "plain" in answer["error"]["message"]


def test_a_failing_upstream_is_502_with_its_attempts_on_record(place: Place) -> None:
    place.fake.answers[:] = [fails(503, "no room")]
    status, answer = place.server.chat("plain", "hi")
    assert status == 502
    assert answer["error"]["upstream_status"] == 503
    show = ("traces", "show", answer["error"]["call_id"], "--json", "--config", str(place.config))
    until(lambda: headgate(*show).returncode == 0)
    record = json.loads(headgate(*show).stdout)
    attempts = record.get("call", record)["attempts"]
    assert [a["status"] for a in attempts] == [503]


def test_an_upstreams_own_400_reaches_the_caller_and_is_not_retried(place: Place) -> None:
    place.fake.answers[:] = [fails(400, "too long")]
    before = len(place.fake.seen)
    status, answer = place.server.chat("safe", "hi")
    assert (status, answer["error"]["message"]) == (400, "too long")
    assert len(place.fake.seen) == before + 1


def test_a_fallback_answers_and_is_visible(place: Place) -> None:
    place.fake.answers[:] = [fails(500)]
    raw = place.client.chat.completions.with_raw_response.create(model="safe", messages=USER)
    assert raw.parse().choices[0].message.content == "Say hello."
    assert raw.headers["x-headgate-target"] == "echo/echo"
    assert raw.headers["x-headgate-attempts"] == "2"


def test_a_truncated_stream_ends_in_an_error_and_without_done(place: Place) -> None:
    place.fake.answers[:] = [says("Hello", done=False, finish=False)]
    with (
        place.client.chat.completions.create(model="safe", messages=USER, stream=True) as stream,
        pytest.raises(openai.APIError) as caught,
    ):
        list(stream)
    assert caught.value.code == "upstream_truncated"


def test_the_models_list_names_routes_aliases_and_pools(place: Place) -> None:
    names = {m.id for m in place.client.models.list()}
    assert {"plain", "gpt-4o", "safe", "main"} <= names


def test_one_can_read_ones_own_call(place: Place) -> None:
    place.fake.answers[:] = [says("Hello")]
    _, body = place.server.post(
        "/v1/chat/completions",
        {"model": "plain", "messages": USER, "headgate": {"meta": True}},
    )
    status, call = place.server.get(f"/v1/calls/{body['headgate']['call_id']}")
    assert status == 200
    assert (call["route"], call["cost_usd"], call["outcome"]) == ("plain", "0.0000156", "ok")


def test_a_path_that_is_not_served_answers_in_the_envelope(place: Place) -> None:
    status, body = place.server.post("/v1/audio/speech", {})
    assert (status, body["error"]["code"]) == (404, "endpoint_not_served")


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"X-Forwarded-For": "10.0.0.1"}, "proxy"),
        ({"Forwarded": "for=10.0.0.1"}, "proxy"),
        ({"Host": "gateway.example.com"}, "Host"),
        ({"Origin": "https://evil.example"}, "web page"),
        ({"Content-Type": "text/plain"}, "content type"),
    ],
)
def test_keyless_use_is_refused_to_anybody_but_this_machine(
    place: Place, headers: dict[str, str], reason: str
) -> None:
    status, body = place.server.post(
        "/v1/chat/completions", {"model": "plain", "messages": USER}, headers
    )
    assert status == 401
    assert reason in body["error"]["message"]


def test_a_wrong_key_is_401_even_where_keyless_use_is_allowed(place: Place) -> None:
    client = place.client.with_options(api_key="hg-wrong")
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="plain", messages=USER)


@pytest.mark.parametrize("option", [("--port", "99999"), ("--workers", "0")])
def test_an_impossible_option_is_one_line_and_exit_2(place: Place, option: tuple[str, str]) -> None:
    done = run("serve", "--config", str(place.config), *option)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert option[0] in done.stderr


def test_a_port_in_use_is_one_line_and_exit_2(place: Place) -> None:
    done = run("serve", "--config", str(place.config), "--port", str(place.server.port))
    assert done.returncode == 2
    lines = [x for x in done.stderr.splitlines() if "Cannot listen" in x]
    assert len(lines) == 1
    assert "Traceback" not in done.stderr
