"""Money as text is exact."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate_core.money import pico, usd_text


@given(st.integers(-(10**20), 10**20))
def test_text_and_back_is_the_same_amount(amount: int) -> None:
    assert pico(Decimal(usd_text(amount))) == amount


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "0"), (1, "0.000000000001"), (450_000_000, "0.00045"), (-(10**12), "-1")],
)
def test_text_is_plain_decimal_dollars(amount: int, shown: str) -> None:
    assert usd_text(amount) == shown


@pytest.mark.parametrize(
    ("dollars", "amount"), [("0.0000000000005", 0), ("0.0000000000015", 2), ("1", 10**12)]
)
def test_halves_of_a_pico_dollar_go_to_the_even_neighbour(dollars: str, amount: int) -> None:
    assert pico(Decimal(dollars)) == amount
