"""How long a pure gateway takes from process start to its first ``/health``: ``make bench``.

Prints the times of several starts beside the time of an empty interpreter on the same machine in
the same run, so that the ratio can be compared between machines. Exit 1 when the gate is missed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from running import HEADGATE, free_port

GATE_S = 1.0
STARTS = 7
CONFIG = """\
auth: {keys: open}
providers: [{name: up, use: openai_compatible, options: {base_url: "http://127.0.0.1:9/v1"}}]
pools: [{name: main, targets: [{provider: up, model: any}]}]
routes: [{name: plain, pool: main}]
"""


def bare_interpreter() -> float:
    """Seconds that an interpreter takes to do nothing."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - begun


def health(config: Path) -> float:
    """Seconds from the start of the process to the first answer of ``/health``."""
    port = free_port()
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*HEADGATE, "serve", "--config", str(config), "--port", str(port)],
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                return time.perf_counter() - begun
            except OSError:
                if process.poll() is not None:
                    raise SystemExit("the server did not start") from None
                time.sleep(0.002)
    finally:
        process.terminate()
        process.wait()


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "gateway.yaml"
        config.write_text(CONFIG)
        times = sorted(health(config) for _ in range(STARTS))
    empty = statistics.median(bare_interpreter() for _ in range(STARTS))
    median = statistics.median(times)
    print(f"/health after process start: median {median:.3f} s, worst {times[-1]:.3f} s")
    print(f"empty interpreter: {empty:.3f} s; ratio {median / empty:.1f}")
    print(f"gate: median below {GATE_S:g} s: {'met' if median < GATE_S else 'MISSED'}")
    return 0 if median < GATE_S else 1


if __name__ == "__main__":
    sys.exit(main())
