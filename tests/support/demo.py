"""The demo in a folder of its own: what `make run` uses, copied away from the checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def copy_demo(folder: Path) -> Path:
    """Copy configuration and documents into ``folder``; returns the gateway file there."""
    for name in ("configs", "docs"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "README.md", folder / "README.md")
    return folder / "configs" / "gateway.yaml"
