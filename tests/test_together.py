"""One data directory, many processes: the command line works while a server with workers runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from asking import client_of, user
from demo import few_cases, ingested_demo
from running import run, serving

QUESTION = "How are retries decided?"


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "headgate_gateway", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ingested_demo(tmp_path_factory.mktemp("together"), tmp_path_factory)


@pytest.mark.slow
def test_ask_ingest_and_eval_work_while_two_workers_serve(config: Path) -> None:
    with serving(config, ["--workers", "2"]) as server, client_of(server.url) as client:
        (config.parent.parent / "docs" / "moon.md").write_text(
            "# The moon\n\n## What the moon is made of\n\n"
            "The moon of the demo is made of green cheese from Bavaria.\n"
        )
        beside = [
            started("ingest", "docs", "--config", str(config)),
            started("ask", QUESTION, "--json", "--config", str(config)),
            started("eval", "run", few_cases(config), "--config", str(config)),
        ]
        for _ in range(6):
            answer = client.chat.completions.create(model="headgate-docs", messages=user(QUESTION))
            assert answer.model_dump()["headgate"]["citations"]
        for process in beside:
            output, errors = process.communicate(timeout=120)
            assert process.returncode == 0, output + errors
        asked = run("ask", "What is the moon made of?", "--json", "--config", str(config))
        assert "green cheese" in json.loads(asked.stdout)["answer"]
    listed = run("traces", "list", "--limit", "200", "--json", "--config", str(config))
    found = json.loads(listed.stdout)
    rows = found["calls"] if isinstance(found, dict) else found
    assert sum(r["source"] == "serve" and r["outcome"] == "ok" for r in rows) == 8
    assert all(r["outcome"] == "ok" for r in rows)


@pytest.mark.slow
def test_the_demo_answers_over_the_official_client_streamed_and_not(config: Path) -> None:
    with serving(config) as server, client_of(server.url) as client:
        messages = user(QUESTION)
        whole = client.chat.completions.create(model="headgate-docs", messages=messages)
        chunks = list(
            client.chat.completions.create(model="headgate-docs", messages=messages, stream=True)
        )
    streamed = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert streamed == whole.choices[0].message.content
    finish = next(c for c in chunks if c.choices and c.choices[0].finish_reason).model_dump()
    citations = whole.model_dump()["headgate"]["citations"]
    assert finish["headgate"]["citations"] == citations
    marker = citations[0]["at"]
    assert streamed[marker[0] : marker[1]] == f"[{citations[0]['number']}]"
    document = (config.parent.parent / citations[0]["document"]).read_text()
    assert document[citations[0]["start"] : citations[0]["end"]].strip()
    annotations = whole.choices[0].message.annotations
    assert annotations and annotations[0].url_citation.start_index == marker[0]
