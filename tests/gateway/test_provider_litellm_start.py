"""What the litellm provider knows before its first call, and what of it is the operator's."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from configs import write_config
from hosted_bodies import DIALECTS
from hosted_checks import SDK_WARNINGS
from hosted_world import clean, whole
from in_process import Place, opened
from raw_upstream import RawUpstream, raw_upstream

from headgate_core import plugins
from headgate_core.errors import ConfigurationError
from headgate_gateway.providers import litellm

pytestmark = SDK_WARNINGS

OPENAI = DIALECTS[0]
TYPO = """\
auth: {keys: open}
providers:
  - {name: hosted, use: litellm}
  - {name: echo, use: echo}
pools:
  - {name: alone, targets: [{provider: hosted, model: antropic/claude-haiku-4-5}]}
  - name: two
    targets:
      - {provider: hosted, model: antropic/claude-haiku-4-5}
      - {provider: echo, model: echo}
  - {name: spare, targets: [{provider: echo, model: echo}]}
  - name: safe
    targets: [{provider: hosted, model: antropic/claude-haiku-4-5}]
    fallbacks: [spare]
"""


def test_a_model_of_no_service_is_the_operators_and_others_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask() -> None:
        async with opened(write_config(tmp_path, TYPO)) as place:
            error = (await place.chat("alone")).json["error"]
            assert error["code"] == "upstream_error" and clean(error["message"]), error
            for pool in ("two", "safe"):
                answer = await place.chat(pool)
                assert answer.headers["x-headgate-target"] == "echo/echo", answer.body
            for record in place.records:
                assert record["cost_pico"] == 0 or record["outcome"] == "ok"
            caplog.clear()
            await place.endpoints.gateway.warm()

    asyncio.run(ask())
    [line] = {r.getMessage() for r in caplog.records if r.name == "headgate.providers"}
    assert "'antropic/claude-haiku-4-5'" in line


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The import goes on once this is set."""
    go_on, load = threading.Event(), litellm._import

    def slowly() -> object:
        go_on.wait(60)
        return load()

    monkeypatch.setattr(litellm, "_import", slowly)
    yield go_on
    go_on.set()


def test_what_waits_for_the_import_has_sent_nothing_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_up: threading.Event
) -> None:
    monkeypatch.setenv("TEST_KEY", "test-key")

    async def ask(place: Place, fake: RawUpstream) -> None:
        error = (await place.chat("p")).json["error"]
        assert error["code"] == "upstream_timeout", error
        assert (place.records[-1]["attempts"], place.records[-1]["cost_pico"]) == ([], 0)
        assert not fake.requests
        held_up.set()
        await place.endpoints.gateway.warm()
        assert (await place.chat("patient")).status == 200

    async def start() -> None:
        async with raw_upstream(whole(json.dumps(OPENAI.whole(OPENAI.usage)).encode())) as fake:
            hosted = f'{{name: hosted, use: litellm, options: {{api_base: "{fake.url}"'
            target = f"targets: [{{provider: hosted, model: {OPENAI.model}}}]"
            config = f"""\
            auth: {{keys: open}}
            providers:
              - {hosted}, api_key: "env:TEST_KEY"}}}}
            pools:
              - {{name: p, {target}, retries: {{attempts: 1}}, timeouts: {{total_s: 0.2}}}}
              - {{name: patient, {target}}}
            """
            async with opened(write_config(tmp_path, config)) as place:
                await ask(place, fake)

    asyncio.run(start())


@pytest.mark.parametrize("name", ["timeout", "num_retries", "max_retries", "stream", "model"])
def test_arguments_that_would_be_replaced_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"`arguments` must not name `{name}`"):
        plugins.build("providers", "litellm", {"arguments": {name: 1}})
