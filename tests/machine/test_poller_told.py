"""What a wait tells of each poll and of the end, and what counts against it."""

from __future__ import annotations

import pytest

from resilient_poll.events import AttemptFailed, BillingChanged, EndSeen, PhaseChanged, Polled
from resilient_poll.events import Throttled as ThrottledEvent
from resilient_poll.machine import (
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
    Unreadable,
    WaitPolicy,
)
from tests.support.machine_strategies import LIFECYCLE

BEGAN_S, WALL_S = 1000.0, 1_750_000_000.0


def at(seconds: float) -> Instant:
    return Instant(BEGAN_S + seconds, WALL_S + seconds)


def waiting(policy: WaitPolicy | None = None) -> Poller:
    """Return the wait for a task that was accepted at 0, and of which somebody hears."""
    record = TaskRecord.accepted("task", LIFECYCLE, at(0), status="working", request_id="create")
    poller = Poller(record, LIFECYCLE, policy or WaitPolicy(), at(0))
    poller.is_heard = True
    return poller


@pytest.mark.parametrize(
    ("observation", "brought", "status", "event"),
    [
        (StatusSeen(status="working"), "status", "working", None),
        (Throttled(code="Busy", retry_after_s=50.0), "throttled", None, ThrottledEvent),
        (Unreachable(reason="HTTP 502"), "unreachable", None, AttemptFailed),
        (Unreadable(reason="HTML"), "unreadable", None, AttemptFailed),
        (Refused(http_status=403), "refused", None, None),
    ],
)
def test_each_poll_is_told_first(
    observation: Observation, brought: str, status: str | None, event: type | None
) -> None:
    """Each poll is told with its number and what it brought, and after it what it changed."""
    poller = waiting()
    poller.receive(StatusSeen(status="working"), at(1))
    told = poller.receive(observation, at(2))
    assert told[0] == Polled("task", BEGAN_S + 2, 2, brought, status)
    assert [type(one) for one in told[1:]] == ([] if event is None else [event])


def test_a_throttle_is_told_with_its_pause() -> None:
    """A throttle tells the service's code and wish, and until when nothing is asked, be it a wish or our own pause."""
    poller = waiting()
    told = poller.receive(Throttled(code="Busy", retry_after_s=50.0), at(2))
    assert told[1:] == (ThrottledEvent("task", BEGAN_S + 2, "Busy", 50.0, BEGAN_S + 52),)
    poller = waiting()
    (throttled,) = poller.receive(Throttled(), at(2))[1:]
    command = poller.next_command(at(2))
    assert isinstance(command, SleepUntil)
    assert throttled == ThrottledEvent("task", BEGAN_S + 2, None, None, command.at_s)


def test_polls_are_numbered_and_leave_their_ids() -> None:
    """Every query has the next number, whatever became of the last one, and the last id that there was is kept."""
    poller = waiting()
    numbers = []
    for second, heard in enumerate([Unreachable(reason="gone", request_id="r-1"), Unreachable(reason="gone")]):
        command = poller.next_command(at(10 * second + 9))
        assert isinstance(command, Query)
        numbers.append(command.attempt)
        poller.receive(heard, at(10 * second + 9))
    assert (numbers, poller.record.polls, poller.record.request_id) == ([1, 2], 2, "r-1")


def test_whether_the_service_answered_is_of_this_wait() -> None:
    """One answer with a status is enough to have been answered, a failure is none, and a new wait begins without."""
    poller = waiting()
    poller.receive(Throttled(), at(1))
    assert poller.was_answered is False
    poller.receive(StatusSeen(status="working"), at(2))
    assert poller.was_answered is True
    poller.begin_wait(WaitPolicy(), at(3))
    assert poller.was_answered is False


@pytest.mark.parametrize(("last_open_s", "delay_s"), [(4.0, 6.0), (9.5, 0.5)])
def test_an_end_is_told_once_and_whole(last_open_s: float, delay_s: float) -> None:
    """The poll, what changed and then the end: as late as the last answer before it was early."""
    poller = waiting()
    poller.receive(StatusSeen(status="working"), at(last_open_s))
    now_s = BEGAN_S + 10
    assert poller.receive(StatusSeen(status="done"), at(10)) == (
        Polled("task", now_s, 2, "status", "done"),
        PhaseChanged("task", now_s, Phase.RUNNING, Phase.SUCCEEDED, "done"),
        BillingChanged("task", now_s, Billing.ON_SUCCESS, Billing.BILLED),
        EndSeen("task", now_s, Phase.SUCCEEDED, "done", Billing.BILLED, 2, delay_s, False),
    )
    assert [type(event) for event in poller.receive(StatusSeen(status="done"), at(11))] == [Polled]


def test_a_failure_to_fetch_a_missing_result_counts_too() -> None:
    """A paid result that is missing is asked for three times, and a failed try is one of them."""
    poller = waiting()
    poller.receive(StatusSeen(status="done", result_readable=False), at(1))
    for second in (2, 3, 4):
        assert not isinstance(poller.next_command(at(second)), Done)
        poller.receive(Unreachable(reason="HTTP 502"), at(second))
    assert poller.next_command(at(5)) == Done(DoneReason.ENDED)


def test_a_success_whose_result_is_missing_at_the_deadline_has_ended() -> None:
    """Out of time while a result is fetched again: the task has ended, and that is what is said."""
    poller = waiting(WaitPolicy(timeout_s=20.0))
    poller.receive(StatusSeen(status="done", result_readable=False), at(19))
    assert poller.next_command(at(20)) == Done(DoneReason.ENDED)


def test_a_refusals_wish_is_kept_by_the_next_wait() -> None:
    """A refusal that says when to come back holds the next wait as well."""
    poller = waiting()
    poller.receive(Refused(http_status=403, retry_after_s=30.0), at(1))
    poller.begin_wait(WaitPolicy(), at(2))
    assert poller.next_command(at(2)) == SleepUntil(BEGAN_S + 31, SleepReason.SERVER)


@pytest.mark.parametrize(("timeout_s", "last_s"), [(100.0, 98.0), (20.0, 18.0), (5.0, 4.5), (0.5, 0.45)])
def test_the_last_poll_is_two_seconds_or_a_tenth_before_the_end(timeout_s: float, last_s: float) -> None:
    """However rare the schedule, one poll is made 2 s before the deadline, or a tenth of a short wait before it."""
    poller = waiting(WaitPolicy(timeout_s=timeout_s, schedule=Fixed(1000.0)))
    command = poller.next_command(at(0))
    assert isinstance(command, SleepUntil)
    assert command.at_s == pytest.approx(BEGAN_S + last_s)


def test_a_poll_just_before_the_last_one_does_not_replace_it() -> None:
    """Asked a moment before the last poll is due, the task is asked once more when its floor allows it."""
    poller = waiting(WaitPolicy(timeout_s=20.0, schedule=Fixed(1000.0)))
    poller.receive(StatusSeen(status="working"), at(17.8))
    command = poller.next_command(at(17.8))
    assert isinstance(command, SleepUntil)
    assert command.at_s == pytest.approx(BEGAN_S + 18.3)


def test_a_failed_poll_is_followed_by_no_shorter_pause_than_a_healthy_one() -> None:
    """On a schedule that has grown to 25 s a failure is followed by 25 s, spread by a quarter."""
    poller = waiting(WaitPolicy(schedule=Linear(first_s=5.0, step_s=10.0, cap_s=100.0)))
    poller.receive(StatusSeen(status="working"), at(5))
    poller.receive(Unreachable(reason="HTTP 502"), at(20))
    command = poller.next_command(at(20))
    assert isinstance(command, SleepUntil)
    assert 0.75 * 25.0 <= command.at_s - BEGAN_S - 20.0 <= 1.25 * 25.0
