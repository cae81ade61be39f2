"""Run inside a namespace with only loopback: the demo from ingest to an answer over HTTP.

``python offline_tour.py CONFIG``; prints the last answer's JSON. Exit code 0 = all of it worked.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from demo import few_cases
from running import run, serving

QUESTION = "How are retries decided?"


def loopback_up() -> None:
    """Set IFF_UP on ``lo`` (netdevice(7)): a fresh namespace has it down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14s", b"lo", 0, b"")
        flags = struct.unpack("16sh14s", fcntl.ioctl(control, 0x8913, request))[1]
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14s", b"lo", flags | 0x1, b""))


def command(*arguments: str) -> str:
    """One command that must succeed; its standard output."""
    done = run(*arguments)
    if done.returncode != 0:
        raise SystemExit(f"headgate {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def main(config: Path) -> None:
    """Ingest, ask, evaluate, serve, call."""
    loopback_up()
    command("ingest", "docs", "--config", str(config))
    command("ask", QUESTION, "--config", str(config))
    command("eval", "run", few_cases(config), "--config", str(config))
    with serving(config) as server:
        status, body = server.chat("headgate-docs", QUESTION)
        print(json.dumps({"status": status, "body": body}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
