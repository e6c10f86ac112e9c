"""What holds at the very limit: of a wait, of a submit, of a service's memory and of its own word for an end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilient_poll.events import EndSeen
from resilient_poll.machine import (
    Done,
    DoneReason,
    Fixed,
    Floor,
    Instant,
    LostAnswer,
    Observation,
    Phase,
    Poller,
    Refused,
    SleepReason,
    SleepUntil,
    StatusSeen,
    Submission,
    Submit,
    SubmitPolicy,
    SubmitStarted,
    TaskRecord,
    Throttled,
    Unreachable,
    WaitPolicy,
)
from tests.support.machine_strategies import LIFECYCLE

BEGAN_S, WALL_S = 1000.0, 1_750_000_000.0
FAILED_POLL = Unreachable(reason="HTTP 502")


def at(seconds: float, set_by_s: float = 0.0) -> Instant:
    """Return an instant, the wall clock having been set by some seconds."""
    return Instant(BEGAN_S + seconds, WALL_S + seconds + set_by_s)


def waiting(policy: WaitPolicy | None = None) -> Poller:
    """Return the wait for a task that was accepted at 0."""
    record = TaskRecord.accepted("task", LIFECYCLE, at(0), status="waiting")
    return Poller(record, LIFECYCLE, policy or WaitPolicy(), at(0))


def test_failed_polls_are_further_and_further_apart() -> None:
    """Polls that fail in a row are a healthy pause of 3 s apart, then 4, 8, 16 and at most 30 s, each by a quarter."""
    poller, now_s = waiting(WaitPolicy(timeout_s=1000.0)), 3.0
    for pause_s in (3.0, 3.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        poller.receive(FAILED_POLL, at(now_s))
        command = poller.next_command(at(now_s))
        assert isinstance(command, SleepUntil)
        due_s = command.at_s - BEGAN_S
        assert 0.75 * pause_s <= due_s - now_s <= 1.25 * pause_s
        now_s = due_s


@pytest.mark.parametrize(
    ("heard", "is_spent"),
    [
        ([(3.0, FAILED_POLL), (12.9, FAILED_POLL)], False),
        ([(3.0, FAILED_POLL), (13.0, FAILED_POLL)], True),
        ([(3.0, FAILED_POLL), (8.0, Throttled()), (14.0, FAILED_POLL)], False),
        ([(3.0, FAILED_POLL), (8.0, Throttled()), (14.0, FAILED_POLL), (24.0, FAILED_POLL)], True),
        ([(3.0, FAILED_POLL), (8.0, StatusSeen(status="working")), (14.0, FAILED_POLL)], False),
    ],
)
def test_the_time_that_polls_may_fail_begins_anew_with_every_answer(
    heard: list[tuple[float, Observation]], is_spent: bool
) -> None:
    """Ten seconds of failures are over after ten seconds, and a throttle is an answer of a healthy service."""
    poller = waiting(WaitPolicy(max_failing_s=10.0))
    for now_s, observation in heard:
        poller.receive(observation, at(now_s))
    assert (poller.next_command(at(heard[-1][0])) == Done(DoneReason.ERROR_BUDGET)) is is_spent


@pytest.mark.parametrize(
    ("age_s", "set_by_s", "phase"),
    [
        (100.0, 0.0, Phase.UNRECOGNIZED),
        (101.0, 0.0, Phase.EXPIRED),
        (50.0, 51.0, Phase.UNRECOGNIZED),
        (101.0, -51.0, Phase.UNRECOGNIZED),
        (200.0, -51.0, Phase.EXPIRED),
    ],
)
def test_only_a_task_that_is_older_by_both_clocks_is_taken_for_forgotten(
    age_s: float, set_by_s: float, phase: Phase
) -> None:
    """A service that remembers for 100 s has forgotten after more than 100 s, and a clock that was set ages nothing."""
    lifecycle = replace(LIFECYCLE, retention_s=100.0)
    poller = Poller(TaskRecord.accepted("task", lifecycle, at(0)), lifecycle, WaitPolicy(), at(0))
    poller.receive(StatusSeen(status="who?"), at(age_s, set_by_s))
    assert poller.phase is phase


def test_at_the_deadline_it_is_the_deadline_that_is_over() -> None:
    """Where the limit of a phase and the deadline are one instant, the wait's time is up, and is said to be."""
    poller = waiting(WaitPolicy(timeout_s=20.0, phase_limits_s={Phase.QUEUED: 20.0}))
    assert poller.next_command(at(20)) == Done(DoneReason.DEADLINE)


def test_a_hint_that_ends_with_the_wait_is_told() -> None:
    """A Retry-After up to the very deadline leaves no poll, and the caller hears until when the service asked."""
    poller = waiting(WaitPolicy(timeout_s=20.0))
    poller.receive(Throttled(retry_after_s=17.0), at(3))
    assert poller.next_command(at(3)) == Done(DoneReason.COME_BACK_LATER, BEGAN_S + 20.0)


def test_the_floor_of_a_schedule_is_not_the_services_wish() -> None:
    """A schedule as fast as the floor waits for its schedule: the service asked for nothing."""
    poller = waiting(WaitPolicy(schedule=Fixed(0.5), minimum_interval_s=0.5))
    poller.receive(StatusSeen(status="working"), at(1))
    assert poller.next_command(at(1)) == SleepUntil(BEGAN_S + 1.5, SleepReason.SCHEDULE)


def end_seen(poller: Poller, ended_ago_s: float | None) -> tuple[float | None, bool]:
    """Return how late an end was seen that is told 10 s after 0, and whether that is exact."""
    poller.is_heard = True
    events = poller.receive(StatusSeen(status="done", ended_ago_s=ended_ago_s), at(10))
    (seen,) = (event for event in events if isinstance(event, EndSeen))
    return seen.delay_s, seen.is_exact


@pytest.mark.parametrize(
    ("ended_ago_s", "told"),
    [
        (None, (10.0, False)),
        (4.0, (4.0, True)),
        (0.0, (0.0, True)),
        (-1.0, (0.0, True)),
        (-1.5, (10.0, False)),
        (10.5, (10.0, True)),
        (11.0, (10.0, True)),
        (11.5, (10.0, False)),
    ],
)
def test_a_services_time_of_an_end_is_believed_if_it_can_be_true(
    ended_ago_s: float | None, told: tuple[float, bool]
) -> None:
    """Within a second of what is known here it is the delay, and otherwise the most that it can be is told."""
    assert end_seen(waiting(), ended_ago_s) == told


@pytest.mark.parametrize(
    ("ended_ago_s", "told"), [(None, (None, False)), (4.0, (4.0, True)), (1e5, (1e5, True)), (-1.5, (None, False))]
)
def test_of_a_task_picked_up_by_its_id_only_the_service_knows_the_end(
    ended_ago_s: float | None, told: tuple[float | None, bool]
) -> None:
    """Nobody here saw it go on, so without a time of the service's that can be true nothing is said."""
    poller = Poller(TaskRecord.known_by_id("task", at(0)), LIFECYCLE, WaitPolicy(), at(0))
    assert end_seen(poller, ended_ago_s) == told


def test_a_submit_may_start_with_exactly_the_time_it_needs() -> None:
    """With a second left a sending starts, and with less it is over, whoever asked for a pause until then."""
    policy, floor = SubmitPolicy(timeout_s=10.0, minimum_s=1.0), Floor()
    submission = Submission(policy, at(0), seed="seed", floor=floor)
    assert submission.next_command(at(9)) == Submit(1, 60.0)
    floor.raise_to(BEGAN_S + 9)
    assert submission.next_command(at(8)) == SleepUntil(BEGAN_S + 9, SleepReason.SERVER)
    assert submission.next_command(at(9)) == Submit(1, 60.0)
    assert submission.next_command(at(9.5)) == Done(DoneReason.DEADLINE)
    floor.raise_to(BEGAN_S + 9.1)
    assert submission.next_command(at(8)) == Done(DoneReason.COME_BACK_LATER, BEGAN_S + 9.1)


def test_a_submit_that_is_out_is_not_licensed_again() -> None:
    """Whoever asks once more while a submit is out, and nothing was heard of it, is told that it is in doubt."""
    submission = Submission(SubmitPolicy(), at(0), seed="seed")
    submission.receive(SubmitStarted(), at(0))
    assert submission.next_command(at(1)) == Done(DoneReason.IN_DOUBT)


@pytest.mark.parametrize("late", [Refused(http_status=400), Throttled(), LostAnswer(reason="gone"), FAILED_POLL])
def test_a_late_word_leaves_a_doubt_as_it_is(late: Observation) -> None:
    """What is heard of a submit in doubt, and is no id, tells nothing and settles nothing."""
    submission = Submission(SubmitPolicy(), at(0), seed="seed")
    submission.receive(SubmitStarted(), at(0))
    submission.receive(LostAnswer(reason="gone"), at(1))
    assert submission.receive(late, at(2)) == ()
    assert submission.next_command(at(2)) == Done(DoneReason.IN_DOUBT)
