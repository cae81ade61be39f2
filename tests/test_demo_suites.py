"""The demo is held to account by its two suites, through the command that CI would run."""

from __future__ import annotations

from pathlib import Path

import pytest
from demo import ingested_demo
from running import run


@pytest.mark.slow
def test_the_demo_and_the_held_out_questions_pass_their_gates(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = ingested_demo(tmp_path, tmp_path_factory)
    for suite in ("demo", "demo-heldout"):
        done = run("eval", "run", suite, "--config", str(config))
        assert done.returncode == 0, done.stdout + done.stderr
