"""Statistics over the scored values of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; ``values`` must not be empty."""
    return math.fsum(values) / len(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) lies, interpolated between the nearest two."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": mean,
    "p50": lambda values: percentile(values, 0.5),
    "p95": lambda values: percentile(values, 0.95),
    "max": max,
    "sum": math.fsum,
}
"""What ``stat`` of a gate may name."""
