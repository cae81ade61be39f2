"""How long starting takes: ``headgate --version``, the first ``/health``, being ready on SQLite.

``make bench`` prints the times of several starts beside the time of an empty interpreter on the
same machine in the same run, so that ratios can be compared between machines. Exit 1 when a gate
is missed; the best of the runs counts, because others may be using the machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from running import HEADGATE, free_port

RUNS = 7
CONFIG = """\
auth: {keys: open}
providers: [{name: up, use: openai_compatible, options: {base_url: "http://127.0.0.1:9/v1"}}]
pools: [{name: main, targets: [{provider: up, model: any}]}]
routes: [{name: plain, pool: main}]
"""


def ran(*command: str) -> float:
    """Seconds that a command takes from start to end."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def served(path: str) -> float:
    """Seconds from the start of the process, in a new folder, to the first 200 of ``path``."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "gateway.yaml"
        config.write_text(CONFIG)
        begun = time.perf_counter()
        process = subprocess.Popen(
            [*HEADGATE, "serve", "--config", str(config), "--port", str(port)],
            stderr=subprocess.DEVNULL,
        )
        try:
            _answered(f"http://127.0.0.1:{port}{path}", process)
            return time.perf_counter() - begun
        finally:
            process.terminate()
            process.wait()


def _answered(url: str, process: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            error.close()  # 503 while it starts
        except OSError:
            if process.poll() is not None:
                raise SystemExit("the server did not start") from None
        time.sleep(0.002)


MEASURED: dict[str, tuple[float, Callable[[], float]]] = {
    "headgate --version": (0.3, lambda: ran(*HEADGATE, "--version")),
    "/health after process start": (1.0, lambda: served("/health")),
    "/ready after a cold start on SQLite": (2.0, lambda: served("/ready")),
}
"""What is measured: its gate in seconds, and one run."""


def main() -> int:
    """Measure and print."""
    empty = statistics.median(ran(sys.executable, "-c", "pass") for _ in range(RUNS))
    print(f"empty interpreter: median {empty:.3f} s")
    missed = 0
    for what, (gate_s, once) in MEASURED.items():
        times = sorted(once() for _ in range(RUNS))
        median = statistics.median(times)
        met = times[0] < gate_s
        missed += not met
        print(
            f"{what}: best {times[0]:.3f} s, median {median:.3f} s, worst {times[-1]:.3f} s, "
            f"{median / empty:.1f} times an empty interpreter; "
            f"gate: best below {gate_s:g} s: {'met' if met else 'MISSED'}"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
