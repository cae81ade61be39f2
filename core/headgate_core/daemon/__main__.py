"""``python -m headgate_core.daemon NAME DATA_DIR package.module:factory [JSON] [--idle-s N]``.

Returns as soon as the helper listens: 0, or 75 when another process serves already, or 1 when it
died while starting. The helper itself goes on detached. ``factory(data_dir, args)`` must be quick.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import logging
import os
import sys
from pathlib import Path

from headgate_core.daemon.launch import TAKEN
from headgate_core.daemon.server import Taken, serve


def main() -> int:
    """Start the helper and wait until it listens; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m headgate_core.daemon")
    parser.add_argument("name")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("factory")
    parser.add_argument("args", nargs="?", default="{}")
    parser.add_argument("--idle-s", type=float, default=60.0)
    options = parser.parse_args()
    reader, writer = os.pipe()
    # Forked before any thread exists. The starter reaps this process; the helper needs no reaping.
    if os.fork():
        os.close(writer)
        told = os.read(reader, 1)
        return told[0] if told else 1
    os.close(reader)
    os.setsid()
    return _helper(options, writer)


def _helper(options: argparse.Namespace, pipe: int) -> int:
    def tell(code: int) -> None:
        os.write(pipe, bytes([code]))
        os.close(pipe)

    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s {options.name}[{os.getpid()}] %(levelname)s %(message)s",
    )
    module, _, attribute = options.factory.partition(":")
    factory = getattr(importlib.import_module(module), attribute)
    handler = factory(options.data_dir.resolve(), json.loads(options.args))
    try:
        asyncio.run(serve(options.name, options.data_dir, handler, options.idle_s, lambda: tell(0)))
    except Taken as taken:
        logging.info("not started: %s", taken)
        tell(TAKEN)
    return 0


if __name__ == "__main__":
    sys.exit(main())
