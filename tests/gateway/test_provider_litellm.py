"""The litellm provider: real SDK, an OpenAI-shaped upstream on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import client_of, user
from configs import write_config
from running import Server, run, serving
from upstream import Upstream, fails, says, upstream


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Upstream, Path]]:
    folder = tmp_path_factory.mktemp("litellm")
    with upstream(says("Hello", " world")) as fake:
        config = write_config(
            folder,
            f"""\
            auth: {{keys: open}}
            providers:
              - name: hosted
                use: litellm
                options: {{api_key: "env:TEST_KEY", api_base: "{fake.url}"}}
            pools:
              - name: p
                targets: [{{provider: hosted, model: openai/gpt-4.1-mini}}]
                retries: {{attempts: 1}}
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
