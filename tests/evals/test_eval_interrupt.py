from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from configs import write_config
from running import HEADGATE

pytestmark = pytest.mark.slow


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
        )
        connection, _ = mute.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err.decode()
    document = json.loads(out)
    assert (document["stopped"], document["exit_code"]) == ("interrupted", 130)
    assert [case["outcome"] for case in document["cases"]] == ["not_run"]
