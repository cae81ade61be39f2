"""Anthropic's ``cache_control``: it arrives at Claude, and is named where nobody takes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from configs import write_config
from running import Server, serving
from upstream import Upstream, replies, says, upstream

CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: sdk, use: litellm, options: {{api_key: "env:TEST_KEY", api_base: "{base}"}}}}
  - {{name: plain, use: openai_compatible, options: {{base_url: "{base}/v1"}}}}
pools:
  - name: claude
    targets: [{{provider: sdk, model: anthropic/claude-haiku-4-5}}]
    retries: {{attempts: 1}}
  - {{name: other, targets: [{{provider: plain, model: m}}]}}
  - name: both
    targets: [{{provider: sdk, model: anthropic/claude-haiku-4-5}}]
    retries: {{attempts: 1}}
    fallbacks: [other]
"""
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 11, "output_tokens": 7},
}
MARK: Any = {"type": "ephemeral"}
ASKED: dict[str, Any] = {
    "max_tokens": 50,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": MARK}],
    "tools": [
        {"name": "f", "input_schema": {"type": "object"}},
        {"name": "g", "input_schema": {"type": "object"}, "cache_control": MARK},
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": MARK}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "text", "text": "rain"}],
                    "cache_control": MARK,
                },
            ],
        },
    ],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Upstream]]:
    folder = tmp_path_factory.mktemp("marks")
    with upstream(says("Hello")) as fake:
        config = write_config(folder, CONFIG.format(base=fake.url.removesuffix("/v1")))
        with serving(config, env={"TEST_KEY": "test-key"}) as server:
            yield server, fake


def asked(server: Server, model: str) -> Any:
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        return client.messages.with_raw_response.create(model=model, **ASKED)


def test_marks_arrive_at_claude_where_they_stood(place: tuple[Server, Upstream]) -> None:
    server, fake = place
    fake.answers[:] = [replies(MESSAGE)]
    raw = asked(server, "claude")
    assert raw.parse().content[0].text == "Hello"
    assert "x-headgate-dropped" not in raw.headers
    assert fake.paths[-1] == "/v1/messages"
    sent = fake.seen[-1]
    assert sent["system"][0]["cache_control"] == MARK
    assert [t.get("cache_control") for t in sent["tools"]] == [None, MARK]
    assert sent["messages"][0]["content"][0]["cache_control"] == MARK
    [result] = sent["messages"][2]["content"]
    assert (result["type"], result["cache_control"]) == ("tool_result", MARK)


@pytest.mark.parametrize("model", ["other", "both"])
def test_marks_are_named_where_one_who_may_answer_takes_none(
    place: tuple[Server, Upstream], model: str
) -> None:
    server, fake = place
    fake.answers[:] = [says("Hello") if model == "other" else replies(MESSAGE)]
    raw = asked(server, model)
    assert raw.headers["x-headgate-dropped"] == "cache_control"
    assert "cache_control" not in str(fake.seen[-1])
    if model == "other":
        assert fake.seen[-1]["messages"][0] == {"role": "system", "content": "Be brief."}
