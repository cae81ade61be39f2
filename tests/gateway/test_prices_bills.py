"""Bills: computed by hand, exact to the pico-dollar."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate_core.settings.pools import PriceOverride, PriceSettings
from headgate_core.types import Usage
from headgate_gateway.ledger import prices as module
from headgate_gateway.ledger.prices import Prices
from headgate_gateway.ledger.rates import from_table

TABLE: Mapping[str, Any] = {
    "plain": {
        "input_cost_per_token": Decimal("4e-07"),
        "output_cost_per_token": Decimal("1.6e-06"),
        "cache_read_input_token_cost": Decimal("1e-07"),
        "litellm_provider": "openai",
    },
    "tiered": {
        "input_cost_per_token": Decimal("1.25e-06"),
        "input_cost_per_token_above_200k_tokens": Decimal("2.5e-06"),
        "output_cost_per_token": Decimal("1e-05"),
        "output_cost_per_token_above_200k_tokens": Decimal("1.5e-05"),
        "cache_read_input_token_cost": Decimal("1.25e-07"),
        "cache_read_input_token_cost_above_200k_tokens": Decimal("2.5e-07"),
    },
    "thinking": {
        "input_cost_per_token": Decimal("1e-06"),
        "output_cost_per_token": Decimal("2e-06"),
        "output_cost_per_reasoning_token": Decimal("5e-06"),
    },
    "uncached": {
        "input_cost_per_token": Decimal("1e-06"),
        "output_cost_per_token": Decimal("2e-06"),
    },
    "fine": {
        "input_cost_per_token": Decimal("0.0000000000005"),
        "output_cost_per_token": Decimal("0.0000000000005"),
    },
    "embedding": {"input_cost_per_token": Decimal("2e-08")},
    "by_request": {
        "input_cost_per_request": Decimal("0.005"),
        "input_cost_per_token": Decimal("0.0"),
        "output_cost_per_token": Decimal("2.8e-6"),
    },
    "by_second": {"input_cost_per_second": Decimal("0.0001")},
    "nested": {
        "input_cost_per_token": Decimal("1e-06"),
        "tiered_pricing": [{"range": [0, 256000]}],
    },
    "haiku": {
        "input_cost_per_token": Decimal("1e-06"),
        "output_cost_per_token": Decimal("5e-06"),
        "litellm_provider": "anthropic",
    },
    "router/haiku": {
        "input_cost_per_token": Decimal("3e-06"),
        "output_cost_per_token": Decimal("9e-06"),
    },
}


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_table", lambda: TABLE)


def priced(model: str, *overrides: PriceOverride, provider: str = "p", use: str = "x") -> Prices:
    settings = PriceSettings(overrides=list(overrides))
    return Prices(settings, [(provider, model)], uses={provider: use}, free={"here"})


@pytest.mark.parametrize(
    ("model", "usage", "pico"),
    [
        # 1000 x 0.4 + 200 x 1.6 USD/Mtok = 0.00072 USD
        ("plain", Usage(1000, 200), 720_000_000),
        # 400 x 0.4 + 600 x 0.1 + 200 x 1.6 = 540 USD/M
        ("plain", Usage(1000, 200, cached_input_tokens=600), 540_000_000),
        ("plain", Usage(1, 0), 400_000),
        ("plain", Usage(0, 0), 0),
        # a report of more cached tokens than input is not paid back
        ("plain", Usage(100, 0, cached_input_tokens=500), 10_000_000),
        # 200,000 is still the lower tier, one token more moves the whole request
        ("tiered", Usage(200_000, 10), 250_100_000_000),
        ("tiered", Usage(200_001, 10), 500_152_500_000),
        ("tiered", Usage(300_000, 0, cached_input_tokens=100_000), 525_000_000_000),
        # 10 x 1 + 60 x 2 + 40 x 5 = 330
        ("thinking", Usage(10, 100, reasoning_tokens=40), 330_000_000),
        ("uncached", Usage(100, 0, cached_input_tokens=100), 100_000_000),
        # halves of a pico-dollar: rounded once over the whole attempt, to the even neighbour
        ("fine", Usage(1, 0), 0),
        ("fine", Usage(1, 1), 1),
        ("fine", Usage(3, 0), 2),
        ("embedding", Usage(50, 0), 1_000_000),
    ],
)
def test_bills_computed_by_hand(model: str, usage: Usage, pico: int) -> None:
    assert priced(model).price(usage, "p", model).pico == pico


@pytest.mark.parametrize("model", ["unheard-of", "by_request", "by_second", "nested"])
def test_a_model_that_cannot_be_priced_honestly_is_unpriced_and_never_free(model: str) -> None:
    cost = priced(model).price(Usage(10, 10), "p", model)
    assert cost.pico is None
    assert cost.text.startswith("unpriced")
    assert priced(model).worst_case(Usage(10, 10), "p", model) is None


def test_output_without_a_price_is_unpriced_although_input_has_one() -> None:
    assert priced("embedding").price(Usage(10, 1), "p", "embedding").pico is None


def test_the_text_says_which_prices_were_used() -> None:
    prices = priced("plain")
    assert prices.price(Usage(1, 1), "p", "plain").text == (
        "bundled plain: in 0.4 cached 0.1 out 1.6 USD/Mtok"
    )
    above = priced("tiered").price(Usage(200_001, 1), "p", "tiered").text
    assert above == (
        "bundled tiered: in 2.5 cached 0.25 out 15 USD/Mtok (above 200000 input tokens)"
    )


def test_models_in_this_process_cost_nothing_and_need_no_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_table", lambda: 1 / 0)
    prices = Prices(PriceSettings(), [("here", "extractive")], uses={"here": "x"}, free={"here"})
    assert prices.price(Usage(10, 10), "here", "extractive").pico == 0
    assert prices.worst_case(Usage(10, 10), "here", "extractive") == 0


def override(since: str | None, dollars: str, model: str = "p/plain") -> PriceOverride:
    return PriceOverride.model_validate(
        {
            "model": model,
            "from": since,
            "input_per_mtok_usd": Decimal(dollars),
            "output_per_mtok_usd": Decimal("0"),
        }
    )


@pytest.mark.parametrize(
    ("day", "pico"),
    [("2026-01-31", 400_000), ("2026-02-01", 7_000_000), ("2026-05-01", 9_000_000)],
)
def test_the_latest_override_that_has_begun_beats_the_table(day: str, pico: int) -> None:
    prices = priced(
        "plain",
        override("2026-05-01", "9"),
        override("2026-02-01", "7"),
        override(None, "1", model="other/plain"),
    )
    cost = prices.price(Usage(1, 0), "p", "plain", on=date.fromisoformat(day))
    assert cost.pico == pico


def test_an_override_without_a_day_has_always_held() -> None:
    cost = priced("plain", override(None, "3")).price(Usage(1, 0), "p", "plain")
    assert cost == (3_000_000, "override: in 3 out 0 USD/Mtok")


@pytest.mark.parametrize(
    ("model", "provider", "use", "input_usd_per_mtok"),
    [
        ("anthropic/haiku", "claude", "litellm", 1),  # the table's haiku is anthropic's
        ("cloud/haiku", "claude", "litellm", None),  # ... and not cloud's
        ("haiku", "router", "litellm", 3),  # the provider's own name
        ("haiku", "mine", "router", 3),  # what it uses
        ("haiku", "mine", "openai_compatible", 1),
        ("router/haiku", "mine", "litellm", 3),
    ],
)
def test_a_model_is_found_under_its_most_telling_name(
    model: str, provider: str, use: str, input_usd_per_mtok: int | None
) -> None:
    cost = priced(model, provider=provider, use=use).price(Usage(10**6, 0), provider, model)
    expected = None if input_usd_per_mtok is None else input_usd_per_mtok * 10**12
    assert cost.pico == expected


def test_the_worst_case_counts_the_dearer_kind_of_output() -> None:
    assert priced("thinking").worst_case(Usage(10, 100), "p", "thinking") == 510_000_000
    assert priced("plain").worst_case(Usage(1000, 200), "p", "plain") == 720_000_000


@given(
    tokens=st.integers(0, 400_000),
    cached=st.integers(0, 400_000),
    output=st.integers(0, 5000),
    reasoning=st.integers(0, 5000),
    model=st.sampled_from(["plain", "tiered", "thinking", "uncached"]),
)
def test_no_usage_costs_more_than_its_worst_case(
    tokens: int, cached: int, output: int, reasoning: int, model: str
) -> None:
    prices = Prices.__new__(Prices)
    prices._free = frozenset()
    prices._known = {("p", model): (module._Priced(date.min, "t", from_table(TABLE[model])),)}
    usage = Usage(tokens, output, cached, reasoning)
    cost, worst = (
        prices.price(usage, "p", model).pico,
        prices.worst_case(Usage(tokens, output), "p", model),
    )
    assert cost is not None and worst is not None
    assert 0 <= cost <= worst
    assert (cost > 0) == (tokens + output > 0)


def test_the_bundled_table_is_read_without_importing_litellm() -> None:
    program = (
        "import sys; from headgate_core.settings.pools import PriceSettings; "
        "from headgate_core.types import Usage; "
        "from headgate_gateway.ledger.prices import Prices; "
        "p = Prices(PriceSettings(), [('openai', 'gpt-4.1-mini')], uses={}); "
        "assert 'litellm' not in sys.modules; assert len(p._known) == 1; "
        "print(p.price(Usage(1000, 200, 500), 'openai', 'gpt-4.1-mini').pico)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("570000000", "")
