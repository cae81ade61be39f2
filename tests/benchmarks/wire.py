"""What the gateway adds to a stream, how fast a hang-up gets upstream, what a sick pool costs.

``make bench-wire`` prints a table and, with ``--write FILE``, writes it as Markdown. The gateway
is a process of its own; the upstream and the client share one process and so one clock.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from raw_upstream import RawUpstream, raw_upstream
from running import free_port, serving
from wire_ends import CHUNKS, PACE_S, SLOW_S, Fake, Wire

FIRST_TOKEN_S = 1
AT_ONCE = (10, 50)
SETTLED_S = 0.02
MOST_S = 0.1
"""A hang-up must have reached the upstream by then."""
CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}
  - {{name: dead, use: openai_compatible, options: {{base_url: "http://127.0.0.1:{dead}/v1"}}}}
pools:
  - {{name: main, targets: [{{provider: up, model: paced}}]}}
  - name: line
    targets: [{{provider: up, model: held}}]
    queue: {{in_flight_per_target: 1, wait_s: 30}}
{three}
routes:
  - {{name: plain, pool: main}}
  - {{name: captured, pool: main, capture: full}}
"""

POOL_OF_THREE = """\
  - name: {strategy}_{at_once}
    strategy: {strategy}
    targets:
      - {{provider: dead, model: dead}}
      - {{provider: up, model: hangs}}
      - {{provider: up, model: slow}}
    timeouts: {{first_token_s: {first}, answer_s: {first}}}
"""
STRATEGIES = ("priority", "round_robin", "weighted", "least_busy", "lowest_latency")

Row = tuple[str, str]


def quantile(values: list[float], share: float) -> float:
    """The smallest value that ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def added(direct: Wire, gateways: dict[str, Wire], calls: int) -> list[Row]:
    """Time to the first content and per chunk, beside the direct way in the same run."""
    ways = {"direct": direct, **gateways}
    firsts: dict[str, list[float]] = {name: [] for name in ways}
    chunks: dict[str, list[float]] = {name: [] for name in ways}
    for n in range(calls + 3):
        for name, wire in ways.items():
            first, each = await wire.timed()
            if n >= 3:
                firsts[name].append(first)
                chunks[name] += each
    rows: list[Row] = []
    for name in gateways:
        for what, of in (("time to first content", firsts), ("per chunk", chunks)):
            median = statistics.median(of[name]) - statistics.median(of["direct"])
            tail = quantile(of[name], 0.99) - quantile(of["direct"], 0.99)
            value = f"{median * 1e3:.2f} ms (p99 {tail * 1e3:.2f} ms)"
            rows.append((f"{what} added, {name}", value))
    return rows


async def hang_ups(fake: Fake, wire: Wire, calls: int) -> list[Row]:
    """From the client's close to the upstream's end of file, per phase."""
    rows: list[Row] = []
    for phase in ("before the first byte", "mid-stream", "non-stream body"):
        times: list[float] = []
        for _ in range(calls):
            fake.phase = phase
            fake.asked.clear()
            fake.left = asyncio.get_running_loop().create_future()
            reader, writer = await wire.send(stream=phase != "non-stream body")
            await fake.asked.wait()
            if phase == "mid-stream":
                await reader.readuntil(b"first")
            left = time.perf_counter()
            writer.transport.abort()
            times.append(await asyncio.wait_for(fake.left, 30) - left)
        worst = max(times)
        gate = "" if worst < MOST_S else f", MISSED {MOST_S * 1e3:g} ms"
        median = statistics.median(times)
        value = f"{median * 1e3:.2f} ms (worst {worst * 1e3:.2f} ms{gate})"
        rows.append((f"hang-up {phase}", value))
    return rows


async def queued(fake: Fake, wire: Wire, calls: int) -> list[Row]:
    """Who leaves while waiting for a place: the upstream must never be asked."""
    reached = 0
    for _ in range(calls):
        fake.asked.clear()
        _, holder = await wire.send()
        await fake.asked.wait()
        fake.held = 0
        _, waiting = await wire.send()
        await asyncio.sleep(SETTLED_S)
        waiting.transport.abort()
        await asyncio.sleep(SETTLED_S)
        holder.transport.abort()  # the place is free: whoever still waits gets it
        await asyncio.sleep(SETTLED_S)
        reached += fake.held
    missed = ", MISSED 0" if reached else ""
    return [("hang-up queued: requests that still went upstream", f"{reached} of {calls}{missed}")]


async def sick(fake: Fake, wire: Wire, calls: int) -> list[Row]:
    """Calls to a pool of which one target is dead, one hangs and one is slow.

    Every other call is a stream.
    """
    strategy, _, at_once = wire.model.rpartition("_")
    gate = asyncio.Semaphore(int(at_once))
    fake.pooled = 0

    async def one(n: int) -> tuple[bool, float]:
        async with gate:
            return await wire.outcome(stream=bool(n % 2))

    done = await asyncio.gather(*(one(n) for n in range(calls)))
    share = sum(ok for ok, _ in done) / len(done)
    p99 = quantile([s for _, s in done], 0.99)
    name = f"pool of three, {strategy}, {at_once} at once"
    missed = "" if share == 1 else ", MISSED 100 %"
    return [
        (f"{name}: calls that succeed", f"{share:.1%} (p99 {p99:.2f} s{missed})"),
        (f"{name}: requests upstream saw", f"{fake.pooled / calls:.3f} a call"),
    ]


async def measure(calls: int) -> list[Row]:
    """All rows of the table."""
    fake = Fake()
    async with raw_upstream(fake.answer) as server:
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "gateway.yaml"
            three = "".join(
                POOL_OF_THREE.format(strategy=strategy, at_once=at_once, first=FIRST_TOKEN_S)
                for strategy, at_once in itertools.product(STRATEGIES, AT_ONCE)
            )
            config.write_text(CONFIG.format(url=server.url, dead=free_port(), three=three))
            return await _served(config, fake, server, calls)


async def _served(config: Path, fake: Fake, server: RawUpstream, calls: int) -> list[Row]:
    running = serving(config)
    gateway = await asyncio.to_thread(running.__enter__)
    try:
        direct = Wire(int(server.url.split(":")[2].partition("/")[0]), "paced")
        ways = {"bytes forwarded": Wire(gateway.port, "plain")}
        ways["parsed"] = Wire(gateway.port, "captured")
        rows = await added(direct, ways, calls)
        rows += await hang_ups(fake, ways["bytes forwarded"], calls)
        rows += await queued(fake, Wire(gateway.port, "line"), calls)
        for strategy, at_once in itertools.product(STRATEGIES, AT_ONCE):
            rows += await sick(fake, Wire(gateway.port, f"{strategy}_{at_once}"), calls * 10)
        return rows
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def markdown(rows: list[Row], calls: int) -> str:
    """The page that ``--write`` writes."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    load = os.getloadavg()[0]
    lines = [
        "# The wire",
        "",
        f"Measured by `make bench-wire` on {time.strftime('%Y-%m-%d')}: {machine}; load average "
        f"{load:.1f} at the end, upstream and client on the same machine. {calls} calls a row "
        f"({calls * 10} for the pools), streams of {CHUNKS} chunks {PACE_S * 1e3:g} ms apart.",
        "",
        "| what | measured |",
        "|---|---|",
        *(f"| {what} | {value} |" for what, value in rows),
        "",
        "Added = through the gateway less the direct way, medians (and 99th percentiles) of the "
        "same run. The pool of three has one target that refuses connections, one that hangs "
        "before its first byte and one that takes "
        f"{SLOW_S:g} s; every second call is a stream. Retries, retry budget and breaker are the "
        f"defaults; `first_token_s` and `answer_s` are scaled down to {FIRST_TOKEN_S} s, so that "
        "p99 is that wait plus the slow answer. Requests that the upstream saw are those at the "
        "hanging and the slow target; a refused connection reaches nobody.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    rows = asyncio.run(measure(arguments.calls))
    width = max(len(what) for what, _ in rows)
    for what, value in rows:
        print(f"{what:<{width}}  {value}")
    if arguments.write:
        arguments.write.parent.mkdir(parents=True, exist_ok=True)
        arguments.write.write_text(markdown(rows, arguments.calls))
    return 1 if any("MISSED" in value for _, value in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
