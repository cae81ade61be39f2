"""The demo is held to account by its two suites, through the command that CI would run."""

from __future__ import annotations

from pathlib import Path

import pytest
from demo import copy_demo
from running import run


@pytest.mark.slow
def test_the_demo_and_the_held_out_questions_pass_their_gates(tmp_path: Path) -> None:
    config = copy_demo(tmp_path)
    assert run("ingest", "docs", "--config", str(config)).returncode == 0
    for suite in ("demo", "demo-heldout"):
        done = run("eval", "run", suite, "--config", str(config))
        assert done.returncode == 0, done.stdout + done.stderr
