"""The bound of an answer goes to a model under the name that the model takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from asking import client_of, user
from configs import write_config
from running import Server, serving
from upstream import Upstream, says, upstream

from headgate_gateway.upstream.token_limit import named

CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}
  - name: newer
    use: openai_compatible
    options: {{base_url: "{url}", token_limit: max_completion_tokens}}
  - name: older
    use: openai_compatible
    options: {{base_url: "{url}", token_limit: max_tokens}}
pools:
  - {{name: thinker, targets: [{{provider: up, model: gpt-5-mini}}]}}
  - {{name: o3, targets: [{{provider: up, model: openai/o3}}]}}
  - {{name: plain, targets: [{{provider: up, model: gpt-4o}}]}}
  - {{name: open-weights, targets: [{{provider: up, model: gpt-oss-120b}}]}}
  - {{name: azure, targets: [{{provider: newer, model: our-deployment}}]}}
  - {{name: forced, targets: [{{provider: older, model: gpt-5}}]}}
"""
LIMITS = ("max_tokens", "max_completion_tokens")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Upstream]]:
    with upstream(says("ok")) as fake:
        config = write_config(tmp_path_factory.mktemp("limit"), CONFIG.format(url=fake.url))
        with serving(config) as server:
            yield server, fake


def sent(fake: Upstream) -> dict[str, Any]:
    """The bounds in the last request that the upstream saw."""
    body = fake.seen[-1]
    return {name: body[name] for name in LIMITS if name in body}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("thinker", "max_completion_tokens"),
        ("o3", "max_completion_tokens"),
        ("azure", "max_completion_tokens"),
        ("plain", "max_tokens"),
        ("open-weights", "max_tokens"),
        ("forced", "max_tokens"),
    ],
)
def test_the_gateways_own_bound_has_the_name_that_the_model_takes(
    site: tuple[Server, Upstream], model: str, name: str
) -> None:
    with client_of(site[0].url) as client:
        client.chat.completions.create(model=model, messages=user("hi"))
        assert sent(site[1]) == {name: 2048}
        client.chat.completions.create(model=model, messages=user("hi"), max_tokens=7)
        assert sent(site[1]) == {name: 7}
        client.completions.create(model=model, prompt="hi", max_tokens=9)
        assert sent(site[1]) == {name: 9}


REASONING = (
    *("o1", "o1-mini", "o1-preview-2024-09-12", "openai/o3", "o3-mini-high", "o3-deep-research"),
    *("o4-mini", "o4-mini-2025-04-16", "openai/o3-pro:online", "ft:o4-mini-2025-04-16:us::abc"),
    *("gpt-5", "gpt-5-mini", "gpt-5.1-codex", "azure/gpt-5-chat", "gpt-6", "codex-mini-latest"),
)
OTHERS = (
    *("gpt-35-turbo", "gpt-35-turbo-16k", "gpt-3.5-turbo", "gpt-4o", "gpt-4.1", "gpt-oss-120b"),
    *("my/o1-open-7b", "o1js", "o3x-mini", "phi-o1", "gpt-5x", "olmo", "o1-mini-gguf"),
)


@pytest.mark.parametrize("model", [*REASONING, *OTHERS])
def test_the_newer_name_is_for_openais_reasoning_models_alone(model: str) -> None:
    name = LIMITS[model in REASONING]
    assert named({"max_tokens": 7}, model, "auto") == {name: 7}


def test_a_model_that_takes_both_names_gets_the_callers_own(
    site: tuple[Server, Upstream],
) -> None:
    with client_of(site[0].url) as client:
        client.chat.completions.create(model="plain", messages=user("hi"), max_completion_tokens=7)
    assert sent(site[1]) == {"max_completion_tokens": 7}


def test_anthropics_mandatory_bound_reaches_a_reasoning_model(
    site: tuple[Server, Upstream],
) -> None:
    with anthropic.Anthropic(base_url=site[0].url, api_key="none") as client:
        client.messages.create(
            model="thinker", max_tokens=11, messages=[{"role": "user", "content": "hi"}]
        )
    assert sent(site[1]) == {"max_completion_tokens": 11}
