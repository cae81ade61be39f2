"""C43: what a key is told that it may call."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest
from configs import write_config
from running import Server, headgate, serving
from upstream import says, upstream

PRICED = """\
auth: {{keys: required}}
providers:
  - {{name: sdk, use: litellm, options: {{api_key: k, api_base: "{url}"}}}}
  - {{name: own, use: openai_compatible, options: {{base_url: "{url}"}}}}
pools:
  - {{name: known, targets: [{{provider: sdk, model: openai/gpt-4.1-mini}}]}}
  - {{name: unknown, targets: [{{provider: own, model: nobody-knows-it}}]}}
routes:
  - {{name: small, aliases: [gpt-4o-mini], pool: known}}
  - {{name: house, pool: unknown}}
"""
NAMES = ("small", "gpt-4o-mini", "house", "known", "unknown")


def test_each_key_is_told_exactly_what_it_may_call(tmp_path: Path) -> None:
    may: dict[str, tuple[list[str], set[str]]] = {
        "default": ([], {"small", "gpt-4o-mini", "house"}),
        "one route": (["small"], {"small", "gpt-4o-mini"}),
        "a bare pool": (["unknown"], {"unknown"}),
        "two": (["house", "known"], {"house", "known"}),
    }
    with upstream(says("ok")) as fake:
        config = write_config(tmp_path, PRICED.format(url=fake.url).replace("k, api", "env:K, api"))
        keys = {name: _key(config, models) for name, (models, _) in may.items()}
        with serving(config, env={"K": "upstream-key"}) as server:
            assert server.get("/v1/models")[0] == 401
            for name, (_, names) in may.items():
                _told_what_it_may_call(server, keys[name], names)


def _key(config: Path, models: list[str]) -> str:
    named = [part for model in models for part in ("--model", model)]
    done = headgate(
        "keys", "create", "--name", "app", "--config", str(config), *named, env={"K": "k"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _told_what_it_may_call(server: Server, key: str, names: set[str]) -> None:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0) as client:
        listed = {m.id: m.model_dump()["headgate"] for m in client.models.list()}
        assert set(listed) == names
        for name in NAMES:
            if name in names:
                assert client.models.retrieve(name).id == name
                client.chat.completions.create(
                    model=name, messages=[{"role": "user", "content": "x"}]
                )
                continue
            with pytest.raises(openai.NotFoundError):
                client.models.retrieve(name)
            with pytest.raises((openai.PermissionDeniedError, openai.NotFoundError)):
                client.chat.completions.create(
                    model=name, messages=[{"role": "user", "content": "x"}]
                )
    for name in names & {"small", "gpt-4o-mini", "known"}:
        assert listed[name] == {
            "kind": "chat",
            "context_tokens": 1047576,
            "input_per_mtok_usd": "0.4",
            "output_per_mtok_usd": "1.6",
        }
    for name in names & {"house", "unknown"}:
        assert listed[name] == {"kind": "chat"}, "nothing is made up"
