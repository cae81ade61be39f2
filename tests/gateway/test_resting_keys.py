"""Keys and targets that are left alone for a while, on a clock of the test's own."""

from __future__ import annotations

import pytest

from headgate_core.errors import UpstreamCredentialsExhausted
from headgate_gateway.credentials import PROBE_S, TAKES_BETWEEN, Credentials
from headgate_gateway.resting import Rest


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(keys: Credentials, times: int, model: str) -> set[int | None]:
    """The keys of so many calls, which nobody answers."""
    return {keys.take(model) for _ in range(times)}


@pytest.mark.parametrize(
    ("told_s", "lasts_s"), [(30.0, 30.0), (0.01, 1.0), (0.0, 1.0), (1e9, 3600.0)]
)
def test_a_rest_is_as_long_as_the_provider_says_within_reason(
    clock: Clock, told_s: float, lasts_s: float
) -> None:
    rest = Rest(clock)
    rest.begin(429, told_s)
    clock.now = lasts_s - 0.001
    assert (rest.state, rest.allows()) == ("resting", False)
    clock.now = lasts_s
    assert (rest.state, rest.allows()) == ("half_open", True)


def test_rests_that_nobody_has_set_an_end_to_become_longer(clock: Clock) -> None:
    rest, lengths = Rest(clock), []
    for _ in range(7):
        rest.begin(429)
        lengths.append(rest.left_s)
        clock.now += rest.left_s
    assert lengths == [1, 2, 4, 8, 16, 30, 30]
    rest.answered(rest.sent() + 0.001)
    rest.begin(429)
    assert rest.left_s == 1


def test_many_answers_to_calls_under_way_are_one_rest(clock: Clock) -> None:
    rest = Rest(clock)
    assert rest.begin(429)
    assert not any(rest.begin(429) for _ in range(50))
    assert rest.left_s == 1


def test_one_call_a_second_tries_what_has_rested_though_it_never_ends(clock: Clock) -> None:
    rest = Rest(clock)
    rest.begin(429, 5)
    clock.now = 5
    rest.sent()
    assert not rest.allows(), "a second call at the same moment"
    clock.now = 6
    assert rest.allows(), "a call that hangs keeps the target out for ever"


def test_an_answer_to_a_call_from_before_the_rest_does_not_end_it(clock: Clock) -> None:
    rest = Rest(clock)
    sent_at = rest.sent()
    clock.now = 1
    rest.begin(429, 30)
    rest.answered(sent_at)
    assert rest.left_s == 30
    clock.now = 2
    rest.answered(rest.sent())
    assert rest.state == "none"


@pytest.mark.parametrize("status", [429, 403])
def test_a_limit_of_one_model_leaves_the_key_to_the_other_models(clock: Clock, status: int) -> None:
    keys = Credentials(["one", "two"], clock)
    assert keys.set_aside(0, status, 30, "big")
    assert taken(keys, 6, "big") == {1}
    assert taken(keys, 6, "small") == {0, 1}


@pytest.mark.parametrize("status", [401, 402])
def test_a_dead_key_rests_for_all_models(clock: Clock, status: int) -> None:
    keys = Credentials(["one", "two"], clock)
    assert keys.set_aside(0, status, None, "big")
    assert taken(keys, 6, "small") == {1}


def test_the_only_key_is_used_though_it_is_throttled_or_may_not_use_the_model(
    clock: Clock,
) -> None:
    keys = Credentials(["one"], clock)
    for status in (429, 403):
        assert not keys.set_aside(0, status, None, "big")
        assert taken(keys, 3, "big") == {0}


def test_dead_keys_are_tried_now_and_then_until_one_is_mended(clock: Clock) -> None:
    keys = Credentials(["one"], clock)
    keys.set_aside(0, 401, None, "big")
    with pytest.raises(UpstreamCredentialsExhausted) as refused:
        keys.take("small")
    assert refused.value.rests_s == 300
    clock.now = PROBE_S
    assert keys.take("small") == 0
    with pytest.raises(UpstreamCredentialsExhausted):
        keys.take("big")
    clock.now += 0.5
    keys.answered(0, "small", clock.now - 0.4)
    assert keys.take("big") == 0


def test_a_key_that_rested_is_tried_by_few_calls_while_another_one_works(clock: Clock) -> None:
    keys = Credentials(["one", "two"], clock)
    keys.set_aside(0, 429, 1, "big")
    tries = 0
    for _ in range(20 * TAKES_BETWEEN):
        clock.now += 0.2
        if keys.take("big") == 0:
            tries += 1
            assert keys.set_aside(0, 429, 1, "big")
    assert 15 <= tries <= 20
    clock.now += 1000
    assert keys.take("big") == 0, "few calls, and none of them has tried for long"


def test_after_its_rest_a_key_has_its_share_again(clock: Clock) -> None:
    keys = Credentials(["one", "two"], clock)
    keys.set_aside(0, 429, 5, "big")
    clock.now = 6
    assert 0 in taken(keys, 1 + TAKES_BETWEEN, "big")
    keys.answered(0, "big", clock.now)
    assert [keys.take("big") for _ in range(4)].count(0) == 2


def test_the_pool_of_keys_says_when_the_first_one_is_free(clock: Clock) -> None:
    keys = Credentials(["one", "two"], clock)
    assert keys.rests_s("big") == 0
    keys.set_aside(0, 429, 30, "big")
    clock.now = 10
    assert not keys.set_aside(1, 429, 30, "big")
    assert keys.rests_s("big") == 20
    assert Credentials([], clock).rests_s("big") is None
