"""Edited prompts and policies are served without a restart."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from configs import proxy_config
from reload_world import Site
from running import headgate, serving, until
from upstream import says, upstream

PROMPT = """\
---
name: greet
---
=== system ===
{% include "parts/tone.md" %}
=== user ===
{{ question }}
"""
PROMPT = PROMPT.replace(
    "name: greet\n", "name: greet\ninputs:\n  question: {from: last_user_message}\n"
)


def test_an_edited_partial_is_served_at_file_and_not_under_a_label(tmp_path: Path) -> None:
    parts = tmp_path / "prompts" / "parts"
    parts.mkdir(parents=True)
    (tmp_path / "prompts" / "greet.md").write_text(PROMPT)
    tone = parts / "tone.md"
    tone.write_text("Be formal.\n")
    with upstream(says("ok")) as fake:
        config = proxy_config(tmp_path, fake.url)
        config.write_text(
            config.read_text()
            + "  - {name: draft, pool: main, prompt: greet@file}\n"
            + "  - {name: live, pool: main, prompt: greet@production}\n"
        )

        def system(model: str) -> str:
            assert server.chat(model, "hi")[0] == 200
            text: str = fake.seen[-1]["messages"][0]["content"]
            return text

        with serving(config) as server:
            assert (system("draft"), system("live")) == ("Be formal.", "Be formal.")
            fresh = parts / "tone.md~"
            fresh.write_text("Be brief.\n")
            fresh.replace(tone)
            until(lambda: system("draft") == "Be brief.")
            assert system("live") == "Be formal."
            moved = headgate(
                "prompts", "label", "greet", "production", "file", "--config", str(config)
            )
            assert moved.returncode == 0, moved.stderr
            os.kill(server.process.pid, signal.SIGHUP)
            until(lambda: system("live") == "Be brief.")


def test_an_edited_policy_is_enforced_without_a_restart(tmp_path: Path) -> None:
    policies = tmp_path / "guardrails"
    policies.mkdir()
    policy = policies / "words.yaml"
    text = "name: words\nchecks:\n  - {name: w, use: pii, at: [input], action: block, options: "
    policy.write_text(text + "{types: [iban]}}\n")
    with upstream(says("ok")) as fake:
        config = proxy_config(tmp_path, fake.url, more="defaults: {guards: [words]}\n")
        with serving(config) as server:
            place = Site(server, fake, config)

            def answered() -> bool:
                status, body = server.chat("plain", "write to jane.doe@example.com")
                return bool(status == 200 and body["choices"][0]["message"]["content"] == "ok")

            assert answered()
            policy.write_text(text + "{types: [email], nonsense: 1}}\n")
            assert "words.yaml:3" in place.refusal("words.yaml")
            assert answered()
            policy.write_text(text + "{types: [email]}}\n")
            until(lambda: not answered())
