"""Feedback and spans in PostgreSQL, and feedback while it is away."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import openai
import pytest
from asking import client_of, user
from configs import write_config
from postgres import postgres
from running import headgate, serving, until

pytestmark = pytest.mark.slow

CONFIG = """\
auth: {{keys: open}}
store: {{url: "{url}"}}
providers: [{{name: echo, use: echo}}]
pools: [{{name: main, targets: [{{provider: echo, model: echo}}]}}]
routes: [{{name: full, pool: main, capture: full}}]
"""


def test_feedback_is_refused_while_the_database_is_away_and_taken_again_after(
    tmp_path: Path,
) -> None:
    with postgres() as db:
        config = write_config(tmp_path, CONFIG.format(url=db.url))
        with serving(config) as server, client_of(server.url) as client:
            raw = client.chat.completions.with_raw_response.create(
                model="full", messages=user("hello")
            )
            call_id = raw.headers["x-request-id"]
            body = {"call_id": call_id, "value": True, "comment": "a\0b"}
            stored = client.post("/feedback", body=body, cast_to=dict[str, Any])
            assert (stored["value"], stored["comment"]) == (True, "ab")
            db.stop()
            with pytest.raises(openai.InternalServerError) as raised:
                client.post("/feedback", body={**body, "value": False}, cast_to=dict[str, Any])
            assert (raised.value.status_code, raised.value.code) == (503, "store_unavailable")
            assert "connect" not in raised.value.message  # nothing of the inside
            db.start()
            deadline = time.monotonic() + 60
            again = _given(client, {**body, "value": "slow"})
            while again is None and time.monotonic() < deadline:
                again = _given(client, {**body, "value": "slow"})
            assert again is not None, "the database was not found again"
            assert (again["id"], again["value"]) == (stored["id"], "slow")
        show = ("traces", "show", call_id, "--spans", "--config", str(config))
        until(lambda: "score.label: slow" in headgate(*show).stdout)
        shown = headgate(*show)
        assert shown.returncode == 0, shown.stderr
        assert "gen_ai.evaluation.score.label: slow" in shown.stdout
        assert "chat echo [CLIENT]" in shown.stdout and not shown.stderr


def _given(client: openai.OpenAI, body: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return client.post("/feedback", body=body, cast_to=dict[str, Any])
    except openai.InternalServerError:
        return None
