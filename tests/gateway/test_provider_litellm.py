"""The litellm provider: real SDK, an OpenAI-shaped upstream on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import client_of, user
from configs import write_config
from openai import APIError
from running import Server, free_port, run, serving
from upstream import Upstream, fails, says, upstream

from headgate_core.errors import UpstreamStatus, UpstreamUnreachable
from headgate_gateway.sdk.classes import CLASSES
from headgate_gateway.sdk.errors import mapped, plain

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
    assert "refused" in error["message"] and "upstream_status" not in error
    assert not any(word in error["message"] for word in ("127.0.0.1", "ssl", "litellm"))
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


EXPORTED = """
import json, litellm, litellm.exceptions
modules = (litellm, litellm.exceptions)
found = [c for m in modules for c in vars(m).values() if isinstance(c, type)]
print(json.dumps(sorted({c.__name__ for c in found if issubclass(c, BaseException)})))
"""


def test_every_exception_that_the_sdk_exports_stands_in_the_map() -> None:
    """The SDK is imported in a process of its own: its import changes warnings and loggers."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EXPORTED],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    exported = json.loads(done.stdout.splitlines()[-1])
    assert len(exported) > 30
    assert set(exported) == CLASSES.keys(), "the SDK's exceptions and sdk/classes.py differ"


def raised(name: str, message: str = "litellm.X: no") -> Exception:
    """An exception of the SDK without a reply behind it."""
    made: type[Exception] = type(name, (Exception,), {"message": message})
    return made(message)


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("BadRequestError", 400, "invalid_request"),
        ("UnsupportedParamsError", 400, "unsupported_parameter"),
        ("ContextWindowExceededError", 400, "context_length_exceeded"),
        ("UnprocessableEntityError", 422, "invalid_request"),
        ("LiteLLMUnknownProvider", 404, "model_not_found"),
        ("AuthenticationError", 502, "upstream_error"),
        ("RateLimitError", 429, "rate_limit_exceeded"),
        ("Timeout", 504, "upstream_timeout"),
        ("MidStreamFallbackError", 502, "upstream_truncated"),
        ("APIResponseValidationError", 502, "upstream_malformed"),
        ("APIConnectionError", 502, "upstream_error"),
        ("InternalServerError", 502, "upstream_error"),
        ("SomethingNewError", 502, "upstream_error"),
    ],
)
def test_without_a_reply_the_class_of_the_exception_says_what_happened(
    name: str, status: int, code: str
) -> None:
    error = mapped(raised(name))
    assert (error.http_status, error.error_code) == (status, code)
    assert name not in error.message and "litellm" not in error.message


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("litellm.UnsupportedParamsError: gemini takes no n. To drop it: litellm.drop_params",
         "gemini takes no n."),
        ("litellm.APIError: Too odd. File an issue - https://github.com/BerriAI/litellm/issues",
         "Too odd."),
        ("MidStreamFallbackError: Traceback (most recent call last):\n  File \"/a/b.py\"",
         "The SDK for this provider could not make the call."),
        ("No JSON.\nTraceback (most recent call last):\n  File \"/a/b.py\"", "No JSON."),
    ],
)  # fmt: skip
def test_no_message_has_the_sdks_advice_addresses_or_tracebacks(message: str, words: str) -> None:
    assert plain(message) == words


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
