"""Starting is quick because little is loaded, and works behind a firewall."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from isolated import beyond_loopback, isolated

from headgate_core.settings.environment import QUIET

SDK_TOUR = Path(__file__).resolve().parent.parent / "support" / "offline_sdk_tour.py"
HEAVY = {
    "torch", "litellm", "guardrails", "ragas", "transformers", "sentence_transformers",
    "qdrant_edge", "sqlalchemy", "pydantic", "typer", "click", "yaml", "aiohttp", "uvicorn",
    "headgate_rag", "headgate_evals", "headgate_guardrails", "headgate_serving",
}  # fmt: skip
PROGRAM = """
import json, sys
from headgate_gateway.cli import run
code = run(["--version"])
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_to_say_its_version_headgate_loads_none_of_what_it_is_made_of() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    said, told = done.stdout.splitlines()
    code, loaded = json.loads(told)
    assert (said, code) == (f"headgate {version('headgate')}", 0)
    assert HEAVY.isdisjoint(loaded)


@pytest.mark.slow
def test_a_gateway_with_an_sdk_starts_and_answers_behind_a_firewall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in QUIET:  # the gateway itself has to keep the SDK quiet
        monkeypatch.delenv(name, raising=False)
    assert "LITELLM_LOCAL_MODEL_COST_MAP" not in os.environ
    trace = tmp_path / "trace.txt"
    answer = json.loads(isolated(SDK_TOUR, str(tmp_path), trace=trace).splitlines()[-1])
    assert answer["status"] == 200, answer
    # the table of prices is the one of the installed package: 11 in at 0.40, 7 out at 1.60
    assert answer["body"]["headgate"]["cost_usd"] == "0.0000156"
    text = trace.read_text(errors="replace")
    assert "AF_INET" in text
    assert beyond_loopback(text) == []
