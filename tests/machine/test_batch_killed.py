"""The scheduler of many, where slots, places and turns are given back, and which entry comes first."""

from __future__ import annotations

import math

import pytest

from resilient_poll import ConfigurationError
from resilient_poll.machine import (
    Accepted,
    Done,
    DoneReason,
    Instant,
    Poller,
    Refused,
    SleepReason,
    SleepUntil,
    StatusSeen,
    Submission,
    SubmitPolicy,
    TaskRecord,
    WaitPolicy,
)
from resilient_poll.machine.batch import Batch
from resilient_poll.machine.commands import Settled, Take, Turn
from resilient_poll.machine.line import LOOK_AGAIN_S
from resilient_poll.machine.observations import NoSlotFree
from resilient_poll.machine.pace import Gate, InTurn, Pace
from resilient_poll.machine.slots import UNSEEN_S, Account, Key, Slots
from tests.support.machine_strategies import LIFECYCLE

WALL_S = 1_750_000_000.0


def at(seconds: float) -> Instant:
    return Instant(seconds, WALL_S + seconds)


def submission(number: int = 0, timeout_s: float = 60.0) -> Submission:
    return Submission(SubmitPolicy(timeout_s=timeout_s, minimum_s=1.0), at(0), seed=str(number), is_in_order=True)


def batch_of(account: Account, count: int, turns_at_once: int = 4, deadline_s: float | None = None) -> Batch:
    batch = Batch(account, turns_at_once=turns_at_once, deadline_s=deadline_s)
    for number in range(count):
        batch.add(submission(number), at(0))
    batch.no_more()
    return batch


def accepted(ordinal: int) -> Accepted:
    return Accepted(task_id=f"task-{ordinal}", status="waiting")


def test_a_task_that_is_taken_over_holds_a_slot_at_once() -> None:
    """A task that was polled elsewhere already counts as open from when it is added."""
    account = Account(slots=Slots(1))
    poller = Poller(TaskRecord.accepted("t", LIFECYCLE, at(0), status="working"), LIFECYCLE, WaitPolicy(), at(0))
    poller.receive(StatusSeen(status="working"), at(0))
    Batch(account).add(poller, at(1))
    assert account.slots.in_flight == 1


@pytest.mark.parametrize("frees", [{"frees_slot": True}, {"frees_slot": False}, {}])
def test_an_accepted_task_that_is_forgotten_counts_for_a_while(frees: dict[str, bool]) -> None:
    """A task that was accepted, and that nobody waits for, holds its slot for a minute, unless it is freed."""
    account = Account(slots=Slots(1))
    batch = batch_of(account, 1)
    assert isinstance(batch.next_command(at(0)), Turn)
    batch.receive(0, accepted(0), at(0))
    assert isinstance(batch.next_command(at(0)), Settled)
    batch.forget(0, at(5), **frees)
    assert account.slots.free_at_s(5.0) == (5.0 if frees.get("frees_slot") else 5.0 + UNSEEN_S)
    assert account.slots.in_flight == 0


def test_one_request_is_out_at_a_time_unless_more_are_allowed() -> None:
    """A batch that was told of no number of turns has one request out, whatever else is due."""
    batch = Batch(Account(slots=Slots(9)))
    for number in range(2):
        poller = Poller(TaskRecord.known_by_id(f"t-{number}", at(0)), LIFECYCLE, WaitPolicy(), at(0))
        batch.add(poller, at(0))
    batch.no_more()
    assert isinstance(batch.next_command(at(0)), Turn)
    assert batch.next_command(at(0)) == SleepUntil(300.0, SleepReason.SCHEDULE)


def test_time_in_which_nobody_asked_is_the_submits_own() -> None:
    """A submit that waited for no turn begins no later than its own time allows, however late the batch is asked."""
    batch = Batch(Account())
    batch.add(submission(timeout_s=10.0), at(0))
    batch.no_more()
    assert batch.next_command(at(9.5)) == Settled(0, Done(DoneReason.DEADLINE))


def test_nothing_comes_after_leaving() -> None:
    """Whoever leaves hears no more of what was settled before."""
    batch = batch_of(Account(slots=Slots(9)), 2)
    assert [type(batch.next_command(at(0))) for _ in range(2)] == [Turn, Turn]
    for ordinal in range(2):
        batch.receive(ordinal, Refused(http_status=400) if ordinal else accepted(0), at(0))
    batch.leave(at(0))
    assert batch.counts == (0, 0, 0)
    assert batch.next_command(at(0)) == Done(DoneReason.ENDED)


def test_what_was_accepted_is_told_before_all_else() -> None:
    """An acceptance, whose id must become durable, is told before a refusal that came earlier, and before any turn."""
    batch = batch_of(Account(slots=Slots(9)), 4)
    turns = [batch.next_command(at(0)) for _ in range(3)]
    assert all(isinstance(turn, Turn) for turn in turns)
    batch.receive(0, Refused(http_status=400), at(0))
    batch.receive(1, accepted(1), at(0))
    told = batch.next_command(at(0))
    assert isinstance(told, Settled)
    assert (told.ordinal, told.done.reason) == (1, DoneReason.ACCEPTED)


def test_kinds_take_turns_and_submits_begin() -> None:
    """Of a submit that may go, something settled and a query that is due, the submit is first, then the others."""
    batch = Batch(Account(slots=Slots(9)), turns_at_once=9)
    batch.add(submission(), at(0))
    poller = Poller(TaskRecord.known_by_id("t", at(0)), LIFECYCLE, WaitPolicy(), at(0))
    batch.add(poller, at(0))
    first = batch.next_command(at(0))
    assert isinstance(first, Turn)
    assert first.ordinal == 0
    batch.receive(0, Refused(http_status=400), at(0))
    assert isinstance(batch.next_command(at(0)), Settled)
    last = batch.next_command(at(0))
    assert isinstance(last, Turn)
    assert last.ordinal == 1


def test_a_batch_that_is_over_stands_in_nobodys_way() -> None:
    """Whoever stood in line for a slot, and is over, keeps no other batch from the slot that comes free."""
    account = Account(slots=Slots(1))
    assert account.slots.start(("someone", 0), 0.0)
    over = batch_of(account, 1, deadline_s=1.0)
    assert isinstance(over.next_command(at(0.9)), SleepUntil)
    other = batch_of(account, 1)
    assert isinstance(other.next_command(at(0.95)), SleepUntil)
    assert isinstance(over.next_command(at(1.0)), Settled)
    assert over.next_command(at(1.0)) == Done(DoneReason.ENDED)
    account.slots.drop(("someone", 0))
    assert isinstance(other.next_command(at(1.0)), Turn)


def test_whoever_leaves_gives_a_promised_turn_back() -> None:
    """A turn that was promised to a batch that left is the next one's."""
    account = Account(create_gate=Gate([Pace(1, 10.0, margin_s=0.0)]))
    assert account.create_gate.take(0.0)
    first, second = batch_of(account, 1), batch_of(account, 1)
    assert first.next_command(at(0)) == SleepUntil(10.0, SleepReason.SCHEDULE)
    first.leave(at(0))
    assert second.next_command(at(0)) == SleepUntil(10.0, SleepReason.SCHEDULE)


@pytest.mark.parametrize("others", [0, 1])
def test_waiting_for_a_slot_costs_time_only_where_nothing_of_ours_is_open(others: int) -> None:
    """No slot is free: with a task of ours open the submit keeps its time, and with none its time goes on."""
    account = Account()
    for number in range(others):
        account.slots.adopt(("ours", number))
    batch = Batch(account)
    batch.add(submission(timeout_s=10.0), at(0))
    batch.no_more()
    assert isinstance(batch.next_command(at(0)), Turn)
    batch.receive(0, NoSlotFree(reason="full", look_again_s=12.0), at(0))
    later = batch.next_command(at(12))
    assert isinstance(later, Turn if others else Settled)


class OvertakenSlots(Slots):
    """Slots of which another thread takes the last one between the question and the start."""

    def start(self, task: Key, now_s: float) -> bool:  # noqa: ARG002  # as it is declared
        return False


def test_whoever_was_overtaken_looks_again_soon() -> None:
    """A submit that found its slot taken looks again after a quarter of a second, and was not sent."""
    batch = batch_of(Account(slots=OvertakenSlots()), 1)
    assert batch.next_command(at(3)) == SleepUntil(3 + LOOK_AGAIN_S, SleepReason.SCHEDULE)
    assert batch.counts == (1, 0, 0)


def test_a_turn_at_the_last_moment_is_waited_for() -> None:
    """A submit waits for a turn that comes exactly when it may still begin, and for no later one."""
    gate = Gate([Pace(1, 5.0, margin_s=0.0)])
    assert gate.take(0.0)
    policy = SubmitPolicy(timeout_s=6.0, minimum_s=1.0)
    turn = InTurn(Submission(policy, at(0), seed="s"), gate)
    assert turn.next_command(at(0)) == SleepUntil(5.0, SleepReason.LIMIT)
    short = InTurn(Submission(SubmitPolicy(timeout_s=5.9, minimum_s=1.0), at(0), seed="s"), gate)
    assert short.next_command(at(0)) == Done(DoneReason.COME_BACK_LATER, 10.0)


def test_a_pace_needs_numbers_that_make_sense() -> None:
    """A pace without a start, a window or an end of either is refused, and one without a margin is not."""
    assert Pace(1, 1.0, margin_s=0.0).window_s == 1.0
    for count, window_s, margin_s in (
        (0, 1.0, 0.1),
        (1, 0.0, 0.1),
        (1, math.inf, 0.1),
        (1, 1.0, -0.1),
        (1, 1.0, math.inf),
    ):
        with pytest.raises(ConfigurationError):
            Pace(count, window_s, margin_s=margin_s)


def test_taking_goes_on_until_there_is_no_more() -> None:
    """A batch with free places asks for a job, and for none once it was told that there is no more."""
    batch = Batch(Account())
    assert batch.next_command(at(0)) == Take()
    batch.no_more()
    assert batch.next_command(at(0)) == Done(DoneReason.ENDED)
