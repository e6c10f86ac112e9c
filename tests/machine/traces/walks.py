"""Walks: what the machine was asked, what it answered, and what it said had happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from resilient_poll.machine import (
    Accepted,
    Billing,
    Done,
    Exponential,
    Fixed,
    Floor,
    Instant,
    Linear,
    LostAnswer,
    Observation,
    Phase,
    Poller,
    Query,
    Refused,
    SleepUntil,
    StatusSeen,
    Submission,
    Submit,
    SubmitPolicy,
    SubmitStarted,
    TaskRecord,
    Throttled,
    Unreachable,
    Unreadable,
    WaitPolicy,
    snapshot,
)
from resilient_poll.machine.observations import NoSlotFree
from resilient_poll.machine.pace import Gate, Pace
from resilient_poll.machine.slots import Account, Slots
from tests.machine.traces import parts
from tests.support.batch_world import Job, Service, run_batch
from tests.support.machine_strategies import LIFECYCLE
from tests.support.written import shown

HERE = Path(__file__).parent
WALL_S = 1_750_000_000.0
WORDS = ("waiting", "waiting", "working", "working", "who?", "novel", "broken", "stopped", "done", "done")


def poller_policy(chance: Random) -> WaitPolicy:
    """Draw the limits of a wait."""
    schedule = chance.choice([Fixed(), Fixed(5.0, first_s=1.0), Linear(1.0, 1.5, 6.0), Exponential(1.0, 20.0, 1.7)])
    return WaitPolicy(
        timeout_s=chance.choice([0.4, 8.0, 30.0, 90.0, 300.0]),
        deadline_wall_s=chance.choice([None, None, WALL_S + 40.0]),
        attempt_timeout_s=chance.choice([2.0, 15.0]),
        phase_limits_s=chance.choice([{}, {}, {Phase.QUEUED: 20.0}, {Phase.RUNNING: 12.5}]),
        max_failures_in_a_row=chance.choice([None, None, 3]),
        max_failing_s=chance.choice([None, None, 10.0]),
        unrecognized_grace_s=chance.choice([5.0, 60.0]),
        unrecognized_grace_once_seen_s=chance.choice([12.0, 120.0]),
        schedule=schedule,
        start_spread_s=chance.choice([0.0, 4.0]),
    )


def poll_answer(chance: Random) -> Observation:
    """Draw what a query brings."""
    hint_s = chance.choice([None, None, None, 0.0, 2.0, 9.0, 400.0])
    match chance.randrange(10):
        case 0:
            return Throttled(retry_after_s=hint_s, code="Throttling", request_id=f"r-{chance.randrange(9)}")
        case 1:
            return Unreachable(reason="HTTP 502", retry_after_s=hint_s)
        case 2:
            return Unreachable(reason="ReadError", retry_after_ignored=chance.choice([None, "soon"]))
        case 3:
            return Unreadable(reason="HTML")
        case 4 if chance.random() < 0.15:
            return Refused(http_status=401, retry_after_s=hint_s)
    return StatusSeen(
        status=chance.choice(WORDS),
        result_readable=chance.random() < 0.7,
        retry_after_s=hint_s if chance.random() < 0.3 else None,
        retry_after_ignored="long" if chance.random() < 0.05 else None,
        made_nothing=chance.random() < 0.05,
        billing=chance.choice([None, None, None, None, Billing.PARTIAL_POSSIBLE, Billing.BILLED]),
        code=chance.choice([None, "c"]),
        ended_ago_s=chance.choice([None, 0.5, 30.0, -3.0]),
        request_id=chance.choice([None, "q"]),
    )


def wait_walk(number: int) -> Iterator[str]:
    """One task, waited for up to three times, with every kind of answer."""
    chance, now_s = Random(number), 100.0  # noqa: S311  # a walk, no secret
    first = Instant(now_s, WALL_S)
    record = TaskRecord.accepted("task-1", LIFECYCLE, first, status=chance.choice([None, "waiting", "working"]))
    floor = Floor()
    poller = Poller(record, LIFECYCLE, poller_policy(chance), first, floor=floor, task_floor=Floor())
    poller.is_heard = number % 2 == 0
    waits = 1
    for _ in range(60):
        now = Instant(now_s, WALL_S + now_s - 100.0)
        command = poller.next_command(now)
        yield f"{shown(now_s)} {shown(command)}"
        match command:
            case SleepUntil(at_s):
                now_s = at_s if chance.random() < 0.8 else (now_s + at_s) / 2
            case Query():
                now_s += chance.choice([0.0, 0.2, 1.0])
                heard = poll_answer(chance)
                events = poller.receive(heard, Instant(now_s, WALL_S + now_s - 100.0))
                yield f"  {shown(heard)}"
                yield from (f"    {shown(event)}" for event in events)
                yield f"    {shown(snapshot.take(poller.record, Instant(now_s, WALL_S + now_s - 100.0)))}"
                yield f"    floor {shown(floor.not_before_s)} answered {poller.was_answered} {poller.billing}"
            case Done():
                if waits == 3:
                    return
                waits += 1
                now_s += 3.0
                poller.begin_wait(poller_policy(chance), Instant(now_s, WALL_S + now_s - 100.0), look=waits == 3)


def submit_answer(chance: Random) -> Observation:
    """Draw what a create brings."""
    hint_s = chance.choice([None, None, 2.0, 9.0, 90.0])
    return chance.choice(
        [
            Throttled(retry_after_s=hint_s, code="Throttling"),
            Throttled(retry_after_ignored="soon"),
            Unreachable(reason="refused", retry_after_s=hint_s),
            Unreachable(reason="refused", retry_after_ignored="x"),
            NoSlotFree(reason="full", look_again_s=4.0),
            Refused(http_status=400, retry_after_s=hint_s) if chance.random() < 0.3 else Throttled(),
            LostAnswer(reason="gone", retry_after_s=hint_s)
            if chance.random() < 0.3
            else NoSlotFree(reason="full", look_again_s=0.5),
            Accepted(task_id="task-9", status="waiting") if chance.random() < 0.5 else Throttled(),
        ]
    )


def submit_walk(number: int) -> Iterator[str]:
    """Two submits of one account side by side, with every kind of answer."""
    chance, now_s = Random(1000 + number), 50.0  # noqa: S311  # a walk, no secret
    floor = Floor()
    policy = SubmitPolicy(timeout_s=chance.choice([20.0, 60.0, 300.0]), minimum_s=chance.choice([0.0, 5.0]))
    now = Instant(now_s, WALL_S)
    both = [Submission(policy, now, seed=f"s{at}", floor=floor, is_in_order=number % 3 == 0) for at in range(2)]
    for _ in range(40):
        submission = both[chance.randrange(2)]
        now = Instant(now_s, WALL_S + now_s)
        command = submission.next_command(now)
        yield f"{shown(now_s)} {submission.seed} {shown(command)}"
        match command:
            case SleepUntil(at_s):
                now_s = at_s if chance.random() < 0.7 else (now_s + at_s) / 2
                if chance.random() < 0.1:
                    submission.begin_again(Instant(now_s, WALL_S + now_s))
            case Submit():
                for observation in (SubmitStarted(), submit_answer(chance)):
                    events = submission.receive(observation, Instant(now_s, WALL_S + now_s))
                    yield f"  {shown(observation)}: {shown(events)}"
                    now_s += chance.choice([0.0, 0.3])
                yield f"  {submission.phase} {submission.attempts} {submission.task_id} {shown(submission.last)}"
                yield f"  floor {shown(vars_of(floor))} last start {shown(submission.last_start_s)}"
            case Done():
                now_s += 1.0
                if all(isinstance(each.next_command(Instant(now_s, WALL_S + now_s)), Done) for each in both):
                    return


def vars_of(floor: Floor) -> dict[str, float]:
    """Return what a floor knows."""
    return {name: getattr(floor, name) for name in ("not_before_s", "crowded_until_s", "looks_from_s")}


def batch_walk(number: int) -> Iterator[str]:
    """Many jobs of one account, over caps, paces and troubles."""
    chance = Random(2000 + number)  # noqa: S311  # a walk, no secret
    troubles = ("unreachable", "throttled", "refused", "lost")
    jobs = [
        Job(chance.choice([2.0, 11.0, 20.0, 33.0]), tuple(chance.choices(troubles, k=chance.choice([0, 0, 0, 1, 2]))))
        for _ in range(chance.choice([3, 7, 12]))
    ]
    service = Service(
        cap=chance.choice([1, 2, 5]),
        refuses=number % 2 == 0,
        latency_s=chance.choice([0.0, 0.2, 1.5]),
        hints=number % 3 != 0,
    )
    account = Account(
        create_gate=Gate([Pace(chance.choice([1, 3]), chance.choice([1.0, 5.0]))] if number % 4 == 1 else []),
        query_gate=Gate([Pace(chance.choice([1, 2]), 1.0)] if number % 4 == 2 else []),
        slots=Slots(
            chance.choice([None, None, service.cap]), refuses=service.refuses, side_by_side=chance.random() < 0.3
        ),
    )
    ran = run_batch(
        jobs,
        service,
        account,
        turns_at_once=chance.choice([1, 2, 8]),
        submit_policy=SubmitPolicy(timeout_s=chance.choice([60.0, 300.0])),
        wait_policy=WaitPolicy(timeout_s=chance.choice([15.0, 300.0]), phase_limits_s={Phase.QUEUED: 60.0}),
        deadline_s=chance.choice([None, None, 50.0]),
    )
    yield from map(shown, ran.events)
    yield f"creates {shown(service.creates)}"
    yield f"queries {shown(service.queries_s)}"
    yield f"finished {shown(ran.finished)} after {shown(ran.took_s)}, asked {ran.asked} times"
    yield f"most open {service.most_open}, taken {ran.most_taken}, learned {account.slots.learned}"


WALKS: dict[str, tuple[Callable[[int], Iterator[str]], int]] = {
    "waits": (wait_walk, 20),
    "submits": (submit_walk, 12),
    "batches": (batch_walk, 12),
    "slots": (parts.slots_walk, 9),
    "paces": (parts.paces_walk, 8),
    "lookups": (parts.lookups_walk, 12),
    "snapshots": (parts.snapshots_walk, 6),
    "sharing": (parts.sharing_walk, 5),
}


def walk(name: str) -> Iterator[str]:
    """Tell the walks of a kind as they go now."""
    go, count = WALKS[name]
    for number in range(count):
        yield f"# {number}"
        yield from go(number)
