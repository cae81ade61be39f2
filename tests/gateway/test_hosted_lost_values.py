"""No option of a caller is lost in litellm's SDK without its name: each body with and without it.

The upstream is scripted, the SDK is the real one. A new version of the SDK that loses more, or
less, than ``sdk/lost_values.py`` says fails here.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from configs import write_config
from hosted_checks import SDK_WARNINGS
from in_process import Answer, Place, opened
from lost_matrix import MODELS, Case, cases, options, said_by_silence, usual
from raw_upstream import Exchange, raw_upstream

from headgate_gateway.sdk import endpoints
from headgate_gateway.sdk.lost_values import LOST, NAME, STRICT, _family

pytestmark = [pytest.mark.filterwarnings("ignore"), *SDK_WARNINGS]

Json = dict[str, Any]
SEEN = b'{"error": {"message": "seen", "type": "invalid_request_error"}, "message": "seen"}'


class Asking:
    """Two pools over one model, and what its upstream gets: ``loose`` may drop parameters."""

    def __init__(self, place: Place, seen: list[Json]) -> None:
        self._place, self._seen = place, seen

    async def ask(self, pool: str, body: Json) -> tuple[Answer, str | None]:
        """The answer, and the upstream's body; None = it got none."""
        self._seen.clear()
        messages = [{"role": "user", "content": "hi"}]
        asked = {"model": pool, "messages": messages, "max_tokens": 99, **body}
        answer = await self._place.ask(asked)
        return answer, json.dumps(self._seen[0], sort_keys=True) if self._seen else None


async def with_pools(folder: Path, model: str, work: Any) -> None:
    seen: list[Json] = []

    async def script(exchange: Exchange) -> None:
        seen.append(exchange.body)
        await exchange.json(400, SEEN)

    async with raw_upstream(script) as fake:
        pool = f'targets: [{{provider: up, model: "{model}"}}], breaker: {{least_calls: 1000}}'
        lines = ["auth: {keys: open}", "providers:"]
        lines += [f"  - {{name: up, use: litellm, options: {options(model, fake.url)}}}"]
        lines += ["pools:", f"  - {{name: plain, {pool}}}"]
        lines += [f"  - {{name: loose, drop_unsupported: true, {pool}}}"]
        async with opened(write_config(folder, "\n".join(lines))) as place:
            await work(Asking(place, seen))


def named(answer: Answer) -> str | None:
    """The parameter that the answer refuses by its name."""
    error = answer.error or {}
    return error.get("param") if error.get("code") == "unsupported_parameter" else None


async def wrong(asking: Asking, pool: str, case: Case, without: str) -> str:
    """What is wrong with how one option is treated; empty = nothing."""
    answer, got = await asking.ask("plain", case.body)
    if got is not None:
        lost = got == without and not said_by_silence(pool, case)
        return "lost without a word" if lost else ""
    if usual(case):
        return f"refused, and it asks for nothing: {answer.body!r}"
    if named(answer) != case.name:
        return f"neither sent nor named: {answer.body!r}"
    answer, got = await asking.ask("loose", case.body)
    if got != without or answer.headers.get("x-headgate-dropped") != case.name:
        return f"not dropped by its name: {answer.body!r}"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(endpoints, "lost", lambda *_: [])
        _, got = await asking.ask("plain", case.body)
    return "called lost, and it arrives" if got not in (without, None) else ""


@pytest.mark.parametrize("pool", MODELS)
def test_every_option_arrives_or_is_named(
    pool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "test-key")

    async def work(asking: Asking) -> None:
        bare: dict[str, str | None] = {}
        found: dict[str, str] = {}
        for case in cases():
            key = json.dumps(case.without)
            if key not in bare:
                _, bare[key] = await asking.ask("plain", case.without)
            without = bare[key]  # None: it stands beside an option that is refused itself
            if without is not None and (said := await wrong(asking, pool, case, without)):
                found[f"{case.name} = {case.body.get(case.name)}"] = said
        assert found == {}

    asyncio.run(with_pools(tmp_path, MODELS[pool], work))


@pytest.mark.parametrize(
    ("pool", "said", "arrives"),
    [
        ("openai", {"store": False}, '"store": false'),
        ("openai", {"modalities": ["text"]}, '"modalities": ["text"]'),
        ("gemini", {"modalities": ["text"]}, '"responseModalities": ["TEXT"]'),
        ("openai", {"frequency_penalty": 0}, '"frequency_penalty": 0'),
    ],
    ids=str,
)
def test_what_means_something_to_a_model_reaches_it_though_it_is_the_usual_wish(
    pool: str, said: Json, arrives: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "test-key")

    async def work(asking: Asking) -> None:
        _, sent = await asking.ask("plain", said)
        assert sent is not None and arrives in sent

    asyncio.run(with_pools(tmp_path, MODELS[pool], work))


@pytest.mark.parametrize("pool", MODELS)
def test_a_speakers_name_arrives_or_is_named_and_is_never_refused(
    pool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "test-key")

    async def work(asking: Asking) -> None:
        said = {"messages": [{"role": "user", "content": "hi", "name": "ZZbob"}]}
        answer, sent = await asking.ask("plain", said)
        assert sent is not None, answer.body
        named = answer.headers.get("x-headgate-dropped", "") == NAME
        assert ("ZZbob" in sent) != named

    asyncio.run(with_pools(tmp_path, MODELS[pool], work))


def test_the_matrix_holds_every_option_and_every_family() -> None:
    ours = {"messages", "stream", "stream_options", "user"}
    assert {c.name for c in cases()} == set(endpoints._CHAT.split()) - ours | {STRICT}
    sdk = importlib.import_module("litellm")
    placed = [endpoints._placed(sdk, model) for model in MODELS.values()]
    families = {_family(sdk, *p[::-1]) for p in placed if p is not None}
    assert families - {""} == set(LOST)
