"""``latency`` and ``cost``: what the call may take."""

from __future__ import annotations

from decimal import Decimal

from headgate_core.money import pico, usd_text
from headgate_evals.asserts.base import AssertSettings, CannotTell, Delivered, Finding


def latency(expected: AssertSettings, delivered: Delivered) -> Finding:
    """The whole call took at most ``threshold`` milliseconds."""
    limit = expected.threshold or Decimal(0)
    ms = delivered.total_s * 1e3
    return Finding(ms <= limit, f"the call took {ms:.0f} ms, the threshold is {limit} ms")


def cost(expected: AssertSettings, delivered: Delivered) -> Finding:
    """The call cost at most ``threshold`` dollars. Raises ``CannotTell`` without a known price."""
    limit = pico(expected.threshold or Decimal(0))
    if delivered.cost_pico is None:
        raise CannotTell(
            "the cost is not known: the model has no price; set one in `prices.overrides`"
        )
    spent = usd_text(delivered.cost_pico)
    return Finding(
        delivered.cost_pico <= limit,
        f"the call cost ${spent}, the threshold is ${usd_text(limit)}",
    )


def latency_fault(expected: AssertSettings) -> str:
    """No call takes no time."""
    too_small = expected.threshold is not None and expected.threshold <= 0
    return "`threshold` must be more than 0 milliseconds." if too_small else ""


def cost_fault(expected: AssertSettings) -> str:
    """No call earns money."""
    too_small = expected.threshold is not None and expected.threshold < 0
    return "`threshold` must not be below 0 dollars." if too_small else ""
