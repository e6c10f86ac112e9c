"""The scheduler of many: order, memory, time, and what it costs to ask it."""

from __future__ import annotations

import math

import pytest

from resilient_poll.events import PhaseChanged, Waiting
from resilient_poll.machine import (
    Accepted,
    Done,
    DoneReason,
    Floor,
    Instant,
    LostAnswer,
    Phase,
    Poller,
    Query,
    Refused,
    SleepReason,
    SleepUntil,
    StatusSeen,
    Submission,
    Submit,
    SubmitPolicy,
    TaskRecord,
    Throttled,
    WaitPolicy,
)
from resilient_poll.machine.batch import Batch, Counts
from resilient_poll.machine.commands import BatchCommand, Command, Settled, Take, Turn
from resilient_poll.machine.line import LOOK_AGAIN_S
from resilient_poll.machine.pace import Gate, Pace
from resilient_poll.machine.policy import DEADLINE_MARGIN_S
from resilient_poll.machine.slots import UNSEEN_S, Account, Slots
from tests.support.batch_world import Job, Service, run_batch
from tests.support.machine_strategies import LIFECYCLE

WALL_S = 1_750_000_000.0


def at(seconds: float) -> Instant:
    return Instant(seconds, WALL_S + seconds)


class CountingPoller(Poller):
    """A poller that counts how often it is asked."""

    asked = 0

    def next_command(self, now: Instant) -> Command:
        type(self).asked += 1
        return super().next_command(now)


def poller(number: int, policy: WaitPolicy, floor: Floor | None = None, kind: type[Poller] = Poller) -> Poller:
    record = TaskRecord.accepted(f"task-{number}", LIFECYCLE, at(0), status="working")
    return kind(record, LIFECYCLE, policy, at(0), floor=floor)


def watching(number: int, account: Account, policy: WaitPolicy, turns_at_once: int = 4) -> Batch:
    batch = Batch(account, turns_at_once=turns_at_once)
    for ordinal in range(number):
        batch.add(poller(ordinal, policy, account.query_floor, CountingPoller), at(0), policy)
    batch.no_more()
    batch.take_events()
    return batch


def everything_now(batch: Batch, now: Instant) -> list[BatchCommand]:
    """Ask until there is nothing left to do now."""
    commands = []
    while not isinstance(command := batch.next_command(now), SleepUntil | Done):
        commands.append(command)
    return [*commands, command]


def test_a_blocked_account_is_not_gone_through() -> None:
    """While a Retry-After holds the account, asking a batch of 5,000 asks none of its pollers."""
    account, policy = Account(), WaitPolicy()
    batch = watching(5000, account, policy)
    account.query_floor.raise_to(50.0)
    CountingPoller.asked = 0
    for step in range(200):
        assert batch.next_command(at(3 + step / 10)) == SleepUntil(50.0, SleepReason.SCHEDULE)
    assert CountingPoller.asked == 0


def test_a_full_pace_is_not_gone_through() -> None:
    """While the limit on queries leaves no turn, asking a batch of 5,000 asks nobody for whom there is none."""
    account, policy = Account(query_gate=Gate([Pace(20, 1.0)])), WaitPolicy()
    batch = watching(5000, account, policy, turns_at_once=100)
    CountingPoller.asked = 0
    turns = everything_now(batch, at(3))
    assert len(turns) == 21
    for _ in range(200):
        batch.next_command(at(3.5))
    assert CountingPoller.asked == 20


def test_waits_end_in_time_without_a_turn() -> None:
    """Where nobody can be asked, every wait ends at its own deadline all the same."""
    account, policy = Account(), WaitPolicy(timeout_s=30.0)
    batch = watching(100, account, policy)
    account.query_floor.raise_to(1000.0)
    assert batch.next_command(at(5)) == SleepUntil(30.0, SleepReason.SCHEDULE)
    ended = everything_now(batch, at(30))
    assert {command.done for command in ended if isinstance(command, Settled)} == {
        Done(DoneReason.COME_BACK_LATER, 1000.0)
    }
    assert len(ended) == 101
    assert isinstance(ended[-1], Done)


def test_a_wait_that_ends_while_its_query_is_out_waits_for_the_answer() -> None:
    """An answer that is on the way at the deadline still decides."""
    batch = watching(1, Account(), WaitPolicy(timeout_s=4.0))
    turn = batch.next_command(at(3.9))
    assert isinstance(turn, Turn)
    assert batch.next_command(at(4.0)) == SleepUntil(math.inf, SleepReason.SCHEDULE)
    batch.receive(0, StatusSeen(status="done"), at(4.05))
    assert batch.next_command(at(4.05)) == Settled(0, Done(DoneReason.ENDED))


def test_a_phase_limit_ends_a_wait_too() -> None:
    """A wait that stays in a phase for longer than allowed ends then, turn or no turn."""
    account, policy = Account(), WaitPolicy(phase_limits_s={Phase.RUNNING: 12.0})
    batch = watching(1, account, policy)
    account.query_floor.raise_to(100.0)
    assert batch.next_command(at(4)) == SleepUntil(12.0, SleepReason.SCHEDULE)
    assert batch.next_command(at(12)) == Settled(0, Done(DoneReason.COME_BACK_LATER, 100.0))


def test_queries_go_by_due_time() -> None:
    """Who has been due for longest is asked about first."""
    account = Account()
    batch = Batch(account, turns_at_once=1)
    for ordinal, first_s in enumerate([9.0, 5.0, 7.0]):
        record = TaskRecord.accepted(f"task-{ordinal}", LIFECYCLE, at(0), status="working")
        policy = WaitPolicy(timeout_s=300.0 + first_s)
        batch.add(Poller(record, LIFECYCLE, policy, at(first_s - 3)), at(first_s - 3), policy)
    batch.no_more()
    asked = []
    for step in range(3):
        turn = batch.next_command(at(20 + step))
        assert isinstance(turn, Turn)
        asked.append(turn.ordinal)
        batch.receive(turn.ordinal, StatusSeen(status="working"), at(20 + step))
    assert asked == [1, 2, 0]


def submission(number: int = 0, timeout_s: float = 300.0, floor: Floor | None = None) -> Submission:
    return Submission(SubmitPolicy(timeout_s=timeout_s), at(0), seed=str(number), floor=floor, is_in_order=True)


def test_the_licence_is_used_with_the_turn() -> None:
    """A submit's turn is handed out once, and from then on it is in doubt until an answer comes."""
    batch, wanted = Batch(Account()), submission()
    assert batch.next_command(at(0)) == Take()
    batch.add(wanted, at(0))
    assert isinstance(batch.next_command(at(0)), Turn)
    assert wanted.phase is Phase.SUBMITTING
    assert [type(event) for event in batch.take_events()] == [PhaseChanged]
    assert isinstance(batch.next_command(at(0)), SleepUntil)
    assert batch.counts == Counts(waiting=0, submitting=1, open=0)
    batch.receive(0, LostAnswer(reason="gone"), at(1))
    assert batch.next_command(at(1)) == Settled(0, Done(DoneReason.IN_DOUBT))


def test_no_job_is_taken_that_could_not_be_sent() -> None:
    """Jobs are taken one by one as slots are free, so any number of them needs the memory of those that are open."""
    service = Service(cap=3)
    ran = run_batch([Job(20.0)] * 2000, service, Account(slots=Slots(3)))
    assert ran.most_taken <= 4
    assert len(ran.finished) == 2000


def test_a_throttled_submit_keeps_its_place() -> None:
    """Who is told to come back is the next to be submitted, before all who came later."""
    service = Service(cap=3)
    run_batch([Job(20.0)] * 12, service, Account(slots=Slots()))
    assert service.accepted == list(range(12))
    assert service.throttles > 0


def test_waiting_for_a_slot_uses_up_no_submits_time() -> None:
    """A hundred jobs on one slot all get their turn, however short the time of one submit."""
    for declared in (1, None):
        service = Service(cap=1)
        ran = run_batch(
            [Job(40.0)] * 20, service, Account(slots=Slots(declared)), submit_policy=SubmitPolicy(timeout_s=2.0)
        )
        assert {reason for _, reason in ran.finished} == {DoneReason.ENDED}, declared


def test_a_throttle_with_nothing_of_ours_open_uses_up_the_submits_time() -> None:
    """If others fill the account for good, each submit ends in its own time and the batch with them."""

    ran = run_batch([Job()] * 3, Service(cap=0), Account(), submit_policy=SubmitPolicy(timeout_s=10.0))
    assert [reason for _, reason in ran.finished] == [DoneReason.COME_BACK_LATER] * 3
    assert ran.took_s < 3 * 10.0


def test_the_batchs_deadline_ends_what_had_no_turn() -> None:
    """At the deadline of the whole, every job is over: those that had no turn, and those that were never taken."""
    service = Service(cap=1)
    ran = run_batch([Job(20.0)] * 50, service, Account(slots=Slots(1)), deadline_s=70.0)
    assert sorted(ordinal for ordinal, _ in ran.finished) == list(range(50))
    assert [reason for _, reason in ran.finished].count(DoneReason.DEADLINE) == 50 - len(service.accepted)
    assert max(sent_s for sent_s, _ in service.creates) < 70.0


def test_one_worker_is_shared_fairly() -> None:
    """With one request at a time, submits do not keep queries and results waiting to the end."""
    service = Service(cap=100, refuses=False, latency_s=0.5)
    ran = run_batch([Job(5.0)] * 60, service, Account(slots=Slots(100, refuses=False)), turns_at_once=1)
    last_create_s = service.creates[-1][0]
    assert ran.finished[0][0] < 10
    assert service.queries_s[0] < last_create_s / 2


def test_one_turn_is_left_to_queries() -> None:
    """However many submits are out, one of several turns is kept for those who wait."""
    batch = Batch(Account(slots=Slots(50)), turns_at_once=3)
    commands = []
    while not isinstance(command := batch.next_command(at(0)), SleepUntil):
        commands.append(command)
        if isinstance(command, Take):
            batch.add(submission(len(commands)), at(0))
    assert sum(isinstance(command, Turn) for command in commands) == 2


def test_two_batches_share_the_account() -> None:
    """What one batch has open counts for the other, which looks again until there is room."""
    account = Account(slots=Slots(1))
    first, second = Batch(account), Batch(account)
    first.add(submission(), at(0))
    assert isinstance(first.next_command(at(0)), Turn)
    first.receive(0, Accepted(task_id="t"), at(0))
    second.add(submission(), at(0))
    waits = second.next_command(at(0))
    assert isinstance(waits, SleepUntil)
    assert waits.at_s == LOOK_AGAIN_S
    first.leave(at(1))
    assert isinstance(second.next_command(at(2)), SleepUntil), "the other's task goes on"
    assert isinstance(second.next_command(at(1 + UNSEEN_S)), Turn)


def test_leaving_gives_everything_back() -> None:
    """A batch that is left holds no slot and no turn, whatever it had out, open or waiting."""
    account = Account(slots=Slots(5), query_gate=Gate([Pace(1, 5.0)]))
    batch = watching(2, account, WaitPolicy(), turns_at_once=4)
    other = Batch(account, turns_at_once=4)
    for number in range(2):
        other.add(submission(number), at(0))
    assert isinstance(other.next_command(at(0)), Turn)
    other.receive(0, Accepted(task_id="t"), at(0))
    everything_now(batch, at(3))
    assert account.slots.in_flight == 3
    for one in (batch, other):
        one.leave(at(4))
        assert one.next_command(at(4)) == Done(DoneReason.ENDED)
    assert account.slots.in_flight == 0


def test_a_request_that_broke_is_forgotten() -> None:
    """An entry whose request broke frees its slot and its turn, and the others go on."""
    account = Account(slots=Slots(2))
    batch = Batch(account, turns_at_once=2)
    batch.add(submission(), at(0))
    policy = WaitPolicy()
    batch.add(poller(1, policy), at(0), policy)
    batch.no_more()
    assert {type(command) for command in everything_now(batch, at(4))} == {Turn, SleepUntil}
    batch.forget(0, at(4))
    batch.forget(1, at(4))
    assert account.slots.in_flight == 0
    assert isinstance(batch.next_command(at(4)), Done)


def test_a_refused_submit_is_over_and_the_next_goes() -> None:
    """A refusal ends its own job only."""
    service = Service(cap=2)
    ran = run_batch([Job(20.0, ("refused",)), Job(20.0), Job(20.0, ("lost",))], service, Account())
    assert sorted(ran.finished) == [(0, DoneReason.REFUSED), (1, DoneReason.ENDED), (2, DoneReason.IN_DOUBT)]


def test_waiting_is_told_once() -> None:
    """However often the batch is asked, a pause is told once, before it begins."""
    account = Account()
    account.create_floor.raise_to(30.0)
    batch = Batch(account)
    batch.add(submission(floor=account.create_floor), at(0))
    for step in range(5):
        batch.next_command(at(step))
    assert [event for event in batch.take_events() if isinstance(event, Waiting)] == [
        Waiting(None, 0.0, 30.0, SleepReason.SERVER)
    ]


def test_a_turn_is_what_its_machine_wants() -> None:
    """The commands in turns are the machines' own."""
    batch = watching(1, Account(), WaitPolicy(attempt_timeout_s=7.0))
    assert batch.next_command(at(3)) == Turn(0, Query(1, 7.0))
    other = Batch(Account())
    other.add(submission(), at(0))
    assert other.next_command(at(0)) == Turn(0, Submit(1, 60.0))


def test_a_job_that_cannot_be_tried_has_an_ordinal_too() -> None:
    """Ordinals count every job, also those that never become an entry."""
    batch = Batch(Account())
    assert batch.skip() == 0
    assert batch.add(submission(), at(0)) == 1
    batch.next_command(at(0))
    batch.receive(1, Refused(http_status=400), at(0))
    assert batch.next_command(at(0)) == Settled(1, Done(DoneReason.REFUSED))


def without_a_turn() -> Account:
    """Return an account whose only query of the next hour was used up."""
    account = Account(query_gate=Gate([Pace(1, 3600.0)]))
    assert account.query_gate.take(0.0)
    return account


@pytest.mark.parametrize("later_s", [0.000_1, 0.01, 0.1])
def test_a_wait_that_began_a_moment_later_ends_in_time_too(later_s: float) -> None:
    """A wait whose own time began after it was put in ends within the margin of its deadline, turn or no turn."""
    account, policy = without_a_turn(), WaitPolicy(timeout_s=30.0)
    batch = Batch(account)
    one = poller(0, policy, account.query_floor)
    one.begin_wait(policy, at(later_s))
    batch.add(one, at(0), policy)
    batch.no_more()
    now_s = 2.0
    while isinstance(command := batch.next_command(at(now_s)), SleepUntil):
        assert command.at_s > now_s
        now_s = command.at_s
    assert command == Settled(0, Done(DoneReason.DEADLINE))
    assert now_s <= 30.0 + later_s + DEADLINE_MARGIN_S


@pytest.mark.parametrize("set_by_s", [-3600.0, 3600.0])
def test_a_clock_that_is_set_moves_no_deadline(set_by_s: float) -> None:
    """A wait until a time of day ends when that was to come as it began, whatever is done to the clock meanwhile."""
    account = Account(query_gate=Gate([Pace(1, 3600.0)]))
    batch = watching(1, account, WaitPolicy(timeout_s=300.0, deadline_wall_s=WALL_S + 20.0))
    now_s, asked = 3.0, 0
    while not isinstance(command := batch.next_command(now := Instant(now_s, WALL_S + now_s + set_by_s)), Settled):
        if isinstance(command, Turn):
            batch.receive(0, StatusSeen(status="working"), now)
            continue
        assert isinstance(command, SleepUntil)
        now_s, asked = command.at_s, asked + 1
    assert 20.0 <= now_s <= 20.0 + DEADLINE_MARGIN_S
    assert asked < 10


def storm(number: int, until_s: float, *, ends_s: float = math.inf) -> list[float]:
    """Return when a batch asks a service that throttles every query until some time, without a hint."""
    account, policy = Account(), WaitPolicy(timeout_s=1000.0)
    batch, now_s, asked_s = watching(number, account, policy, turns_at_once=8), 3.0, []
    while now_s < until_s:
        command = batch.next_command(at(now_s))
        turns = []
        while isinstance(command, Turn):
            turns.append(command.ordinal)
            asked_s.append(now_s)
            command = batch.next_command(at(now_s))
        for ordinal in turns:
            batch.receive(ordinal, StatusSeen(status="working") if now_s >= ends_s else Throttled(), at(now_s))
        if isinstance(command, SleepUntil) and not turns:
            now_s = command.at_s
    return asked_s


def test_a_storm_of_throttles_is_one_accounts() -> None:
    """Where every query is throttled without a hint, a thousand tasks ask hardly more often than eight."""
    few, many = storm(8, 300.0), storm(1000, 300.0)
    assert len(many) <= 2 * len(few)
    assert len(many) <= 8 * 16


def test_after_a_storm_everybody_is_asked_again() -> None:
    """Once the service answers again, the batch is back at full speed within the longest pause."""
    asked_s = storm(1000, 160.0, ends_s=60.0)
    back_s = next(asked for asked in asked_s if asked >= 60.0)
    assert back_s <= 60.0 + 30.0 * 1.25
    assert sum(back_s <= asked <= back_s + 32.0 for asked in asked_s) >= 1000


def ends_of_two(jobs: tuple[int, int], *, idle: bool = False) -> tuple[float, float]:
    """Return when two batches of an account with one slot are done; each task takes 10 s, seen at once.

    Args:
        jobs: How many jobs each has.
        idle: Whether the second stops asking once it stands in line.
    """
    account = Account(slots=Slots(1))
    batches = [Batch(account) for _ in jobs]
    left, done_s, open_task = list(jobs), [math.inf, math.inf], (-1, 0, math.inf)
    for step in range(0, 200_000, 50):
        now = at(step / 1000)
        for which, batch in enumerate(batches):
            if done_s[which] < math.inf or (idle and which == 1 and step > 5_000):
                continue
            if open_task[0] == which and now.monotonic_s >= open_task[2]:
                batch.forget(open_task[1], now)
                account.slots.end((batch, open_task[1]))
                account.slots._unseen_until_s.clear()  # It was seen to end.
                open_task = (-1, 0, math.inf)
            while not isinstance(command := batch.next_command(now), SleepUntil | Done):
                if isinstance(command, Take):
                    if not left[which]:
                        batch.no_more()
                        continue
                    left[which] -= 1
                    batch.add(Submission(SubmitPolicy(), now, seed="s", is_in_order=True), now)
                elif isinstance(command, Turn):
                    open_task = (which, command.ordinal, now.monotonic_s + 10.0)
                    batch.receive(command.ordinal, Accepted(task_id=f"task-{which}-{command.ordinal}"), now)
            if isinstance(command, Done) or (not left[which] and open_task[0] != which and not batch.counts.waiting):
                done_s[which] = now.monotonic_s
        if max(done_s[: 2 - idle]) < math.inf:
            break
    return done_s[0], done_s[1]


def test_a_short_batch_is_not_kept_waiting_by_a_long_one() -> None:
    """Of two batches on one account each gets every other slot, and the short one is done long before the other."""
    long_s, short_s = ends_of_two((10, 2))
    assert short_s <= 45.0
    assert long_s <= 120.0 * 1.05, "and hardly a slot is idle meanwhile"


def test_whoever_does_not_ask_keeps_nobody_waiting() -> None:
    """A batch whose caller is busy while it stands in line costs the other a second, once."""
    long_s, _ = ends_of_two((10, 2), idle=True)
    assert long_s <= 103.0
