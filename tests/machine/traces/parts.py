"""Walks of the machine's parts: slots, paces, look-ups, snapshots, and batches that share an account.

Times here are halves of seconds and limits are hit exactly: what happens at the very instant is written down as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from resilient_poll.errors import ResilientPollError
from resilient_poll.machine import (
    Accepted,
    AnsweredAtOnce,
    Floor,
    Instant,
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
from resilient_poll.machine.batch import Batch
from resilient_poll.machine.commands import Settled, Take, Turn
from resilient_poll.machine.lifecycle import Lifecycle
from resilient_poll.machine.lookup import Lookup
from resilient_poll.machine.observations import NoSlotFree
from resilient_poll.machine.pace import Gate, InTurn, Pace, Place
from resilient_poll.machine.slots import Account, Slots
from tests.support.machine_strategies import LIFECYCLE
from tests.support.written import shown

WALL_S = 1_750_000_000.0
STEPS_S = (0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 3.0, 10.0, 60.0)


def at(seconds: float) -> Instant:
    """Return an instant."""
    return Instant(seconds, WALL_S + seconds)


def drawn(number: int) -> Random:
    """Return the draws of a walk."""
    return Random(number)  # noqa: S311  # a walk, no secret


class Watched:
    """A guard that counts how often it was held."""

    def __init__(self) -> None:
        self.held = 0

    def __enter__(self) -> None:
        self.held += 1

    def __exit__(self, *_: object) -> None:
        return None


def slots_walk(number: int) -> Iterator[str]:
    """Slots under every call, by two owners."""
    chance, now_s, guard = drawn(number), 100.0, Watched()
    declared = chance.choice([None, None, None, 2])
    refuses, side_by_side = number % 3 != 2, chance.random() < 0.5
    slots = Slots(declared, refuses=refuses, side_by_side=side_by_side, guard=guard)
    owners = ("a", "b", "c")
    yield f"# declared {declared} refuses {refuses} side by side {side_by_side}"
    for _ in range(70):
        owner = chance.choice(owners)
        task = (owner, chance.randrange(4))
        calls: dict[str, Callable[[], Any]] = {
            "turn": lambda: slots.turn_at_s(owner, now_s),  # noqa: B023  # called at once
            "start": lambda: slots.start(task, now_s),  # noqa: B023  # called at once
            "accept": lambda: slots.accept(task, now_s),  # noqa: B023  # called at once
            "throttle": lambda: slots.throttle(task, now_s),  # noqa: B023  # called at once
            "drop": lambda: slots.drop(task),  # noqa: B023  # called at once
            "adopt": lambda: slots.adopt(task),  # noqa: B023  # called at once
            "saw": lambda: slots.saw(task, now_s, is_queued=False),  # noqa: B023  # called at once
            "queued": lambda: slots.saw(task, now_s, is_queued=True),  # noqa: B023  # called at once
            "end": lambda: slots.end(task),  # noqa: B023  # called at once
            "look away": lambda: slots.look_away(task, now_s),  # noqa: B023  # called at once
            "leave": lambda: slots.leave(owner, now_s),  # noqa: B023  # called at once
        }
        weights = (5, 4, 4, 3, 1, 1, 3, 2, 2, 1, 0.6)
        name = chance.choices(list(calls), weights)[0]
        outcome = calls[name]()
        yield (
            f"{shown(now_s)} {name} {task[0]}{task[1]}: {shown(outcome)} free {shown(slots.free_at_s(now_s))} "
            f"in flight {slots.in_flight} learned {slots.learned} held {guard.held}"
        )
        now_s += chance.choice(STEPS_S)


def paces_walk(number: int) -> Iterator[str]:
    """Paces, gates and places, and machines that send in their turn."""
    chance, now_s, guard = drawn(500 + number), 10.0, Watched()
    paces = [Pace(chance.choice([1, 2, 3]), chance.choice([1.0, 2.0]), margin_s=chance.choice([0.0, 0.5]))]
    paces += [Pace(4, 5.0)] * (number % 2)
    gate = Gate(paces if number % 5 else [], guard)
    places = [Place(gate) for _ in range(3)]
    policy = WaitPolicy(timeout_s=8.0, attempt_timeout_s=2.0)
    record = TaskRecord.accepted("t-1", LIFECYCLE, at(now_s), status="working")
    machines = [
        InTurn(Poller(record, LIFECYCLE, policy, at(now_s)), gate),
        InTurn(Submission(SubmitPolicy(timeout_s=6.0, minimum_s=1.0), at(now_s), seed="s"), gate),
        InTurn(Lookup(timeout_s=5.0, attempt_timeout_s=2.0, now=at(now_s), seed="l"), gate),
    ]
    yield f"# {[(pace.count, pace.window_s) for pace in paces]} open {gate.is_open}"
    for _ in range(50):
        place = chance.randrange(3)
        match chance.randrange(9):
            case 0:
                told = f"earliest {gate.earliest_s(now_s):.6f} {paces[0].earliest_s(now_s):.6f}"
            case 1:
                told = f"take {gate.take(now_s)!r} {paces[0].take(now_s)!r}"
            case 2:
                told = f"turn of {place} {places[place].turn_s(now_s):.6f}"
            case 3:
                places[place].go()
                told = f"{place} goes"
            case 4:
                places[place].leave()
                told = f"{place} leaves"
            case 5:
                gate.release(now_s + 1.0)
                told = "released"
            case _:
                command = machines[place].next_command(at(now_s))
                told = f"{machines[place].task_id} {shown(command)}"
                if isinstance(command, Query):
                    heard: Observation = StatusSeen(status="working") if place == 0 else Unreachable(reason="x")
                    told += f" {shown(machines[place].receive(heard, at(now_s)))}"
                elif isinstance(command, Submit):
                    told += f" {shown(machines[place].receive(SubmitStarted(), at(now_s)))}"
                    told += f" {shown(machines[place].receive(Throttled(), at(now_s)))}"
        yield f"{shown(now_s)} {told}, held {guard.held}"
        now_s += chance.choice([0.0, 0.0, 0.1, 0.5, 0.5, 1.0])


def lookups_walk(number: int) -> Iterator[str]:
    """Look-ups, with every kind of answer."""
    chance, now_s = drawn(600 + number), 50.0
    floor = Floor()
    lookup = Lookup(timeout_s=10.0, attempt_timeout_s=3.0, now=at(now_s), seed=f"l{number}", floor=floor)
    if number == 0:
        floor.raise_to(60.0)
    for _ in range(12):
        command = lookup.next_command(at(now_s))
        yield f"{shown(now_s)} {shown(command)}"
        if isinstance(command, SleepUntil):
            now_s = command.at_s if chance.random() < 0.8 else (command.at_s + now_s) / 2
        elif isinstance(command, Query):
            now_s += chance.choice([0.0, 0.5])
            hint_s = chance.choice([None, None, 0.5, 2.0, 60.0 - now_s])
            heard = chance.choice(
                [
                    Throttled(retry_after_s=hint_s, code="T"),
                    Throttled(retry_after_s=hint_s, code="T"),
                    Unreachable(reason="x", retry_after_s=hint_s, retry_after_ignored="soon"),
                    Unreadable(reason="html"),
                    Refused(http_status=401, retry_after_s=7.0)
                    if number % 4 == 1
                    else Throttled(retry_after_ignored="y"),
                    AnsweredAtOnce(result={}, retry_after_s=hint_s) if number % 4 == 2 else Unreadable(reason="y"),
                ]
            )
            yield f"  {shown(heard)} {shown(lookup.receive(heard, at(now_s)))}"
            yield f"  {lookup.attempts} {shown(lookup.last)} {shown(lookup.answered)} floor {shown(floor.not_before_s)}"
        else:
            return


def snapshots_walk(number: int) -> Iterator[str]:
    """Snapshots: what is kept, what a damaged one is called, and what clocks do to it."""
    chance = drawn(700 + number)
    record = TaskRecord.accepted("t-1", LIFECYCLE, at(10.0), status=chance.choice([None, "working"]))
    retention = Lifecycle(name="short", statuses=LIFECYCLE.statuses, retention_s=chance.choice([5.0, 90.0]))
    poller = Poller(record, retention, WaitPolicy(unrecognized_grace_s=30.0), at(10.0))
    now_s = 11.0
    for _ in range(chance.randrange(1, 6)):
        word = chance.choice(["working", "who?", "novel", "done", "waiting"])
        heard = chance.choice(
            [
                StatusSeen(status=word, request_id="r-7", code="c", ended_ago_s=chance.choice([0.0, 1.0, -1.0, 2.0])),
                Throttled(retry_after_s=20.0, request_id="r-8"),
            ]
        )
        poller.is_heard = chance.random() < 0.5
        yield f"{shown(now_s)} {shown(poller.receive(heard, at(now_s)))}"
        now_s += chance.choice([1.0, 29.0, 30.0, 90.0])
    kept = snapshot.take(poller.record, at(now_s))
    for monotonic_s, wall_s in ((now_s, now_s), (5.0, now_s + 100.0), (5.0, now_s - 100.0), (0.0, 0.0)):
        restored = snapshot.restore(kept, Instant(monotonic_s, WALL_S + wall_s))
        yield f"{monotonic_s} {wall_s} {shown(restored)} {restored.result_readable} {restored.accepted_at!r}"
        again = snapshot.take(restored, Instant(monotonic_s, WALL_S + wall_s))
        yield f"  {shown({name: value for name, value in again.items() if value != kept[name]})}"
    odd: tuple[Any, ...] = (
        None,
        "",
        "x",
        "x" * 200,
        "x" * 201,
        "x" * 5000,
        0,
        1,
        -1,
        1e15,
        1e16,
        math.inf,
        True,
        [],
        {},
    )
    for name in sorted(kept):
        for value in (
            *odd,
            {"RUNNING": 1.0},
            {"RUNNING": -1},
            {"NO": 1},
            WALL_S + now_s + 604_800.0,
            WALL_S + now_s + 1e6,
        ):
            try:
                told = shown(getattr(snapshot.restore({**kept, name: value}, at(now_s)), name, None))[:40]
            except ResilientPollError as error:
                told = str(error)[:160]
            if number == 0:
                yield f"{name} {str(value)[:20]}: {told}"
    for thing in (7, {}, []):
        try:
            snapshot.restore(thing, at(0.0))  # type: ignore[arg-type]  # damaged on purpose
        except ResilientPollError as error:
            yield str(error)


def sharing_walk(number: int) -> Iterator[str]:
    """Two batches on one account: turns, slots, forgotten requests, accepted elsewhere, and who leaves first."""
    chance, now_s = drawn(800 + number), 20.0
    account = Account(
        create_gate=Gate([Pace(2, 3.0)] if number % 3 == 0 else []),
        query_gate=Gate([Pace(2, 1.0)] if number % 3 == 1 else []),
        slots=Slots(chance.choice([None, 2, 3]), refuses=number % 2 == 0),
    )
    batches = [Batch(account, turns_at_once=turns, deadline_s=end_s) for turns, end_s in ((2, None), (3, 90.0))]
    wanted = [5, 4]
    out: list[tuple[int, int, Any]] = []
    for _ in range(110):
        which = chance.randrange(2)
        batch, now = batches[which], at(now_s)
        command = batch.next_command(now)
        told = f"{shown(now_s)} {which} {shown(command)}"
        match command:
            case Take():
                if wanted[which] == 0:
                    batch.no_more()
                elif chance.random() < 0.2:
                    wanted[which] -= 1
                    told += f" skipped {batch.skip()}"
                elif chance.random() < 0.3:
                    wanted[which] -= 1
                    known = TaskRecord.accepted(f"known-{number}", LIFECYCLE, now, status="waiting")
                    told += f" {batch.add(Poller(known, LIFECYCLE, WaitPolicy(), now), now)}"
                else:
                    wanted[which] -= 1
                    policy = SubmitPolicy(timeout_s=30.0)
                    new = Submission(policy, now, seed=f"{which}", floor=account.create_floor, is_in_order=True)
                    told += f" {batch.add(new, now, WaitPolicy())}"
            case Turn(ordinal, sending):
                out.append((which, ordinal, sending))
            case Settled(ordinal, done):
                if str(done.reason) == "ACCEPTED" and chance.random() < 0.8:
                    record = TaskRecord.accepted(f"t-{which}-{ordinal}", LIFECYCLE, now, status="waiting")
                    limits = WaitPolicy(timeout_s=25.0, phase_limits_s={Phase.QUEUED: 12.0})
                    batch.go_on(ordinal, Poller(record, LIFECYCLE, limits, now, floor=account.query_floor), limits, now)
                elif str(done.reason) == "ACCEPTED":
                    batch.forget(ordinal, now, frees_slot=chance.random() < 0.5)
        yield told
        if out and chance.random() < 0.6:
            yield _answered(chance, batches, out, now)
        yield from (f"    {shown(event)}" for event in batch.take_events())
        slots = account.slots
        free_s = shown(slots.free_at_s(now_s))
        yield f"  {shown(batch.counts)} {slots.in_flight} learned {slots.learned} free {free_s}"
        now_s += chance.choice([0.0, 0.0, 0.5, 0.5, 1.0, 3.0])
        if chance.random() < 0.01:
            batch.leave(at(now_s))
            out = [each for each in out if each[0] != which]
            yield f"{which} leaves"


def _answered(chance: Random, batches: list[Batch], out: list[tuple[int, int, Any]], now: Instant) -> str:
    which, ordinal, sending = out.pop(chance.randrange(len(out)))
    if chance.random() < 0.06:
        batches[which].forget(ordinal, now, frees_slot=chance.random() < 0.5)
        return f"  {which}.{ordinal} broke"
    heard: Observation
    if isinstance(sending, Submit):
        heard = chance.choice(
            [
                Accepted(task_id=f"t-{which}-{ordinal}", status="waiting"),
                Accepted(task_id=f"t-{which}-{ordinal}", status="waiting"),
                Throttled(retry_after_s=chance.choice([None, 3.0])),
                NoSlotFree(reason="full", look_again_s=2.0),
                Unreachable(reason="x"),
                LostAnswer(reason="gone") if chance.random() < 0.3 else NoSlotFree(reason="full", look_again_s=0.5),
                Refused(http_status=400) if chance.random() < 0.3 else Throttled(),
            ]
        )
    else:
        words = ["waiting", "working", "working", "done", "broken"]
        heard = chance.choice([StatusSeen(status=chance.choice(words)), StatusSeen(status="working"), Throttled()])
    batches[which].receive(ordinal, heard, now)
    return f"  {which}.{ordinal} heard {shown(heard)}"
