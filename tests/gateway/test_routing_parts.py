"""The parts of routing, each by itself: breaker, budget, keys, strategies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from headgate_core.errors import UpstreamCredentialsExhausted
from headgate_core.ports import Candidate, Target
from headgate_core.settings.pools import BreakerSettings
from headgate_gateway.credentials import Credentials
from headgate_gateway.routing.breaker import Breaker
from headgate_gateway.routing.retry_budget import RetryBudget
from headgate_gateway.routing.strategies.least_busy import LeastBusy
from headgate_gateway.routing.strategies.lowest_cost import LowestCost
from headgate_gateway.routing.strategies.lowest_latency import LowestLatency
from headgate_gateway.routing.strategies.round_robin import RoundRobin
from headgate_gateway.routing.strategies.weighted import Weighted


def test_the_breaker_opens_probes_and_closes_on_its_clock() -> None:
    now = [0.0]
    breaker = Breaker(BreakerSettings(least_calls=2, open_s=10), lambda: now[0])
    breaker.failed(breaker.sent())
    assert breaker.allows()
    breaker.failed(breaker.sent())
    assert (breaker.state, breaker.allows()) == ("open", False)
    now[0] = 10
    assert breaker.allows()
    probe = breaker.sent()
    assert not breaker.allows()  # one probe at a time
    breaker.failed(probe)
    assert breaker.state == "open"
    now[0] = 20
    breaker.succeeded(breaker.sent())
    assert (breaker.state, breaker.allows()) == ("closed", True)


def test_old_faults_leave_the_breakers_window() -> None:
    now = [0.0]
    breaker = Breaker(BreakerSettings(least_calls=2, window_s=30), lambda: now[0])
    breaker.failed(breaker.sent())
    now[0] = 31
    breaker.failed(breaker.sent())
    assert breaker.state == "closed"


def test_hedges_stay_within_their_share() -> None:
    budget = RetryBudget(0.05, reserve=1.0)
    sent = 0
    for _ in range(1000):
        budget.earn()
        sent += budget.spend()
    assert sent <= 51


def test_keys_rotate_rest_and_come_back() -> None:
    now = [0.0]
    keys = Credentials(["one", "two"], lambda: now[0])
    assert [keys.take(), keys.take(), keys.take()] == [0, 1, 0]
    assert keys.set_aside(0, 401, None)  # another one is left
    assert [keys.take(), keys.take()] == [1, 1]
    assert not keys.set_aside(1, 429, 5)
    assert keys.take() == 1  # throttled, but the only one
    keys.set_aside(1, 402, None)
    with pytest.raises(UpstreamCredentialsExhausted):
        keys.take()
    now[0] = 301
    assert keys.take() in (0, 1)


Made = Callable[[], Any]


@pytest.mark.parametrize(
    ("strategy", "first"),
    [
        (RoundRobin, ["a", "b", "c", "a"]),
        (lambda: LowestLatency(explore_share=0), ["c"] * 4),
        (LowestCost, ["a"] * 4),
    ],
)
def test_strategies_put_the_right_target_first(strategy: Made, first: list[str]) -> None:
    candidates = [
        Candidate(Target("a", "m"), in_flight=2, first_token_s=0.9, price_pico=1),
        Candidate(Target("b", "m"), in_flight=1, first_token_s=0.5, price_pico=5),
        Candidate(Target("c", "m"), in_flight=3, first_token_s=0.1, price_pico=None),
    ]
    chosen = strategy()
    assert [chosen.order(candidates)[0].target.provider for _ in range(4)] == first


def test_ties_are_broken_at_random() -> None:
    equal = [Candidate(Target(n, "m")) for n in "abc"]
    for strategy in (LeastBusy(), LowestLatency(), LowestCost(), Weighted()):
        seen = Counter(strategy.order(equal)[0].target.provider for _ in range(3000))
        assert all(850 < seen[n] < 1150 for n in "abc"), (strategy, seen)
