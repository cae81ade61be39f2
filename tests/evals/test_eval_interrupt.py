from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from configs import write_config
from running import HEADGATE

from headgate_gateway.cli import run


async def _ctrl_c(*_args: Any, **_more: Any) -> Any:
    raise KeyboardInterrupt


def _hears_ctrl_c() -> None:
    """A shell starts its background jobs deaf to SIGINT, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_before_any_case_ran_is_one_line_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(
        tmp_path,
        """\
auth: {keys: open}
providers: [{name: here, use: echo}]
pools: [{name: small, targets: [{provider: here, model: echo}]}]
""",
    )
    suite = tmp_path / "suite.yaml"
    suite.write_text("name: s\nrun: {route: small}\ncases: [{id: a, input: Hi, smoke: true}]\n")
    monkeypatch.setattr("headgate_gateway.build.Gateway.open", _ctrl_c)
    assert run(["eval", "run", str(suite), "--config", str(config)]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "headgate: interrupted before any case ran; there is no report.\n"


def test_ctrl_c_while_the_commands_are_loaded_is_not_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("headgate_gateway.command_line.build_app", interrupted)
    assert run(["eval", "run", "any"]) == 130
    assert capsys.readouterr().err == "headgate: interrupted\n"


@pytest.mark.slow
def test_ctrl_c_keeps_and_prints_what_there_is_and_ends_with_130(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(60)
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/v1"
        config = write_config(
            tmp_path,
            f"""\
auth: {{keys: open}}
providers: [{{name: mute, use: openai_compatible, options: {{base_url: "{url}"}}}}]
pools: [{{name: mute, targets: [{{provider: mute, model: m}}]}}]
""",
        )
        suite = tmp_path / "suite.yaml"
        suite.write_text(
            "name: s\nrun: {route: mute}\ncases: [{id: a, input: Hello, smoke: true}]\n"
        )
        process = subprocess.Popen(
            [*HEADGATE, "eval", "run", str(suite), "--config", str(config), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_hears_ctrl_c,
        )
        connection, _ = mute.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err.decode()
    document = json.loads(out)
    assert (document["stopped"], document["exit_code"]) == ("interrupted", 130)
    assert [case["outcome"] for case in document["cases"]] == ["not_run"]
