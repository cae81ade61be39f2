"""The strategy ``least_busy``: the less busy of two targets drawn at random."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from headgate_core.ports import Candidate, Target
from headgate_gateway.routing.strategies.least_busy import LeastBusy


def target(name: str, in_flight: int, weight: float = 1.0) -> Candidate:
    return Candidate(Target(name, "m", weight), in_flight)


def firsts(candidates: list[Candidate], calls: int = 6000) -> Counter[str]:
    strategy = LeastBusy()
    return Counter(strategy.order(candidates)[0].target.provider for _ in range(calls))


def test_of_two_targets_the_less_busy_one_gets_every_call() -> None:
    assert firsts([target("a", 3), target("b", 2)]) == {"b": 6000}


def test_the_busiest_target_gets_no_call_while_others_are_less_busy() -> None:
    assert firsts([target("a", 2), target("b", 1), target("c", 3)])["c"] == 0


def test_a_target_that_is_never_busy_because_it_fails_at_once_does_not_get_every_call() -> None:
    """It is one of the two drawn in two of four draws."""
    seen = firsts([target("dead", 0), *(target(n, 4) for n in "abc")])
    assert 2850 < seen["dead"] < 3150


def test_load_is_counted_for_the_weight() -> None:
    assert firsts([target("large", 3, weight=4), target("small", 1)]) == {"large": 6000}


def test_equals_are_drawn_by_weight() -> None:
    seen = firsts([target("large", 0, weight=3), target("small", 0)])
    assert 4350 < seen["large"] < 4650


@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_target_stands_in_the_order_once(size: int) -> None:
    candidates = [target(str(n), random.randrange(4)) for n in range(size)]
    for _ in range(100):
        ordered = LeastBusy().order(candidates)
        assert sorted(c.target.provider for c in ordered) == sorted(map(str, range(size)))


def test_targets_of_one_speed_stay_close_to_each_other_in_load() -> None:
    """With the busier of two never chosen, a queue that is far longer than the others cannot
    arise (Mitzenmacher, 2001); random choice alone spreads several times as wide."""
    random.seed(7)
    strategy, load = LeastBusy(), dict.fromkeys("abcdefgh", 0)
    for _ in range(8000):
        chosen = strategy.order([target(n, load[n]) for n in load])[0].target.provider
        load[chosen] += 1
    assert max(load.values()) - min(load.values()) <= 8
