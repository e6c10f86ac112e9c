"""The breaker against a naive model, and the few calls that it lets through while it finds out."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from resilient_poll import BreakerPolicy, BreakerState, ConfigurationError
from resilient_poll.transports.rules import breaker as rules
from resilient_poll.transports.rules.breaker import Admitted, Breaker, CallResult, Move, Rejected, judge_call
from tests.oracle import breaker as naive
from tests.support.profiles import examples
from tests.support.properties import GENUINE, PLANTED

POLICY = BreakerPolicy(
    failure_share=0.5, slow_share=0.75, slow_call_s=1.0, least_calls=4, window_s=10.0, open_s=5.0, probes=2
)
RULES = naive.Rules(**asdict(POLICY))
WITHOUT_SENSE: list[dict[str, float]] = [
    {"probes": 0},
    {"failure_share": 0},
    {"open_s": -1},
    {"slow_call_s": 0},
    {"least_calls": 1.5},
]


class Machine(RuleBasedStateMachine):
    """Calls begin, end late or never, and time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.breaker = Breaker(POLICY)
        self.naive = naive.Breaker(RULES)
        self.out: list[Admitted] = []

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.0, 4.9, 5.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(count=st.integers(1, 4))
    def calls_begin(self, count: int) -> None:
        for _ in range(count):
            answer, _ = self.breaker.admit(self.now_s)
            expected = self.naive.admit(self.now_s)
            assert (answer.generation if isinstance(answer, Admitted) else None) == expected
            if isinstance(answer, Admitted):
                self.out.append(answer)
            else:
                assert isinstance(answer, Rejected)
                assert 0 <= answer.come_back_in_s <= POLICY.open_s

    @rule(which=st.integers(0, 50), result=st.sampled_from(CallResult))
    def a_call_ends(self, which: int, result: CallResult) -> None:
        if self.out:
            admitted = self.out.pop(which % len(self.out))
            self.breaker.note(admitted, result, self.now_s)
            self.naive.note(admitted.generation, result.value, self.now_s)

    @rule(result=st.sampled_from([CallResult.FAILED, CallResult.FAILED, CallResult.WELL, CallResult.SLOW]))
    def all_end(self, result: CallResult) -> None:
        while self.out:
            self.a_call_ends(0, result)

    @invariant()
    def they_agree(self) -> None:
        assert self.breaker.state.value == self.naive.state
        assert self.breaker.generation == self.naive.generation


def run_machine(how: settings) -> None:
    run_state_machine_as_test(Machine, settings=settings(how, stateful_step_count=40))


def test_the_breaker_is_what_the_naive_model_is() -> None:
    """Whatever calls do and however late they end, the breaker admits and moves as a model that recounts everything."""
    run_machine(settings(GENUINE, max_examples=examples(60)))


def test_a_late_result_that_counts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A breaker that believes results of an older generation is caught."""
    genuine = Breaker.note

    def believes(self: Breaker, admitted: Admitted, result: CallResult, now_s: float) -> object:
        del admitted
        return genuine(self, Admitted(self.generation), result, now_s)

    monkeypatch.setattr(rules.Breaker, "note", believes)
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_machine(PLANTED)


def test_a_window_takes_the_same_memory_however_many_calls_there_are() -> None:
    """A window is counted in ten slices, however many calls are counted in each."""
    breaker = Breaker(BreakerPolicy(window_s=10.0))
    for step in range(3000):
        admitted, _ = breaker.admit(step / 100)
        assert isinstance(admitted, Admitted)
        breaker.note(admitted, CallResult.WELL, step / 100)
    assert len(breaker._slices) == 10


def test_half_open_admits_a_stated_few() -> None:
    """Of a hundred calls that come at once when the time is up, two pass where two probes are stated."""
    breaker = opened()
    answers = [breaker.admit(6.0)[0] for _ in range(100)]
    assert [isinstance(answer, Admitted) for answer in answers] == [True] * 2 + [False] * 98


def test_probes_that_never_come_back_keep_nobody_out_for_ever() -> None:
    """After as long as it stays open, probes that nobody heard of are replaced, and count no more."""
    breaker = opened()
    lost = [breaker.admit(6.0)[0] for _ in range(2)]
    assert isinstance(breaker.admit(10.9)[0], Rejected)
    assert isinstance(breaker.admit(11.0)[0], Admitted)
    assert isinstance(lost[0], Admitted)
    breaker.note(lost[0], CallResult.FAILED, 11.0)
    assert breaker.state is BreakerState.HALF_OPEN


def test_each_move_says_why() -> None:
    """Each move tells where the breaker was and is, and the reason that a human looks for."""
    breaker = opened()
    admitted, move = breaker.admit(6.0)
    assert move == Move(BreakerState.OPEN, BreakerState.HALF_OPEN, "time is up")
    assert breaker.admit(6.0)[1] is None
    _, move = breaker.admit(11.0)
    assert move == Move(BreakerState.HALF_OPEN, BreakerState.HALF_OPEN, "its probes never came back")
    assert isinstance(admitted, Admitted)
    assert breaker.note(admitted, CallResult.FAILED, 11.0) is None, "it is of an older generation"


def test_a_place_for_a_probe_waits_for_whoever_comes() -> None:
    """A half-open breaker that nobody asked for long keeps its other places, and the probe that is out counts still."""
    breaker = opened()
    first, _ = breaker.admit(6.0)
    second, move = breaker.admit(60.0)
    assert move is None
    assert isinstance(first, Admitted)
    assert isinstance(second, Admitted)
    assert breaker.note(first, CallResult.WELL, 61.0) is None
    assert breaker.note(second, CallResult.WELL, 61.0) == Move(
        BreakerState.HALF_OPEN, BreakerState.CLOSED, "all probes were well"
    )


def opened() -> Breaker:
    breaker = Breaker(POLICY)
    for _ in range(4):
        admitted, _ = breaker.admit(1.0)
        assert isinstance(admitted, Admitted)
        breaker.note(admitted, CallResult.FAILED, 1.0)
    assert breaker.state is BreakerState.OPEN
    return breaker


@pytest.mark.parametrize(
    ("status", "took_s", "result"),
    [
        (200, 0.1, CallResult.WELL),
        (404, 0.1, CallResult.WELL),
        (402, 0.1, CallResult.WELL),
        (429, 9.0, CallResult.NOTHING),
        (500, 0.1, CallResult.FAILED),
        (503, 9.0, CallResult.FAILED),
        (200, 1.0, CallResult.SLOW),
        (None, 0.1, CallResult.FAILED),
    ],
)
def test_what_a_call_says_of_the_server(status: int | None, took_s: float, result: CallResult) -> None:
    """A server is not well if it fails or is slow; a 429 says nothing, and other refusals that it works."""
    assert judge_call(status, took_s, POLICY) is result


@pytest.mark.parametrize("wrong", WITHOUT_SENSE)
def test_a_policy_without_sense_is_refused(wrong: dict[str, float]) -> None:
    """A setting that makes no sense is refused where it is made."""
    with pytest.raises(ConfigurationError):
        BreakerPolicy(**wrong)  # type: ignore[arg-type]  # that is the point
