"""Bills of what is not plain text in and out: caches, audio, service tiers, search units."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate_core.errors import ConfigurationError
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.pools import PriceOverride, PriceSettings
from headgate_core.types import Usage
from headgate_gateway.ledger import prices as module
from headgate_gateway.ledger.priced import insist
from headgate_gateway.ledger.prices import Prices

MICRO = 10**6
"""Pico-dollars of one token at a dollar for a million tokens."""


def _per_mtok(**prices: str) -> dict[str, Any]:
    return {name: Decimal(dollars) / 10**6 for name, dollars in prices.items()}


TABLE: Mapping[str, Any] = {
    "claude": _per_mtok(
        input_cost_per_token="3",
        output_cost_per_token="15",
        cache_read_input_token_cost="0.3",
        cache_creation_input_token_cost="3.75",
        cache_creation_input_token_cost_above_1hr="6",
        input_cost_per_token_above_200k_tokens="6",
        output_cost_per_token_above_200k_tokens="22.5",
        cache_creation_input_token_cost_above_200k_tokens="7.5",
    )
    | {"provider_specific_entry": {"us": Decimal("1.1"), "fast": Decimal(2)}},
    "gpt": _per_mtok(
        input_cost_per_token="2",
        input_cost_per_token_priority="4",
        input_cost_per_token_flex="1",
        output_cost_per_token="8",
        output_cost_per_token_priority="16",
        output_cost_per_token_flex="4",
        cache_read_input_token_cost="0.5",
        cache_read_input_token_cost_priority="1",
        input_cost_per_token_above_272k_tokens="6",
        output_cost_per_token_above_272k_tokens="12",
    ),
    "hears": _per_mtok(
        input_cost_per_token="1",
        output_cost_per_token="2",
        input_cost_per_audio_token="10",
        output_cost_per_audio_token="20",
    ),
    "one-price": _per_mtok(input_cost_per_token="1", output_cost_per_token="2")
    | {"supports_audio_input": True},
    "text-only": _per_mtok(input_cost_per_token="1", output_cost_per_token="2"),
    "reranker": _per_mtok(input_cost_per_token="0", output_cost_per_token="0")
    | {"input_cost_per_query": Decimal("0.002")},
    "painter": _per_mtok(input_cost_per_token="0", output_cost_per_token="0")
    | {"output_cost_per_image": Decimal("0.04")},
}


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_table", lambda: TABLE)


def priced(model: str, *overrides: dict[str, Any]) -> Prices:
    own = [
        PriceOverride.model_validate(
            {"model": f"p/{model}", "input_per_mtok_usd": 1, "output_per_mtok_usd": 2} | one
        )
        for one in overrides
    ]
    return Prices(PriceSettings(overrides=own), [("p", model)], uses={"p": "x"})


WRITTEN = Usage(1000, 10, 200, cache_written_tokens=700, cache_written_1h_tokens=500)


@pytest.mark.parametrize(
    ("model", "usage", "micro"),
    [
        # 100 x 3 + 200 x 0.3 + 200 x 3.75 + 500 x 6 + 10 x 15 = 4260
        ("claude", WRITTEN, 4260),
        # 300,000 written in the tier of long requests: 300,000 x 7.5
        ("claude", Usage(300_000, 0, cache_written_tokens=300_000), 2_250_000),
        # more was written than read: nothing is counted twice
        ("claude", Usage(100, 0, 50, cache_written_tokens=500), 375),
        # 10 x 1 + 90 x 10 + 5 x 2 + 20 x 20 = 1320
        ("hears", Usage(100, 25, audio_input_tokens=90, audio_output_tokens=20), 1320),
        # cached speech is charged as speech: 90 x 10 + 10 x 1
        ("hears", Usage(100, 0, 50, audio_input_tokens=90), 910),
        ("one-price", Usage(100, 0, audio_input_tokens=90), 100),
        ("reranker", Usage(1000, 0, search_units=3), 6000),
        # a model that is paid by the token is not paid by the query as well
        ("text-only", Usage(1000, 0, search_units=3), 1000),
    ],
)
def test_each_kind_of_token_has_its_own_price(model: str, usage: Usage, micro: int) -> None:
    assert priced(model).price(usage, "p", model).pico == micro * MICRO


@pytest.mark.parametrize(
    ("model", "usage", "lacks"),
    [
        ("gpt", Usage(100, 0, cache_written_tokens=1), "written"),
        ("text-only", Usage(100, 0, audio_input_tokens=1), "audio in"),
        ("one-price", Usage(100, 5, audio_output_tokens=1), "audio out"),
        ("reranker", Usage(100, 0), "search units"),
        # of long requests no price is known for what is kept for an hour
        ("claude", Usage(300_000, 0, 0, 0, False, 5, 5), "written 1h"),
    ],
)
def test_a_kind_without_a_price_makes_the_attempt_unpriced(
    model: str, usage: Usage, lacks: str
) -> None:
    cost = priced(model).price(usage, "p", model)
    assert cost.pico is None
    assert cost.text.startswith("unpriced: ") and lacks in cost.text


def test_a_model_whose_tokens_are_free_but_not_its_pictures_is_unpriced() -> None:
    assert priced("painter").price(Usage(10, 10), "p", "painter").pico is None
    assert priced("painter").worst_case(Usage(10, 10), "p", "painter") is None


@pytest.mark.parametrize(
    ("tier", "micro"),
    [
        *((name, 280) for name in ("", "auto", "default", "standard", "Standard", "on_demand")),
        ("priority", 560),
        ("flex", 140),
        ("scale", None),
        ("batch", None),
    ],
)
def test_a_service_tier_has_its_own_price_or_none(tier: str, micro: int | None) -> None:
    cost = priced("gpt").price(Usage(100, 10), "p", "gpt", tier)
    assert cost.pico == (None if micro is None else micro * MICRO)
    assert micro is not None or repr(tier) in cost.text


def test_the_text_names_the_tier_and_the_rare_kinds_that_were_used() -> None:
    assert priced("gpt").price(Usage(100, 10), "p", "gpt", "priority").text == (
        "bundled gpt (priority): in 4 cached 1 out 16 USD/Mtok"
    )
    assert priced("claude").price(WRITTEN, "p", "claude").text == (
        "bundled claude: in 3 cached 0.3 written 3.75 written 1h 6 out 15 USD/Mtok"
    )


def test_a_tier_without_prices_for_long_requests_is_unpriced_there() -> None:
    assert priced("gpt").price(Usage(300_000, 0), "p", "gpt").pico == 1_800_000 * MICRO
    assert priced("gpt").price(Usage(300_000, 0), "p", "gpt", "priority").pico is None


def test_fast_mode_costs_as_many_times_as_the_table_says() -> None:
    assert priced("claude").price(WRITTEN, "p", "claude", "fast").pico == 2 * 4260 * MICRO
    # where there is no such mode, it is another name of the tier
    assert priced("gpt").price(Usage(100, 10), "p", "gpt", "fast").pico == 560 * MICRO


def test_an_override_states_prices_of_the_rare_kinds() -> None:
    own = {
        "cached_input_per_mtok_usd": "0.1",
        "cache_write_per_mtok_usd": "1.25",
        "cache_write_1h_per_mtok_usd": "2",
        "audio_input_per_mtok_usd": "10",
        "audio_output_per_mtok_usd": "20",
    }
    usage = Usage(1000, 100, 200, 0, False, 300, 100, 50, 40)
    # 450 x 1 + 200 x 0.1 + 200 x 1.25 + 100 x 2 + 50 x 10 + 60 x 2 + 40 x 20 = 2340
    assert priced("claude", own).price(usage, "p", "claude").pico == 2340 * MICRO
    units = priced("reranker", {"search_unit_usd": "0.001"})
    assert units.price(Usage(0, 0, search_units=2), "p", "reranker").pico == 2000 * MICRO


def test_an_override_that_is_silent_on_a_kind_does_not_let_the_table_speak_for_it() -> None:
    assert priced("claude", {}).price(WRITTEN, "p", "claude").pico is None
    assert priced("gpt", {}).price(Usage(10, 0), "p", "gpt", "priority").pico is None


def test_an_override_for_one_tier_leaves_the_others_to_the_table() -> None:
    prices = priced(
        "gpt",
        {"service_tier": "priority", "input_per_mtok_usd": 5},
        {"service_tier": "priority", "input_per_mtok_usd": 7, "from": date(2026, 6, 1)},
    )
    early, late = date(2026, 5, 31), date(2026, 6, 1)
    assert prices.price(Usage(10, 0), "p", "gpt", "priority", on=early).pico == 50 * MICRO
    assert prices.price(Usage(10, 0), "p", "gpt", "priority", on=late).pico == 70 * MICRO
    assert prices.price(Usage(10, 0), "p", "gpt").pico == 20 * MICRO
    assert prices.price(Usage(10, 0), "p", "gpt", "flex").pico == 10 * MICRO


@given(
    counts=st.tuples(*[st.integers(0, 5000)] * 9),
    tiers=st.sampled_from([("", ""), ("", "priority"), ("auto", "flex"), ("priority", "default")]),
    model=st.sampled_from(["claude", "gpt", "hears", "reranker"]),
)
def test_no_bill_is_higher_than_what_was_reserved(
    counts: tuple[int, ...], tiers: tuple[str, str], model: str
) -> None:
    read, written, cached, reasoning, kept, hour, heard, said, units = counts
    usage = Usage(read, written, cached, reasoning, False, kept, hour, heard, said, units)
    asked, served = tiers
    prices = Prices.__new__(Prices)
    prices._free = frozenset()
    prices._known = {("p", model): tuple(module._bundled(["p"], model, TABLE))}
    cost = prices.price(usage, "p", model, served).pico
    reserved = prices.worst_case(Usage(read, written, search_units=units), "p", model, asked)
    if cost is not None and reserved is not None:  # no price is known for some tiers
        assert cost <= reserved


def test_nothing_is_reserved_for_a_tier_without_a_price() -> None:
    assert priced("gpt").worst_case(Usage(10, 10), "p", "gpt", "scale") is None
    # the tier that was asked for or the standard one, whichever is dearer
    assert priced("gpt").worst_case(Usage(10, 10), "p", "gpt", "flex") == 100 * MICRO
    # nobody asked for a tier: a project of the provider's may still have set one
    assert priced("gpt").worst_case(Usage(10, 10), "p", "gpt") == 200 * MICRO


@pytest.mark.parametrize(
    ("model", "own", "option"),
    [
        ("claude", {}, "`cache_write_per_mtok_usd` and `cache_write_1h_per_mtok_usd`"),
        ("reranker", {}, "`search_unit_usd`"),
        ("gpt", {}, None),
        ("claude", {"cache_write_per_mtok_usd": 1, "cache_write_1h_per_mtok_usd": 2}, None),
    ],
)
def test_a_pool_that_refuses_unpriced_models_refuses_half_a_price(
    model: str, own: dict[str, Any], option: str | None
) -> None:
    target = {"provider": "p", "model": model}
    settings = GatewaySettings.model_validate(
        {
            "providers": [{"name": "p", "use": "echo"}],
            "pools": [{"name": "small", "unpriced": "refuse", "targets": [target]}],
        }
    )
    if option is None:
        insist(settings, priced(model, own))
        return
    with pytest.raises(ConfigurationError, match="p/" + model) as refused:
        insist(settings, priced(model, own))
    assert option in str(refused.value)
