"""The litellm provider: real SDK, an OpenAI-shaped upstream on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import client_of, user
from configs import write_config
from openai import APIError
from running import Server, free_port, run, serving
from upstream import Upstream, fails, says, upstream

from headgate_core.errors import UpstreamStatus, UpstreamUnreachable
from headgate_gateway.providers.litellm import mapped

AWAY = {
    "openai": "openai/gpt-4.1-mini",
    "anthropic": "anthropic/claude-haiku-4-5",
    "mistral": "mistral/mistral-small-latest",
}
"""Pools whose provider listens nowhere: each is another client inside the SDK."""


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Upstream, Path]]:
    folder = tmp_path_factory.mktemp("litellm")
    away = "\n".join(
        f"              - {{name: {name}, retries: {{attempts: 1}}, "
        f"targets: [{{provider: away, model: {model}}}]}}"
        for name, model in AWAY.items()
    )
    with upstream(says("Hello", " world")) as fake:
        config = write_config(
            folder,
            f"""\
            auth: {{keys: open}}
            providers:
              - name: hosted
                use: litellm
                options: {{api_key: "env:TEST_KEY", api_base: "{fake.url}"}}
              - name: away
                use: litellm
                options: {{api_key: "env:TEST_KEY", api_base: "http://127.0.0.1:{free_port()}/v1"}}
            pools:
              - name: p
                targets: [{{provider: hosted, model: openai/gpt-4.1-mini}}]
                retries: {{attempts: 1}}
{away}
            routes: [{{name: plain, pool: p}}]
            """,
        )
        with serving(config, env={"TEST_KEY": "test-key"}) as server:
            yield server, fake, config


def test_a_whole_answer_is_priced_from_the_bundled_table(
    hosted: tuple[Server, Upstream, Path],
) -> None:
    server, fake, _ = hosted
    status, body = server.chat("plain", "hi", headgate={"meta": True})
    assert status == 200
    assert body["choices"][0]["message"]["content"] == "Hello world"
    # 11 tokens in at 0.40 and 7 out at 1.60 dollars per million
    assert body["headgate"]["cost_usd"] == "0.0000156"
    assert fake.headers[-1]["Authorization"] == "Bearer test-key"


def test_streams_carry_the_same_text_and_cost(hosted: tuple[Server, Upstream, Path]) -> None:
    server, _, _ = hosted
    with client_of(server.url) as client:
        chunks = list(
            client.chat.completions.create(
                model="plain",
                messages=user("hi"),
                stream=True,
                extra_body={"headgate": {"meta": True}},
            )
        )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "Hello world"
    assert chunks[-1].model_dump()["headgate"]["cost_usd"] == "0.0000156"


@pytest.mark.parametrize(("sent", "seen"), [(429, 429), (500, 502), (401, 502), (400, 400)])
def test_failures_keep_their_meaning(
    hosted: tuple[Server, Upstream, Path], sent: int, seen: int
) -> None:
    server, fake, _ = hosted
    fake.answers[:] = [fails(sent)]
    assert server.chat("plain", "hi")[0] == seen
    fake.answers[:] = [says("Hello", " world")]


def test_a_stream_that_was_cut_off_is_no_complete_answer(
    hosted: tuple[Server, Upstream, Path],
) -> None:
    server, fake, _ = hosted
    fake.answers[:] = [says("Hello", " world", done=False, finish=False)]
    text = ""
    with client_of(server.url) as client, pytest.raises(APIError) as raised:
        for part in client.chat.completions.create(model="plain", messages=user("hi"), stream=True):
            assert not any(choice.finish_reason for choice in part.choices)
            text += "".join(choice.delta.content or "" for choice in part.choices)
    fake.answers[:] = [says("Hello", " world")]
    assert (text, raised.value.code) == ("Hello world", "upstream_truncated")


@pytest.mark.parametrize("model", AWAY)
@pytest.mark.parametrize("stream", [False, True])
def test_a_refused_connection_is_no_reply(
    hosted: tuple[Server, Upstream, Path], model: str, stream: bool
) -> None:
    server, _, _ = hosted
    status, body = server.chat(model, "hi", stream=stream)
    error = body["error"]
    assert (status, error["code"]) == (502, "upstream_unreachable")
    assert "127.0.0.1" in error["message"] and "upstream_status" not in error
    assert "ssl" not in error["message"] and "litellm" not in error["message"]
    [attempt] = server.get(f"/v1/calls/{error['call_id']}")[1]["attempts"]
    assert (attempt["outcome"], attempt["status"], attempt["cost_pico"]) == ("error", None, 0)


class ConnectError(Exception):
    """As the SDK's HTTP client calls it."""


class InternalServerError(Exception):
    """As the SDK raises it, where a reply had this status and where there was none."""

    status_code = 500
    message = "litellm.InternalServerError: Connection error."


@pytest.mark.parametrize("cause", [ConnectError("Connect call failed"), ValueError("a fault")])
def test_a_500_of_the_sdks_own_is_no_reply_of_the_provider(cause: Exception) -> None:
    try:
        raise InternalServerError from cause
    except InternalServerError as raised:
        error = mapped(raised)
    assert not isinstance(error, UpstreamStatus)
    if isinstance(cause, ConnectError):
        assert isinstance(error, UpstreamUnreachable) and not error.sent


def test_every_exception_of_the_sdk_is_mapped() -> None:
    """The SDK is imported in a process of its own: its import changes warnings and loggers."""
    import subprocess
    import sys

    program = """
import json
import litellm.exceptions as theirs
from headgate_core.errors import UpstreamError
from headgate_gateway.providers.litellm import mapped
found = {}
for name, cls in vars(theirs).items():
    if isinstance(cls, type) and issubclass(cls, Exception) and cls.__module__ == theirs.__name__:
        error = cls.__new__(cls)
        Exception.__init__(error, "x")
        error.status_code = getattr(cls, "status_code", None) or 400
        error.message = "x"
        found[name] = isinstance(mapped(error), UpstreamError)
print(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) > 10
    assert all(found.values())


def test_the_sdk_is_not_loaded_before_it_is_needed(tmp_path: Path) -> None:
    assert run("check", "--config", str(_unused(tmp_path))).returncode == 0


def _unused(folder: Path) -> Path:
    return write_config(
        folder,
        """\
        providers: [{name: hosted, use: litellm}]
        pools: [{name: p, targets: [{provider: hosted, model: openai/gpt-4.1-mini}]}]
        """,
    )
