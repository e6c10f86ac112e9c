"""The poller and its snapshots as state machines: any observation in any order, judged by a naive model.

What is checked after every step belongs to properties 3 to 8: when it asks, what it believes, what it says of the
bill, when it is over, and that another process goes on as this one would have.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from resilient_poll.machine import (
    Billing,
    Done,
    Floor,
    Instant,
    Observation,
    Phase,
    Poller,
    Query,
    Refused,
    SleepUntil,
    StatusSeen,
    TaskRecord,
    Throttled,
    Unreachable,
    Unreadable,
    WaitPolicy,
    snapshot,
    task_record,
)
from resilient_poll.machine import poller as poller_module
from tests.oracle.wait import ROUNDING_S, Heard, Wait
from tests.support.machine_strategies import LIFECYCLE, observations, policies
from tests.support.profiles import examples
from tests.support.properties import GENUINE, PLANTED

STEPS = 10
gaps = st.sampled_from([0.0, 0.1, 0.5, 3.0, 20.0, 59.5, 60.0, 119.5, 120.0])


class PollerLife(RuleBasedStateMachine):
    """A poller that hears anything at any time, asked for or not."""

    def __init__(self) -> None:
        super().__init__()
        self.now = Instant(5_000.0, 1_750_000_000.0)
        self.policy = WaitPolicy()
        record = TaskRecord.accepted("task-1", LIFECYCLE, self.now, status="waiting")
        self.poller = Poller(record, LIFECYCLE, self.policy, self.now)
        self.model = Wait(self.now.wall_s, self.now.wall_s + self.policy.timeout_s, limited=self.limits())

    def limits(self) -> dict[str, float]:
        return {phase.value: limit_s for phase, limit_s in self.policy.phase_limits_s.items()}

    @rule(heard=st.lists(st.tuples(gaps, observations), min_size=1, max_size=6))
    def they_are_heard(self, heard: list[tuple[float, Observation]]) -> None:
        for after_s, observation in heard:
            self.now = self.now.later(after_s)
            self.hear(observation)

    @rule(status=st.sampled_from(["who?", "done"]), after=st.lists(gaps, min_size=1, max_size=5))
    def one_thing_is_said_again_and_again(self, status: str, after: list[float]) -> None:
        """Its id is not known, or it succeeded and there is no result."""
        self.they_are_heard([(after_s, StatusSeen(status=status, result_readable=False)) for after_s in after])

    @rule(answers=st.lists(st.tuples(st.sampled_from([0.0, 0.3, 2.0, 40.0]), observations), min_size=1, max_size=6))
    def it_does_as_commanded(self, answers: list[tuple[float, Observation]]) -> None:
        for takes_s, observation in answers:
            command = self.poller.next_command(self.now)
            if isinstance(command, SleepUntil):
                self.now = self.now.later(command.at_s - self.now.monotonic_s)
                command = self.poller.next_command(self.now)
                assert not isinstance(command, SleepUntil), "it was told to wait until now"
            if isinstance(command, Query):
                assert self.now.wall_s + command.timeout_s <= self.model.deadline_s + ROUNDING_S
                self.now = self.now.later(min(takes_s, command.timeout_s))
                self.hear(observation)

    def hear(self, observation: Observation) -> None:
        self.poller.receive(observation, self.now)
        self.model.heard.append(as_heard(observation, self.now.wall_s))
        self.it_stands_where_it_may_stand()
        self.it_does_what_it_may_do()

    @rule(policy=policies)
    def another_wait_begins(self, policy: WaitPolicy) -> None:
        self.policy = replace(policy, start_spread_s=0.0)
        self.poller.begin_wait(self.policy, self.now)
        self.begin_in_the_model()

    def begin_in_the_model(self) -> None:
        model, now_s = self.model, self.now.wall_s
        model.began_s, model.deadline_s = now_s, now_s + self.policy.timeout_s
        model.refused_before, model.limited = len(model.heard), self.limits()
        model.attempt_s = self.policy.attempt_timeout_s

    @invariant()
    def it_stands_where_it_may_stand(self) -> None:
        assert self.poller.phase.value in {state.phase for state in self.model.states()}
        assert self.poller.billing.value in self.model.bills()

    @invariant()
    def it_does_what_it_may_do(self) -> None:
        command, now_s = self.poller.next_command(self.now), self.now.wall_s
        assert command == self.poller.next_command(self.now), "asking changes nothing"
        if isinstance(command, Query):
            assert self.model.may_ask(now_s), (command, self.model)
            assert 0 < command.timeout_s <= self.policy.attempt_timeout_s
        elif isinstance(command, SleepUntil):
            until_s = now_s + command.at_s - self.now.monotonic_s
            assert now_s < until_s
            is_to_the_end = abs(until_s - self.model.limit_s()) <= ROUNDING_S and self.model.may_leave_it()
            assert is_to_the_end or until_s < self.model.deadline_s
            assert is_to_the_end or self.model.may_ask(until_s), (command, self.model)
        else:
            assert isinstance(command, Done)
            assert command.reason.name in self.model.why_over(now_s), (command, self.model)


class SnapshotLife(PollerLife):
    """The same, and now and then another process goes on, whose monotonic clock began somewhere else."""

    @rule(monotonic_s=st.sampled_from([0.0, 7.0, 1e6]), policy=policies)
    def another_process_goes_on(self, monotonic_s: float, policy: WaitPolicy) -> None:
        before = self.poller.record
        kept = json.loads(json.dumps(snapshot.take(before, self.now)))
        spent_s = before.time_per_phase(self.now)
        self.now = Instant(monotonic_s, self.now.wall_s)
        self.policy = replace(policy, start_spread_s=0.0)
        record = snapshot.restore(kept, self.now)
        self.poller = Poller(record, LIFECYCLE, self.policy, self.now)
        self.begin_in_the_model()
        self.model.heard_before = len(self.model.heard)
        assert lasting(record) == lasting(before)
        assert {phase: pytest.approx(seconds, abs=1e-3) for phase, seconds in spent_s.items()} == dict(
            record.time_per_phase(self.now)
        )


def lasting(record: TaskRecord) -> tuple[Any, ...]:
    """What another process must know."""
    return (
        record.task_id, record.seed, record.phase, record.billing, record.status, record.seen, record.has_run,
        record.polls, record.code, record.request_id,
    )  # fmt: skip


def as_heard(observation: Observation, at_s: float) -> Heard:
    """An observation in the words of the model."""
    if isinstance(observation, StatusSeen):
        phase = LIFECYCLE.statuses.get(observation.status, Phase.UNLISTED)
        return Heard(at_s, phase.value, observation.result_readable, observation.retry_after_s)
    hint_s = (
        observation.retry_after_s if isinstance(observation, Throttled | Unreachable | Unreadable | Refused) else None
    )
    return Heard(at_s, hint_s=hint_s, is_refusal=isinstance(observation, Refused))


def run_machine(machine: type[PollerLife], how: settings) -> None:
    run_state_machine_as_test(machine, settings=settings(how, stateful_step_count=STEPS))


# What a snapshot forgets shows only where a process goes on just after it was told: few lives of a hundred.
@pytest.mark.parametrize(("machine", "usual"), [(PollerLife, 100), (SnapshotLife, 400)])
def test_whatever_is_heard_it_believes_and_does_what_it_may(machine: type[PollerLife], usual: int) -> None:
    """Any observations in any order, asked for or not, in one process or in many: it believes what is possible and does
    what is allowed."""
    run_machine(machine, settings(GENUINE, max_examples=examples(usual)))


def asks_at_once(patch: pytest.MonkeyPatch) -> None:
    """What the service asked for is forgotten."""
    patch.setattr(Floor, "raise_to", lambda floor, at_s: None)  # noqa: ARG005  # the fault


def believes_every_end(patch: pytest.MonkeyPatch) -> None:
    """A word about an end is believed although there was another."""
    patch.setattr(task_record, "MOVES", {phase: frozenset(Phase) for phase in Phase})


def cancels_for_nothing(patch: pytest.MonkeyPatch) -> None:
    """What was cancelled costs nothing."""
    genuine = task_record._believed_bill

    def free(record: Any, seen: Any, phase: Phase, lifecycle: Any) -> Billing:
        return Billing.NONE if phase is Phase.CANCELED else genuine(record, seen, phase, lifecycle)

    patch.setattr(task_record, "_believed_bill", free)


def goes_on_after_never(patch: pytest.MonkeyPatch) -> None:
    """A refusal is a failure like others."""
    patch.setattr(Poller, "_on_refusal", lambda *_: ())


def asks_for_ever(patch: pytest.MonkeyPatch) -> None:
    """A success without its result is asked about for as long as the wait lasts."""
    patch.setattr(poller_module, "RESULT_REFETCHES", 10**6)


def loses_patience(patch: pytest.MonkeyPatch) -> None:
    """An id that is not known is given up a second too early."""
    genuine = Poller._patience_is_over
    patch.setattr(Poller, "_patience_is_over", lambda self, now: genuine(self, now.later(1.0)))


@pytest.mark.thorough(plain=2)
@pytest.mark.parametrize(
    "plant",
    [asks_at_once, believes_every_end, cancels_for_nothing, goes_on_after_never, asks_for_ever, loses_patience],
    ids=lambda plant: plant.__name__,
)
def test_a_planted_fault_is_caught(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the faults makes the machine fail."""
    plant(monkeypatch)
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_machine(PollerLife, PLANTED)


def a_hint(kept: dict[str, Any]) -> dict[str, Any]:
    """What the service asked for is not in the snapshot."""
    return {**kept, "not_before": None}


def a_bill(kept: dict[str, Any]) -> dict[str, Any]:
    """What may be owed is made anew from the phase."""
    return {**kept, "billing": LIFECYCLE.billing_of(Phase(kept["phase"])).value}


def a_run(kept: dict[str, Any]) -> dict[str, Any]:
    """That it ran is not in the snapshot."""
    return {**kept, "has_run": False}


def test_a_shorter_hint_takes_nothing_back() -> None:
    """What came late, or out of order, does not make another process ask sooner than was asked for before."""
    now = Instant(100.0, 1_750_000_000.0)
    poller = Poller(TaskRecord.accepted("task-1", LIFECYCLE, now), LIFECYCLE, WaitPolicy(), now)
    for hint_s in (120.0, 5.0):
        poller.receive(Throttled(retry_after_s=hint_s), now)
    restored = snapshot.restore(snapshot.take(poller.record, now), now)
    assert restored.not_before == now.later(120.0)


@pytest.mark.thorough(plain=1)
@pytest.mark.parametrize("forget", [a_hint, a_bill, a_run], ids=lambda forget: forget.__name__)
def test_a_snapshot_that_forgets_is_caught(
    forget: Callable[[dict[str, Any]], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot without what another process must know makes the machine fail."""
    genuine = snapshot.take
    monkeypatch.setattr(snapshot, "take", lambda record, now: forget(genuine(record, now)))
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_machine(SnapshotLife, PLANTED)
