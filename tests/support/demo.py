"""The demo in a folder of its own: what `make run` uses, copied away from the checkout."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import pytest
import yaml
from running import run

ROOT = Path(__file__).resolve().parent.parent.parent


def copy_demo(folder: Path) -> Path:
    """Copy configuration and documents into ``folder``; returns the gateway file there."""
    for name in ("configs", "docs"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "README.md", folder / "README.md")
    return folder / "configs" / "gateway.yaml"


def ingested_demo(folder: Path, factory: pytest.TempPathFactory) -> Path:
    """As ``copy_demo``, with the documents' index: made once a run of all tests, then copied."""
    base = factory.getbasetemp()
    shared = (base.parent if base.name.startswith("popen-") else base) / "ingested-demo"
    with (shared.parent / "ingested-demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "done").exists():
            done = run("ingest", "docs", "--config", str(copy_demo(shared)))
            assert done.returncode == 0, done.stdout + done.stderr
            shutil.rmtree(shared / "var" / "run")  # its index process is not anybody's
            (shared / "done").touch()
    shutil.copytree(shared, folder, dirs_exist_ok=True)
    return folder / "configs" / "gateway.yaml"


def few_cases(config: Path) -> str:
    """A suite of the demo's first three cases beside the others; returns its name."""
    suite = yaml.safe_load((config.parent / "evals" / "demo.yaml").read_text())
    gates = [gate for gate in suite["gates"] if gate["slice"] == "answerable"]
    suite = {**suite, "name": "few", "cases": suite["cases"][:3], "gates": gates}
    (config.parent / "evals" / "few.yaml").write_text(yaml.safe_dump(suite))
    return "few"
