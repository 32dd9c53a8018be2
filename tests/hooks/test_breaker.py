from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from llmspell.errors import InvalidInput
from llmspell.hooks import CONSERVATIVE, PRODUCTION, BreakerConfig
from llmspell.hooks.breaker import REFUSED, Breaker

SECOND = 1_000_000_000
CONFIG = BreakerConfig(failures=3, window_s=30, open_s=15, successes_to_close=2, slow_ms=50, slow_calls=2)
QUICK, SLOW = 1_000_000, 60_000_000


class Time:
    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


def opened(time):
    breaker = Breaker(CONFIG, time)
    for _ in range(3):
        breaker.failed(breaker.admit())
    assert breaker.state == "open"
    return breaker


def test_failures_inside_the_window_open_it_and_older_ones_do_not_count():
    time = Time()
    breaker = Breaker(CONFIG, time)
    for _ in range(10):
        breaker.failed(breaker.admit())
        time.now += 15 * SECOND  # the third failure is always 30 s after the first
    assert breaker.state == "closed"
    breaker.failed(breaker.admit())
    time.now += 1
    breaker.failed(breaker.admit())
    assert breaker.state == "open"


def test_slow_calls_open_it_and_quick_ones_do_not():
    time = Time()
    breaker = Breaker(CONFIG, time)
    for _ in range(50):
        breaker.passed(breaker.admit(), QUICK)
    breaker.passed(breaker.admit(), SLOW)
    assert breaker.state == "closed"
    breaker.passed(breaker.admit(), SLOW)
    assert breaker.state == "open"


def test_slow_calls_do_not_count_when_told_so():
    breaker = Breaker(BreakerConfig(slow_calls=None), Time())
    for _ in range(50):
        breaker.passed(breaker.admit(), 10**12)
    assert breaker.state == "closed"


def test_open_refuses_until_the_time_is_over_then_lets_one_probe_through():
    time = Time()
    breaker = opened(time)
    time.now += 15 * SECOND - 1
    assert breaker.admit() == REFUSED
    time.now += 1
    assert breaker.state == "half-open"
    probe = breaker.admit()
    assert probe != REFUSED
    assert [breaker.admit() for _ in range(5)] == [REFUSED] * 5
    breaker.passed(probe, QUICK)
    assert breaker.admit() != REFUSED


def test_enough_good_probes_close_it_with_a_clean_slate():
    time = Time()
    breaker = opened(time)
    time.now += 15 * SECOND
    for _ in range(2):
        assert breaker.state == "half-open"
        breaker.passed(breaker.admit(), QUICK)
    assert breaker.state == "closed"
    for _ in range(2):
        breaker.failed(breaker.admit())
    assert breaker.state == "closed"


@pytest.mark.parametrize("bad", [lambda b, t: b.failed(t), lambda b, t: b.passed(t, SLOW)], ids=["failed", "slow"])
def test_a_bad_probe_opens_it_for_the_whole_time_again(bad):
    time = Time()
    breaker = opened(time)
    time.now += 15 * SECOND
    breaker.passed(breaker.admit(), QUICK)
    bad(breaker, breaker.admit())
    assert breaker.state == "open"
    time.now += 15 * SECOND
    breaker.passed(breaker.admit(), QUICK)
    assert breaker.state == "half-open"


def test_a_withdrawn_probe_frees_its_place():
    time = Time()
    breaker = opened(time)
    time.now += 15 * SECOND
    breaker.withdrawn(breaker.admit())
    assert breaker.admit() != REFUSED


def test_calls_that_began_before_it_opened_say_nothing_about_the_time_after():
    time = Time()
    breaker = Breaker(CONFIG, time)
    early = [breaker.admit() for _ in range(6)]
    for ticket in early[:3]:
        breaker.failed(ticket)
    time.now += 15 * SECOND
    breaker.passed(early[3], QUICK)
    breaker.passed(early[4], QUICK)
    assert breaker.state == "half-open"
    breaker.failed(early[5])
    assert breaker.state == "half-open"


@pytest.mark.parametrize(
    "wrong",
    [
        {"failures": 0},
        {"failures": True},
        {"failures": 1001},
        {"slow_calls": 0},
        {"successes_to_close": None},
        {"window_s": 0},
        {"open_s": -1},
        {"open_s": float("nan")},
        {"window_s": float("inf")},
        {"slow_ms": "50"},
    ],
)
def test_a_configuration_out_of_range_is_refused(wrong):
    with pytest.raises(InvalidInput) as caught:
        BreakerConfig(**wrong)
    assert caught.value.code == "invalid-breaker"


def test_the_presets_are_valid_and_differ():
    assert PRODUCTION.failures < BreakerConfig().failures < CONSERVATIVE.failures


class Model(RuleBasedStateMachine):
    """A second breaker written from the rules alone, with lists instead of rings and no tickets."""

    tickets = Bundle("tickets")

    def __init__(self):
        super().__init__()
        self.time = Time()
        self.breaker = Breaker(CONFIG, self.time)
        self.bad: list[int] = []
        self.slow: list[int] = []
        self.opened_at: int | None = None
        self.good = 0
        self.period = 0
        self.probes = 0

    @rule(target=tickets)
    def call(self):
        ticket = self.breaker.admit()
        if self.opened_at is None:
            assert ticket != REFUSED
        elif self.time.now - self.opened_at < 15 * SECOND or self.probes:
            assert ticket == REFUSED
        else:
            assert ticket != REFUSED
            self.probes += 1
        return (ticket, self.period)

    @rule(ticket=consumes(tickets), end=st.sampled_from(["quick", "slow", "failed", "withdrawn"]))
    def end(self, ticket, end):
        number, period = ticket
        if number == REFUSED:
            return
        if end == "failed":
            self.breaker.failed(number)
        elif end == "withdrawn":
            self.breaker.withdrawn(number)
        else:
            self.breaker.passed(number, QUICK if end == "quick" else SLOW)
        if period == self.period:
            self.note(end)

    def note(self, end):
        now = self.time.now
        if self.opened_at is not None:
            self.probes -= 1
            if end == "quick":
                self.good += 1
                if self.good == 2:
                    self.turn(None)
            elif end != "withdrawn":
                self.turn(now)
            return
        for times, what, most in ((self.bad, "failed", 3), (self.slow, "slow", 2)):
            if end == what:
                times.append(now)
                if len([then for then in times if now - then < 30 * SECOND]) >= most:
                    self.turn(now)
                    return

    def turn(self, opened_at):
        self.opened_at = opened_at
        self.bad, self.slow, self.good, self.probes = [], [], 0, 0
        self.period += 1

    @rule(seconds=st.sampled_from([0, 1, 5, 14.999, 15, 29.999, 30, 31]))
    def wait(self, seconds):
        self.time.now += round(seconds * SECOND)

    @precondition(lambda self: self.opened_at is not None)
    @rule()
    def cool(self):
        self.time.now += 15 * SECOND

    @invariant()
    def same_state(self):
        if self.opened_at is None:
            expected = "closed"
        else:
            expected = "half-open" if self.time.now - self.opened_at >= 15 * SECOND else "open"
        assert self.breaker.state == expected


TestAgainstTheRules = Model.TestCase
TestAgainstTheRules.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
