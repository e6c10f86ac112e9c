"""A wait's own rules, beside the properties."""

from __future__ import annotations

import math

import pytest

from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.events import AttemptFailed, HintIgnored, PhaseChanged
from resilient_poll.machine import (
    Accepted,
    Billing,
    Done,
    DoneReason,
    Fixed,
    Instant,
    Linear,
    Observation,
    Phase,
    Poller,
    Query,
    Refused,
    SleepReason,
    SleepUntil,
    StatusSeen,
    TaskRecord,
    Throttled,
    Unreachable,
    WaitPolicy,
)
from tests.support.machine_strategies import LIFECYCLE, Reply
from tests.support.polling_world import new_poller, watch


def begun(policy: WaitPolicy | None = None) -> tuple[Poller, VirtualClock]:
    clock = VirtualClock()
    return new_poller(policy or WaitPolicy(), clock), clock


def repeated(observation: Observation, policy: WaitPolicy) -> tuple[Poller, Done | None, list[float]]:
    poller, clock = begun(policy)
    seen = watch(poller, [Reply(0.0, observation)], clock)
    return poller, seen.done, seen.asked_s


def test_the_first_poll_comes_after_one_interval() -> None:
    """A task that was accepted just now is asked about after the first pause, and then at each interval."""
    _, _, asked_s = repeated(StatusSeen(status="working"), WaitPolicy(timeout_s=20.0))
    assert asked_s == [3.0, 6.0, 9.0, 12.0, 15.0, 18.0]


def test_a_task_picked_up_by_its_id_is_asked_about_at_once() -> None:
    """Whoever resumes wants to know now."""
    now = VirtualClock().now()
    poller = Poller(TaskRecord.known_by_id("t", now), LIFECYCLE, WaitPolicy(), now)
    assert isinstance(poller.next_command(now), Query)
    assert poller.billing is Billing.UNDETERMINED


def test_asking_changes_nothing() -> None:
    """The next command may be asked for twice: the answer is the same."""
    poller, clock = begun()
    assert poller.next_command(clock.now()) == poller.next_command(clock.now()) == SleepUntil(3.0, SleepReason.SCHEDULE)


def test_a_schedule_that_grows() -> None:
    """A linear schedule is followed from poll to poll."""
    _, _, asked_s = repeated(StatusSeen(status="working"), WaitPolicy(timeout_s=30.0, schedule=Linear(1.0, 2.0, 5.0)))
    assert asked_s == [1.0, 4.0, 9.0, 14.0, 19.0, 24.0, 28.0]


def test_an_absolute_deadline_holds() -> None:
    """Of a timeout and a deadline the earlier holds."""
    clock = VirtualClock()
    deadline = clock.now().wall_s + 10.0
    poller = new_poller(WaitPolicy(timeout_s=300.0, deadline_wall_s=deadline), clock)
    seen = watch(poller, [Reply(0.0, StatusSeen(status="working"))], clock)
    assert seen.done == Done(DoneReason.DEADLINE)
    assert seen.asked_s[-1] == pytest.approx(9.0)


def test_a_deadline_in_the_past_asks_nothing() -> None:
    """A wait whose deadline has passed is over before it asks."""
    clock = VirtualClock()
    poller = new_poller(WaitPolicy(deadline_wall_s=1.0), clock)
    assert poller.next_command(clock.now()) == Done(DoneReason.DEADLINE)


def test_a_phase_limit_ends_the_wait_only() -> None:
    """A task that stays too long in a phase ends the wait, after one last look, and keeps its phase and bill."""
    policy = WaitPolicy(phase_limits_s={Phase.QUEUED: 10.0})
    poller, done, asked_s = repeated(StatusSeen(status="waiting"), policy)
    assert done == Done(DoneReason.PHASE_LIMIT)
    assert asked_s == [3.0, 6.0, 9.0]
    assert (poller.phase, poller.billing) == (Phase.QUEUED, Billing.NOT_YET)


def test_the_error_budget_by_number() -> None:
    """So many failures in a row end the wait, and the task stays as it was."""
    poller, done, asked_s = repeated(Unreachable(reason="HTTP 502"), WaitPolicy(max_failures_in_a_row=4))
    assert done == Done(DoneReason.ERROR_BUDGET)
    assert len(asked_s) == 4
    assert poller.phase is Phase.QUEUED


def test_the_error_budget_by_time() -> None:
    """So long without a success ends the wait."""
    _, done, asked_s = repeated(Unreachable(reason="HTTP 502"), WaitPolicy(max_failing_s=30.0))
    assert done == Done(DoneReason.ERROR_BUDGET)
    assert asked_s[-1] - asked_s[0] >= 30.0
    assert asked_s[-2] - asked_s[0] < 30.0


def test_throttles_spend_no_error_budget() -> None:
    """A service that throttles is healthy, so throttles never exhaust the budget, and reset it."""
    poller, clock = begun(WaitPolicy(max_failures_in_a_row=2))
    for observation in (Unreachable(reason="x"), Throttled(), Throttled(), Unreachable(reason="x"), Throttled()):
        poller.receive(observation, clock.now())
    assert not isinstance(poller.next_command(clock.now()), Done)
    poller.receive(Unreachable(reason="x"), clock.now())
    poller.receive(Unreachable(reason="x"), clock.now())
    assert poller.next_command(clock.now()) == Done(DoneReason.ERROR_BUDGET)


def test_a_hint_beyond_the_deadline_ends_the_wait_at_once() -> None:
    """A Retry-After that the wait cannot sit out ends it now, with the time to come back."""
    poller, clock = begun(WaitPolicy(timeout_s=20.0))
    clock.advance(3.0)
    poller.receive(Throttled(retry_after_s=60.0), clock.now())
    assert poller.next_command(clock.now()) == Done(DoneReason.COME_BACK_LATER, 63.0)


def test_a_hint_on_a_server_error_is_a_floor_too() -> None:
    """Retry-After on a 503 is obeyed as on a 429."""
    poller, clock = begun()
    poller.receive(Unreachable(reason="HTTP 503", retry_after_s=50.0), clock.now())
    assert poller.next_command(clock.now()) == SleepUntil(50.0, SleepReason.SERVER)


def test_after_a_failure_the_reason_to_sleep_is_backoff() -> None:
    """After a failure the machine says that it backs off, and spreads the pause."""
    poller, clock = begun()
    (event, *_) = poller.receive(Unreachable(reason="HTTP 502", retry_after_ignored="junk"), clock.now())
    assert event == HintIgnored("task-1", 0.0, "junk")
    command = poller.next_command(clock.now())
    assert isinstance(command, SleepUntil)
    assert command.reason is SleepReason.BACKOFF
    assert 2.25 <= command.at_s <= 3.75
    assert command.at_s != 3.0


def test_jitter_is_for_failures_only() -> None:
    """A healthy poll is never spread: each comes exactly one interval after the last answer."""
    _, _, asked_s = repeated(StatusSeen(status="working"), WaitPolicy(timeout_s=100.0, schedule=Fixed(7.0)))
    assert asked_s[:5] == [7.0, 14.0, 21.0, 28.0, 35.0]


def test_simultaneous_starts_are_spread() -> None:
    """With a spread, tasks that start together are asked about at different times within it."""
    now = VirtualClock().now()
    firsts = set()
    for number in range(20):
        record = TaskRecord.accepted(f"task-{number}", LIFECYCLE, now)
        command = Poller(record, LIFECYCLE, WaitPolicy(start_spread_s=5.0), now).next_command(now)
        assert isinstance(command, SleepUntil)
        assert 3.0 <= command.at_s < 8.0
        firsts.add(command.at_s)
    assert len(firsts) == 20


def test_an_unknown_id_that_was_never_seen_expires_after_a_minute() -> None:
    """60 s of "no such id" make a task that no poll ever saw EXPIRED."""
    poller, done, asked_s = repeated(StatusSeen(status="who?"), WaitPolicy())
    assert done == Done(DoneReason.ENDED)
    assert poller.phase is Phase.EXPIRED
    assert asked_s[-1] - asked_s[0] == pytest.approx(60.0)


def test_an_unknown_id_that_was_seen_gets_two_minutes() -> None:
    """120 s of "no such id" make a task that was seen before EXPIRED."""
    poller, clock = begun()
    world = [Reply(0.0, StatusSeen(status="working")), Reply(0.0, StatusSeen(status="who?"))]
    seen = watch(poller, world, clock)
    assert poller.phase is Phase.EXPIRED
    assert seen.asked_s[-1] - seen.asked_s[1] == pytest.approx(120.0)


def test_age_shortens_patience_but_replaces_no_query() -> None:
    """Beyond the retention one answer "no such id" is enough, and without an answer nothing is concluded."""
    from dataclasses import replace  # noqa: PLC0415  # only here

    lifecycle = replace(LIFECYCLE, retention_s=100.0)
    clock = VirtualClock()
    record = TaskRecord.accepted("t", lifecycle, clock.now())
    clock.advance(101.0)
    poller = Poller(record, lifecycle, WaitPolicy(), clock.now())
    assert isinstance(poller.next_command(clock.now()), Query)
    poller.receive(Unreachable(reason="x"), clock.now())
    assert poller.phase is Phase.QUEUED
    poller.receive(StatusSeen(status="who?"), clock.now())
    assert poller.phase is Phase.EXPIRED


def test_a_success_without_a_result_is_asked_about_three_times_more() -> None:
    """A success that lacks its result is fetched again three times; then it is over, and billed."""
    poller, done, asked_s = repeated(StatusSeen(status="done", result_readable=False), WaitPolicy())
    assert done == Done(DoneReason.ENDED)
    assert len(asked_s) == 1 + 3
    assert poller.billing is Billing.BILLED
    assert not poller.record.result_readable


def test_a_poorer_answer_does_not_take_a_result_away() -> None:
    """A result that could be read once stays, whatever is heard later."""
    poller, clock = begun()
    poller.receive(StatusSeen(status="done", result="the result"), clock.now())
    poller.receive(StatusSeen(status="done", result="nothing", result_readable=False), clock.now())
    assert (poller.record.result, poller.record.result_readable) == ("the result", True)


def test_a_new_wait_forgets_the_old_deadline_and_keeps_the_floors() -> None:
    """A second wait starts afresh, but not sooner than half a second after the last answer."""
    poller, clock = begun(WaitPolicy(timeout_s=4.0))
    watch(poller, [Reply(0.0, StatusSeen(status="working"))], clock)
    poller.begin_wait(WaitPolicy(timeout_s=100.0, schedule=Fixed(0.0)), clock.now())
    command = poller.next_command(clock.now())
    assert isinstance(command, SleepUntil)
    assert command.at_s == pytest.approx(clock.now().monotonic_s + 0.5)


def test_a_wait_that_is_over_stays_so() -> None:
    """A status that comes late, after a refusal has ended the wait, is taken in and begins no asking again."""
    poller, clock = begun()
    poller.receive(Refused(http_status=401), clock.now())
    poller.receive(StatusSeen(status="working"), clock.now())
    assert poller.phase is Phase.RUNNING
    assert poller.next_command(clock.now()) == Done(DoneReason.POLL_REFUSED)


def test_a_refusal_is_forgotten_by_the_next_wait() -> None:
    """A key that was mended can poll again."""
    poller, clock = begun()
    poller.receive(Refused(http_status=401), clock.now())
    assert poller.next_command(clock.now()) == Done(DoneReason.POLL_REFUSED)
    clock.advance(1.0)
    poller.begin_wait(WaitPolicy(), clock.now())
    assert isinstance(poller.next_command(clock.now()), Query)


def test_the_first_status_of_an_acceptance_counts() -> None:
    """A task that is running when it is accepted is running; an end is not believed from an acceptance."""
    now = VirtualClock().now()
    running = TaskRecord.accepted("t", LIFECYCLE, now, status="working")
    assert (running.phase, running.billing, running.seen) == (Phase.RUNNING, Billing.ON_SUCCESS, False)
    assert TaskRecord.accepted("t", LIFECYCLE, now, status="done").phase is Phase.QUEUED
    assert TaskRecord.accepted("t", LIFECYCLE, now, status="novel").phase is Phase.UNLISTED


def test_time_per_phase_adds_up() -> None:
    """The seconds in each phase add up to the task's age, and stop at its end."""
    poller, clock = begun()
    for word, seconds in (("waiting", 2.0), ("working", 3.0), ("who?", 4.0), ("working", 5.0)):
        poller.receive(StatusSeen(status=word), clock.now())
        clock.advance(seconds)
    poller.receive(StatusSeen(status="done"), clock.now())
    clock.advance(50.0)
    spent = poller.record.time_per_phase(clock.now())
    assert spent == {Phase.QUEUED: 2.0, Phase.RUNNING: 8.0, Phase.UNRECOGNIZED: 4.0}


def test_events_are_told_in_order() -> None:
    """A change of phase and a failed attempt are each told with when they happened."""
    poller, clock = begun()
    clock.advance(3.0)
    events = poller.receive(StatusSeen(status="working"), clock.now())
    assert events[0] == PhaseChanged("task-1", 3.0, Phase.QUEUED, Phase.RUNNING, "working")
    clock.advance(3.0)
    assert poller.receive(Unreachable(reason="x"), clock.now()) == (AttemptFailed("task-1", 6.0, "x", 1),)


def test_a_submits_observation_is_refused() -> None:
    """A poller that is handed a submit's observation says so."""
    poller, clock = begun()
    with pytest.raises(TypeError, match="belongs to a submit"):
        poller.receive(Accepted(task_id="t"), clock.now())


def test_an_instant_finds_wall_times() -> None:
    """A wall time is found on the monotonic scale of the instant that asks."""
    moment = Instant(10.0, 1000.0).at_wall(1004.5)
    assert math.isclose(moment.monotonic_s, 14.5)


def test_a_later_wait_asks_again_after_a_phase_limit() -> None:
    """A limit counts within one wait, so the next one asks, and sees what came of the task."""
    poller, clock = begun()
    first = watch(poller, [Reply(0.0, StatusSeen(status="novel"))], clock)
    assert first.done == Done(DoneReason.PHASE_LIMIT)
    poller.begin_wait(WaitPolicy(), clock.now())
    second = watch(poller, [Reply(0.0, StatusSeen(status="done"))], clock)
    assert second.done == Done(DoneReason.ENDED)
    assert poller.billing is Billing.BILLED


def test_an_expired_task_is_looked_at_again() -> None:
    """EXPIRED is a conclusion of ours: each later wait asks once more, and an answer reopens the task."""
    poller, clock = begun()
    watch(poller, [Reply(0.0, StatusSeen(status="who?"))], clock)
    assert poller.phase is Phase.EXPIRED
    poller.begin_wait(WaitPolicy(), clock.now())
    assert len(watch(poller, [Reply(0.0, StatusSeen(status="who?"))], clock).asked_s) == 1
    assert poller.phase is Phase.EXPIRED
    poller.begin_wait(WaitPolicy(), clock.now())
    assert watch(poller, [Reply(0.0, StatusSeen(status="done"))], clock).done == Done(DoneReason.ENDED)
    assert poller.phase is Phase.SUCCEEDED


def test_a_hint_survives_in_the_record() -> None:
    """A poller that is made of another's record keeps away until the service's Retry-After is over."""
    poller, clock = begun()
    poller.receive(Throttled(retry_after_s=60.0), clock.now())
    other = Poller(poller.record, LIFECYCLE, WaitPolicy(), clock.now())
    assert other.next_command(clock.now()) == SleepUntil(60.0, SleepReason.SERVER)
