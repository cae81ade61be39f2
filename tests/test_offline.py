"""Nothing leaves the machine: no connection and no look-up beyond loopback is even tried."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from demo import ingested_demo
from isolated import beyond_loopback, isolated

TOUR = Path(__file__).resolve().parent / "support" / "offline_tour.py"


def test_the_reader_of_traces_finds_what_it_must() -> None:
    dns = 'connect(5, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.2")}, 16)'
    six = 'connect(5, {sa_family=AF_INET6, sin6_port=htons(443), inet_pton(AF_INET6, "2a00::1"'
    own = 'connect(5, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16)'
    assert beyond_loopback("\n".join([dns, six, own])) == [dns, six]


@pytest.mark.slow
def test_start_up_question_and_eval_run_never_try_to_leave_the_machine(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = ingested_demo(tmp_path, tmp_path_factory)
    (tmp_path / "docs" / "moon.md").write_text("# The moon\n\nIt is made of green cheese.\n")
    trace = tmp_path / "trace.txt"
    answer = json.loads(isolated(TOUR, str(config), trace=trace).splitlines()[-1])
    assert answer["status"] == 200
    assert answer["body"]["headgate"]["citations"]
    text = trace.read_text(errors="replace")
    assert "AF_INET" in text  # the server's own loopback traffic was seen
    assert beyond_loopback(text) == []
