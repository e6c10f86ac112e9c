"""The waits of a batch: how long all of them pause, who is looked at when, and what stays when they are over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilient_poll.events import IllegalMove, PhaseChanged, Waiting
from resilient_poll.machine import (
    Done,
    DoneReason,
    Fixed,
    Floor,
    Instant,
    Observation,
    Phase,
    Poller,
    SleepReason,
    SleepUntil,
    StatusSeen,
    TaskRecord,
    Throttled,
    Unreachable,
    WaitPolicy,
)
from resilient_poll.machine.batch import Batch
from resilient_poll.machine.commands import BatchCommand, Settled, Turn
from resilient_poll.machine.pace import Gate, Pace
from resilient_poll.machine.slots import Account, Slots
from tests.support.machine_strategies import LIFECYCLE

WALL_S = 1_750_000_000.0
NEVER_S = 1e6


def at(seconds: float) -> Instant:
    return Instant(seconds, WALL_S + seconds)


def add(batch: Batch, policy: WaitPolicy, began_s: float = 0.0, task_floor: Floor | None = None, seed: str = "") -> int:
    """Add a task that was accepted at 0, and whose own wait may have begun at another time."""
    record = TaskRecord.accepted("task", LIFECYCLE, at(0), status="working", seed=seed or None)
    floor = batch._account.query_floor
    poller = Poller(record, LIFECYCLE, policy, at(began_s), floor=floor, task_floor=task_floor)
    return batch.add(poller, at(0), policy)


def watching(account: Account, *policies: WaitPolicy, seeds: str = "") -> Batch:
    batch = Batch(account, turns_at_once=9)
    for policy, seed in zip(policies, seeds or [""] * len(policies), strict=True):
        add(batch, policy, seed=seed)
    batch.no_more()
    return batch


def ask(batch: Batch, now_s: float) -> Turn:
    turn = batch.next_command(at(now_s))
    assert isinstance(turn, Turn), turn
    return turn


def sleep(batch: Batch, now_s: float) -> float:
    command = batch.next_command(at(now_s))
    assert isinstance(command, SleepUntil), command
    assert command.at_s > now_s
    return command.at_s


EVERY_SECOND = WaitPolicy(timeout_s=1000.0, schedule=Fixed(0.5), minimum_interval_s=0.0)


def next_turn(batch: Batch, now_s: float) -> tuple[Turn, float]:
    """Return who is asked next, and when."""
    while isinstance(command := batch.next_command(at(now_s)), SleepUntil):
        assert command.at_s > now_s
        now_s = command.at_s
    assert isinstance(command, Turn), command
    return command, now_s


def test_a_throttle_without_a_hint_makes_all_of_them_pause_and_longer_each_time() -> None:
    """All waits pause for 1, 2, 4 … 30 s, spread by a quarter, and after an answer for 1 s again."""
    batch, now_s = watching(Account(), EVERY_SECOND, EVERY_SECOND), 0.5
    turn = ask(batch, now_s)
    for longest_s in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 1.0):
        if longest_s == 1.0 and now_s > 1.0:
            batch.receive(turn.ordinal, StatusSeen(status="working"), at(now_s))
            turn, now_s = next_turn(batch, now_s)
        batch.receive(turn.ordinal, Throttled(), at(now_s))
        began_s = now_s
        turn, now_s = next_turn(batch, now_s)
        assert 0.75 * longest_s <= now_s - began_s <= 1.25 * longest_s


def test_what_is_out_together_is_one_throttle() -> None:
    """Eight queries of one instant that are all throttled in it make one pause of a second, not eight."""
    batch = watching(Account(), *[EVERY_SECOND] * 8)
    for turn in [ask(batch, 0.5) for _ in range(8)]:
        batch.receive(turn.ordinal, Throttled(), at(0.5))
    _, asked_s = next_turn(batch, 0.5)
    assert 0.75 <= asked_s - 0.5 <= 1.25


@pytest.mark.parametrize("observation", [Throttled(retry_after_s=0.0), Unreachable(reason="HTTP 502")])
def test_only_a_throttle_without_a_hint_makes_the_others_pause(observation: Observation) -> None:
    """A poll that failed, or that was told when to come back, keeps the account's others from nothing."""
    batch = watching(Account(), EVERY_SECOND, EVERY_SECOND)
    turn = ask(batch, 0.5)
    batch.receive(turn.ordinal, observation, at(0.5))
    assert ask(batch, 0.5).ordinal == 1 - turn.ordinal


def test_pauses_are_spread_by_task_and_by_poll() -> None:
    """Processes that are throttled together, each with tasks of its own, do not come back together, nor next time."""
    shares = []
    for seed in "abcdefgh":
        batch, now_s = watching(Account(), EVERY_SECOND, seeds=seed), 0.5
        first = ask(batch, now_s)
        for pause_s in (1.0, 2.0):
            batch.receive(first.ordinal, Throttled(), at(now_s))
            first, later_s = next_turn(batch, now_s)
            shares.append(round((later_s - now_s) / pause_s, 9))
            now_s = later_s
    assert len(set(shares[::2])) == len(set(shares[1::2])) == 8, "by task"
    assert all(first != second for first, second in zip(shares[::2], shares[1::2], strict=True)), "by poll"


def test_a_hint_that_is_over_opens_no_way_around_the_limit() -> None:
    """At the very instant at which a Retry-After is over, a query still needs its turn at the limit on queries."""
    account = Account(query_gate=Gate([Pace(1, 5.0, margin_s=0.0)]))
    batch = watching(account, EVERY_SECOND)
    account.query_floor.raise_to(10.0)
    assert account.query_gate.take(9.0)
    assert sleep(batch, 10.0) == 14.0


def test_whoever_leaves_gives_a_promised_query_back() -> None:
    """A turn at the limit on queries that was promised to a batch that left is the next one's."""
    account = Account(query_gate=Gate([Pace(1, 10.0, margin_s=0.0)]))
    assert account.query_gate.take(0.0)
    first, second = watching(account, EVERY_SECOND), watching(account, EVERY_SECOND)
    assert sleep(first, 1.0) == 10.0
    first.leave(at(1))
    assert sleep(second, 1.0) == 10.0


def test_nothing_is_out_or_settled_after_leaving() -> None:
    """Whoever leaves hears no more of waits that were over, and has no query out."""
    batch = watching(Account(), EVERY_SECOND, EVERY_SECOND)
    turn = ask(batch, 0.5)
    ask(batch, 0.5)
    batch.receive(turn.ordinal, StatusSeen(status="done"), at(0.5))
    assert batch.counts.open == 2
    batch.leave(at(1))
    assert batch.counts == (0, 0, 0)
    assert batch._watch.out == 0
    assert batch.next_command(at(1)) == Done(DoneReason.ENDED)


def test_whoever_polls_the_same_task_puts_off_and_loses_nothing() -> None:
    """A task that somebody else asked about just now is asked about when its own floor allows it."""
    task_floor = Floor()
    batch = Batch(Account())
    add(batch, WaitPolicy(timeout_s=1000.0), task_floor=task_floor)
    batch.no_more()
    task_floor.raise_to(3.4)
    assert sleep(batch, 3.0) == 3.4
    ask(batch, 3.4)


def test_a_wait_that_can_ask_no_more_is_settled_at_once() -> None:
    """Where somebody else's poll of the same task leaves no time for another one, the wait is over then, and told."""
    task_floor = Floor()
    batch = Batch(Account())
    add(batch, WaitPolicy(timeout_s=30.0, schedule=Fixed(29.5)), task_floor=task_floor)
    batch.no_more()
    task_floor.raise_to(30.2)
    assert batch.next_command(at(29.8)) == Settled(0, Done(DoneReason.DEADLINE))
    assert batch.next_command(at(29.8)) == Done(DoneReason.ENDED)


def test_a_wait_between_two_queries_can_be_forgotten() -> None:
    """Whoever is left alone while no query of its own is out takes nobody else's turn along."""
    batch = watching(Account(), EVERY_SECOND, EVERY_SECOND)
    turns = [ask(batch, 0.5), ask(batch, 0.5)]
    batch.receive(turns[0].ordinal, StatusSeen(status="working"), at(0.6))
    batch.forget(turns[0].ordinal, at(0.7))
    assert (batch._watch.out, len(batch._watch)) == (1, 1)


def test_limits_of_waits_that_are_gone_hide_none_that_is_due() -> None:
    """At the limit of a wait it is over at the first question, however many were forgotten before it."""
    account = Account()
    batch = watching(account, *[WaitPolicy(timeout_s=10.0 + number) for number in range(4)])
    account.query_floor.raise_to(NEVER_S)
    for ordinal in range(3):
        batch.forget(ordinal, at(5))
    assert batch.next_command(at(13)) == Settled(3, Done(DoneReason.COME_BACK_LATER, NEVER_S))


def test_looks_at_a_wait_that_is_not_over_yet_get_rarer() -> None:
    """A wait whose own end is later than it was known to be is looked at after 0.01 s, 0.02 s … and each second."""
    account = Account(query_gate=Gate([Pace(1, 3600.0)]))
    assert account.query_gate.take(0.0)
    batch = Batch(account)
    add(batch, WaitPolicy(timeout_s=30.0), began_s=9.0)
    batch.no_more()
    now_s, gaps_s = sleep(batch, 10.0), []
    assert now_s == 30.0
    while isinstance(command := batch.next_command(at(now_s)), SleepUntil):
        gaps_s.append(command.at_s - now_s)
        now_s = command.at_s
    doubling_s = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64]
    assert gaps_s == pytest.approx([*doubling_s, *[1.0] * (len(gaps_s) - 7)])
    assert command == Settled(0, Done(DoneReason.DEADLINE))
    assert 39.0 <= now_s < 40.0


def test_looks_are_soon_again_in_another_phase() -> None:
    """A task that moved on gets its first look within the margin again when the limit of its new phase is there."""
    limits_s = {Phase.QUEUED: 5.0, Phase.RUNNING: 5.0}
    policy = WaitPolicy(timeout_s=100.0, phase_limits_s=limits_s, schedule=Fixed(1.0), minimum_interval_s=0.0)
    account = Account()
    batch = Batch(account)
    record = TaskRecord.accepted("task", LIFECYCLE, at(0), status="waiting")
    batch.add(Poller(record, LIFECYCLE, policy, at(3.0)), at(0), policy)
    batch.no_more()
    account.query_floor.raise_to(5.0)
    for now_s, wakes_s in ((4.9, 5.0), (4.95, 5.0)):
        assert sleep(batch, now_s) == wakes_s
    turn = ask(batch, 5.0)
    batch.receive(turn.ordinal, StatusSeen(status="working"), at(5.5))
    assert batch._watch._entries[0].look_again_s == pytest.approx(0.01)


def test_what_is_kept_of_waits_that_are_over_is_bounded() -> None:
    """After any wait was over, no more limits are kept than two for each that is open, and sixty-four."""
    changing = replace(EVERY_SECOND, timeout_s=9999.0, phase_limits_s={Phase.QUEUED: 500.0, Phase.RUNNING: 500.0})
    rare = WaitPolicy(schedule=Fixed(200.0))
    batch = watching(Account(), *[rare] * 200, changing)
    for ordinal in range(199):
        batch.forget(ordinal, at(0.1))
        assert len(batch._watch._limits) <= 2 * batch.counts.open + 64
    for step in range(1, 100):
        turn = ask(batch, float(step))
        batch.receive(turn.ordinal, StatusSeen(status=("waiting", "working")[step % 2]), at(step))
    batch.forget(199, at(101))
    assert len(batch._watch._limits) <= 2 * 1 + 64


def test_waits_end_in_order_however_many_others_were_given_up() -> None:
    """After most of two hundred waits were given up, one's query still out, each of the rest ends at its own time."""
    account = Account()
    account.query_floor.raise_to(3.0)
    batch = Batch(account, turns_at_once=2)
    add(batch, WaitPolicy(timeout_s=4.0, schedule=Fixed(3.0)))
    for number in range(200):
        add(batch, WaitPolicy(timeout_s=1000.0 - number, schedule=Fixed(900.0)))
    batch.no_more()
    ask(batch, 3.5)
    assert sleep(batch, 4.0) > 4.0, "its answer is on the way, and decides"
    for ordinal in range(1, 197):
        batch.forget(ordinal, at(5))
    account.query_floor.raise_to(NEVER_S)
    ended: list[tuple[float, int]] = []
    now_s = 6.0
    command: BatchCommand
    while not isinstance(command := batch.next_command(at(now_s)), Done) and len(ended) < 4:
        if isinstance(command, SleepUntil):
            now_s = command.at_s
        elif isinstance(command, Settled):
            ended.append((now_s, command.ordinal))
    assert ended == [(801.0, 200), (802.0, 199), (803.0, 198), (804.0, 197)]


def test_a_task_that_is_waited_for_late_counts_as_open_from_then() -> None:
    """The last of those open beside a probe proves the larger cap when its wait begins, and one more may go."""
    slots = Slots()
    slots.adopt(("us", 0))
    assert slots.start(("us", 1), 0.0)
    assert slots.throttle(("us", 1), 0.0)
    assert slots.learned == 1
    slots.end(("us", 0))
    batch = Batch(Account(slots=slots))
    ordinal = batch.skip()
    assert slots.start((batch, ordinal), 10.0)
    slots.accept((batch, ordinal), 10.0)
    assert slots.start(("us", 2), 70.0)
    slots.accept(("us", 2), 70.0)
    record = TaskRecord.accepted("task", LIFECYCLE, at(10), status="working")
    batch.go_on(ordinal, Poller(record, LIFECYCLE, WaitPolicy(), at(71)), WaitPolicy(), at(71))
    assert slots.learned == 2
    assert slots.free_at_s(70.5) == 71.0


def test_what_becomes_of_a_wait_is_told_once_and_in_order() -> None:
    """Each pause is told once with its end and its reason, and what an answer changed before the pause after it."""
    batch = watching(Account(), WaitPolicy())
    assert batch.take_events() == (Waiting("task", 0.0, 3.0, SleepReason.SCHEDULE),)
    assert sleep(batch, 1.0) == sleep(batch, 2.0) == 3.0
    turn = ask(batch, 3.0)
    assert batch.take_events() == ()
    batch.receive(turn.ordinal, StatusSeen(status="waiting"), at(4))
    told = batch.take_events()
    assert [type(event) for event in told] == [IllegalMove, PhaseChanged, Waiting]
    assert told[-1] == Waiting("task", 4.0, 7.0, SleepReason.SCHEDULE)


@pytest.mark.parametrize(("word", "may_go"), [("waiting", False), ("working", True)])
def test_what_waits_in_the_services_own_queue_is_known_from_the_last_answer(word: str, may_go: bool) -> None:
    """A service that queues is given no fifth task while four wait there, whether that was heard first or last."""
    account = Account(slots=Slots(refuses=False))
    batch = Batch(account, turns_at_once=9)
    other = {"waiting": "working", "working": "waiting"}[word]
    for number in range(4):
        record = TaskRecord.accepted(f"task-{number}", LIFECYCLE, at(0), status=other)
        batch.add(Poller(record, LIFECYCLE, EVERY_SECOND, at(0)), at(0), EVERY_SECOND)
    batch.no_more()
    assert (account.slots.free_at_s(0.0) == 0.0) is not may_go
    for _ in range(4):
        turn = ask(batch, 0.5)
        batch.receive(turn.ordinal, StatusSeen(status=word), at(0.6))
    assert (account.slots.free_at_s(0.6) == 0.6) is may_go


@pytest.mark.parametrize(("word", "free_s"), [("done", 1.0), ("working", 61.0)])
def test_a_slot_is_free_when_the_end_was_seen(word: str, free_s: float) -> None:
    """A task that ended frees its slot, and one that only nobody waits for any more counts for another minute."""
    account = Account(slots=Slots(1))
    batch = watching(account, replace(EVERY_SECOND, timeout_s=1.0))
    turn = ask(batch, 0.9)
    assert account.slots.free_at_s(0.9) > 0.9
    batch.receive(turn.ordinal, StatusSeen(status=word), at(1))
    assert isinstance(batch.next_command(at(1)), Settled)
    assert account.slots.free_at_s(1.0) == free_s


def test_what_answers_say_of_the_others_counts_from_when_it_is_heard() -> None:
    """A cap that an answer proves is probed further at once, and an answer that brings no status proves nothing."""
    slots = Slots()
    batch = watching(Account(slots=slots), EVERY_SECOND)
    assert slots.start(("us", 1), 0.0)
    assert slots.throttle(("us", 1), 0.0)
    assert slots.start(("us", 2), 60.0)
    slots.accept(("us", 2), 60.0)
    turn = ask(batch, 61.0)
    batch.receive(turn.ordinal, Unreachable(reason="HTTP 502"), at(62))
    assert slots.learned == 1
    turn, now_s = next_turn(batch, 62.0)
    batch.receive(turn.ordinal, StatusSeen(status="working"), at(now_s))
    assert slots.learned == 2
    assert slots.free_at_s(now_s) == now_s


def test_a_query_that_broke_is_not_out_any_more() -> None:
    """A wait that is forgotten while its query is out leaves its turn to the next."""
    batch = Batch(Account(), turns_at_once=1)
    for _ in range(2):
        add(batch, EVERY_SECOND)
    batch.no_more()
    broken = ask(batch, 0.5)
    assert isinstance(batch.next_command(at(0.5)), SleepUntil)
    batch.forget(broken.ordinal, at(0.6))
    assert ask(batch, 0.6).ordinal == 1 - broken.ordinal
