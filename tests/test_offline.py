"""Nothing leaves the machine: no connection and no look-up beyond loopback is even tried."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from demo import copy_demo

from headgate_core.settings.environment import require_servers

TOUR = Path(__file__).resolve().parent / "support" / "offline_tour.py"

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


def need(tool: str) -> str:
    path = shutil.which(tool)
    if path is None:
        message = f"{tool} is not installed, so it cannot be shown that nothing leaves the machine"
        if require_servers():
            pytest.fail(message)
        pytest.skip(message)
    return path


def need_namespace() -> str:
    unshare = need("unshare")
    done = subprocess.run([unshare, "-n", "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"a network namespace cannot be made here: {done.stderr.strip()}"
        if require_servers():
            pytest.fail(message)
        pytest.skip(message)
    return unshare


def test_the_reader_of_traces_finds_what_it_must() -> None:
    dns = 'connect(5, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.2")}, 16)'
    six = 'connect(5, {sa_family=AF_INET6, sin6_port=htons(443), inet_pton(AF_INET6, "2a00::1"'
    own = 'connect(5, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16)'
    assert beyond_loopback("\n".join([dns, six, own])) == [dns, six]


@pytest.mark.slow
def test_start_up_question_and_eval_run_never_try_to_leave_the_machine(tmp_path: Path) -> None:
    unshare, strace = need_namespace(), need("strace")
    config = copy_demo(tmp_path)
    trace = tmp_path / "trace.txt"
    done = subprocess.run(
        [
            unshare,
            "-n",
            strace,
            "-f",
            "--seccomp-bpf",
            "-e",
            "trace=network",
            "-o",
            str(trace),
            sys.executable,
            str(TOUR),
            str(config),
        ],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["status"] == 200
    assert answer["body"]["headgate"]["citations"]
    text = trace.read_text(errors="replace")
    assert "AF_INET" in text  # the server's own loopback traffic was seen
    assert beyond_loopback(text) == []
