"""A gateway whose pools serve every kind, in front of one scripted upstream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
from configs import write_config
from running import Server, run, serving
from upstream import Upstream, embeds, upstream

CONFIG = """\
auth: {{keys: {keys}}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}", api_keys: ["env:UP_KEY"]}}}}
  - name: told
    use: openai_compatible
    options: {{base_url: "{url}", forward_metadata: true}}
  - {{name: sdk, use: litellm, options: {{api_key: "env:UP_KEY", api_base: "{url}"}}}}
  - {{name: echo, use: echo}}
prices:
  overrides:
    - {{model: up/small-embedder, input_per_mtok_usd: 0.02, output_per_mtok_usd: 0}}
    - {{model: up/fake, input_per_mtok_usd: 0.40, output_per_mtok_usd: 1.60}}
    - {{model: told/dear, input_per_mtok_usd: 0.80, output_per_mtok_usd: 1.20}}
pools:
  - {{name: talk, targets: [{{provider: up, model: fake}}], retries: {{attempts: 1}}}}
  - {{name: both, targets: [{{provider: up, model: fake}}, {{provider: told, model: dear}}]}}
  - {{name: noted, targets: [{{provider: told, model: fake}}]}}
  - {{name: words, targets: [{{provider: echo, model: echo}}]}}
  - {{name: loose, targets: [{{provider: echo, model: echo}}], drop_unsupported: true}}
  - {{name: mixed, targets: [{{provider: echo, model: echo}}, {{provider: up, model: fake}}]}}
  - name: tired
    targets: [{{provider: up, model: fake}}]
    retries: {{attempts: 1}}
    fallbacks: [words]
  - {{name: claude, targets: [{{provider: sdk, model: anthropic/claude-haiku-4-5}}]}}
  - name: text-embedding-3-small
    serves: embeddings
    targets: [{{provider: up, model: small-embedder}}]
    retries: {{attempts: 1}}
    fallbacks: [spare-embedder]
  - {{name: spare-embedder, serves: embeddings, targets: [{{provider: told, model: spare}}]}}
  - name: sdk-embedder
    serves: embeddings
    targets: [{{provider: sdk, model: openai/text-embedding-3-small}}]
  - {{name: ranker, serves: rerank, targets: [{{provider: up, model: bge}}]}}
  - {{name: sdk-ranker, serves: rerank, targets: [{{provider: sdk, model: hosted_vllm/bge}}]}}
  - {{name: judge, serves: moderation, targets: [{{provider: up, model: omni}}]}}
routes: [{{name: plain, aliases: [gpt-4o], pool: talk}}, {{name: spoken, pool: words}}]
{more}
"""

ENV = {"UP_KEY": "upstream-key"}


@dataclass
class World:
    """The gateway, the upstream and the gateway's configuration."""

    server: Server
    fake: Upstream
    config: Path

    def client(self, key: str = "none") -> openai.OpenAI:
        """The official client."""
        return openai.OpenAI(base_url=f"{self.server.url}/v1", api_key=key, max_retries=0)

    def record(self, call_id: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """The stored record of a call, as who made it reads it."""
        status, record = self.server.get(f"/v1/calls/{call_id}", headers)
        assert status == 200, record
        found: dict[str, Any] = record
        return found

    def key(self, *models: str) -> dict[str, str]:
        """The header of a new key that may use exactly these models."""
        named = [part for model in models for part in ("--model", model)]
        arguments = ("keys", "create", "--name", "app", "--json", "--config", str(self.config))
        done = run(*arguments, *named, env=ENV)
        assert done.returncode == 0, done.stderr
        return {"Authorization": f"Bearer {json.loads(done.stdout)['key']}"}


@contextmanager
def world(folder: Path, *, keys: str = "open", more: str = "") -> Iterator[World]:
    """The gateway, ready."""
    with upstream(embeds()) as fake:
        config = write_config(folder, CONFIG.format(url=fake.url, keys=keys, more=more))
        with serving(config, env=ENV) as server:
            yield World(server, fake, config)
