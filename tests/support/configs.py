"""Small gateway configurations for tests."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent


def write_config(folder: Path, text: str) -> Path:
    """Write ``gateway.yaml`` into ``folder``; its store lies in ``folder``/var."""
    path = folder / "gateway.yaml"
    path.write_text(dedent(text))
    return path


def proxy_config(folder: Path, url: str, *, keys: str = "open", more: str = "") -> Path:
    """One route ``plain`` over one upstream at ``url``, with a fallback to echo on ``safe``."""
    text = f"""\
auth: {{keys: {keys}}}
providers:
  - name: up
    use: openai_compatible
    options: {{base_url: "{url}"}}
  - {{name: echo, use: echo}}
pools:
  - name: main
    targets: [{{provider: up, model: fake}}]
    retries: {{attempts: 1}}
  - name: guarded
    targets: [{{provider: up, model: fake}}]
    retries: {{attempts: 1}}
    fallbacks: [spare]
  - name: spare
    targets: [{{provider: echo, model: echo}}]
prices:
  overrides:
    - {{model: up/fake, input_per_mtok_usd: 0.40, output_per_mtok_usd: 1.60}}
routes:
  - {{name: plain, aliases: [gpt-4o], pool: main}}
  - {{name: safe, pool: guarded}}
"""
    return write_config(folder, text + dedent(more))


PRICED = """\
auth: {{keys: open}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}
pools:
  - {{name: main, targets: [{{provider: up, model: fake}}], retries: {{attempts: 1}}}}
prices:
  overrides:
    - {{model: up/fake, input_per_mtok_usd: 0.40, output_per_mtok_usd: 1.60}}
"""
"""Format with ``url``: one priced model in the pool ``main``, tried once; routes are added."""
