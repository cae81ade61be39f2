"""Node.js and the ``openai`` package of ``tests/clients/node``, where they are installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from headgate_core.settings.environment import require_servers

FOLDER = Path(__file__).resolve().parent.parent / "clients" / "node"
PACKAGES = FOLDER / "node_modules"


def missing() -> str:
    """What is missing and how to get it; empty when all is there."""
    if shutil.which("node") is None:
        return "Node.js is not installed, which its client needs (apt-get install nodejs npm)"
    if not (PACKAGES / "openai").is_dir():
        return "the client for Node.js is not set up (make node)"
    return ""


def need_node() -> None:
    """Skip, or fail where everything must be there, when a script could not run."""
    reason = missing()
    if reason and require_servers():
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


def drive(*arguments: str) -> Any:
    """What ``drive.mjs`` saw in a scenario. Raises ``AssertionError`` when it failed."""
    need_node()
    done = subprocess.run(
        ["node", "drive.mjs", *arguments],
        cwd=FOLDER,
        env={**os.environ, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return json.loads(done.stdout)
