"""Money is integer pico-dollars (1e-12 USD). No float touches it."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

PICO = Decimal(10) ** 12


def pico(usd: Decimal) -> int:
    """Dollars to pico-dollars, rounded half-even."""
    return int((usd * PICO).to_integral_value(ROUND_HALF_EVEN))


def usd_text(amount_pico: int) -> str:
    """Pico-dollars as exact dollars without trailing zeros, e.g. ``0.00045``."""
    sign = "-" if amount_pico < 0 else ""
    whole, part = divmod(abs(amount_pico), 10**12)
    digits = f"{part:012d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def plain_digits(amount: Decimal) -> str:
    """Exact digits without an exponent and without trailing zeros, e.g. ``0.4``."""
    return f"{amount.normalize():f}"


def plain_numbers(value: Any) -> Any:
    """``value`` with every ``Decimal`` in it as a float: what JSON for a model is made of."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: plain_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain_numbers(inner) for inner in value]
    return value
