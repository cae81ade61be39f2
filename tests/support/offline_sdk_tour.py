"""Run inside a namespace with only loopback: a gateway whose models are reached by an SDK.

``python offline_sdk_tour.py FOLDER``; prints the statuses of a call and of a streamed one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from configs import write_config
from offline_tour import loopback_up
from running import serving
from upstream import upstream

CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: hosted, use: litellm, options: {{api_base: "{url}", api_key: "env:TEST_KEY"}}}}
pools: [{{name: main, targets: [{{provider: hosted, model: openai/gpt-4.1-mini}}]}}]
routes: [{{name: plain, pool: main}}]
"""


def main(folder: Path) -> None:
    """Serve, and call: the first call imports the SDK with its price table and its telemetry."""
    loopback_up()
    with (
        upstream() as fake,
        serving(write_config(folder, CONFIG.format(url=fake.url)), env={"TEST_KEY": "k"}) as server,
    ):
        status, body = server.chat("plain", "hi", headgate={"meta": True})
        print(json.dumps({"status": status, "body": body}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
