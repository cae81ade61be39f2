"""A program in a network namespace that has only loopback, with all its network calls on record."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headgate_core.settings.environment import require_servers

_INET = re.compile(r"sa_family=AF_INET6?, .*?(?:inet_addr\(\"([^\"]+)\"\)|\"([0-9a-f:.]+)\")")
LOOPBACK = ("127.", "::1", "::ffff:127.")


def beyond_loopback(trace: str) -> list[str]:
    """Lines of a strace that name an internet address which is not loopback."""
    found = []
    for line in trace.splitlines():
        for v4, v6 in _INET.findall(line):
            if not (v4 or v6).startswith(LOOPBACK):
                found.append(line)
    return found


def isolated(script: Path, *arguments: str, trace: Path) -> str:
    """The standard output of ``script``, which must end well, and its strace in ``trace``.

    The test is skipped (or fails, where servers are required) when this machine cannot do it.
    """
    unshare, strace = _namespace(), _tool("strace")
    traced = [strace, "-f", "--seccomp-bpf", "-e", "trace=network", "-o", str(trace)]
    done = subprocess.run(
        [unshare, "-n", *traced, sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        _cannot(f"{name} is not installed, so it cannot be shown that nothing leaves the machine")
    return str(path)


def _namespace() -> str:
    unshare = _tool("unshare")
    done = subprocess.run([unshare, "-n", "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        _cannot(f"a network namespace cannot be made here: {done.stderr.strip()}")
    return unshare


def _cannot(message: str) -> None:
    if require_servers():
        pytest.fail(message)
    pytest.skip(message)
