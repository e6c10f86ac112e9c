"""One worker's work: whom to ask about, whom to tell, and when to look into the ledger. Pure.

A shift holds tasks that it leased, and parcels: ends that the application was not told of. What it
returns from :meth:`Shift.next_command` is carried out by a driver, which says what came of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Generic, TypeVar

from resilient_poll.dashscope.task_core import TaskCore
from resilient_poll.dashscope.workers.duty import Found, Heard, Parcel, Plan, Scan, Tell, WorkerCounts, pause_s
from resilient_poll.drive.telling import logger
from resilient_poll.events import Event
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.batch import Batch
from resilient_poll.machine.commands import Done, DoneReason, Settled, SleepReason, SleepUntil, Turn
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import OPEN, Phase
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.policy import WaitPolicy
from resilient_poll.machine.slots import Account

__all__ = ["LEASE_S", "Shift"]

HELD_AT_ONCE = 500
"""Tasks that one worker asks about in turn, a few MB: at 20 queries a second each has its turn every 25 s."""
PORTION = 200
"""Rows that one look into the ledger takes at most, so that its transaction stays a matter of milliseconds."""
SCAN_S = 10.0
"""How often the ledger is looked into for what others submitted or left: a task takes a minute and more, and its
result waits at the service for hours, so ten seconds cost nobody anything."""
SCAN_SOONEST_S = 1.0
"""How soon it is looked into again after a hint that there is something: once a second, however many hints come."""
LEASE_S = 30.0
"""How long a task stays with a worker that is not heard of: killed, its tasks wait for half a minute. Three scans
fit in, so that one that fails takes nothing away."""
TURN_S = 30.0
"""How long a worker that has more than it can hold keeps a task before another one gets its place."""
REST_S = 300.0
"""How long a task rests after the service refused to say anything of it: a key takes minutes to be mended."""
MOST_PARCELS = 1000
"""Ends that one worker has in hand; more stay in the ledger until there is room."""
TRIES_UNTIL_IDLE = 3
"""How often a handler is called for one end by a worker that is to come to rest."""
NEVER_S = 1e8
"""How long a worker waits for one task: three years. Nothing but an end, or a refusal to say, ends it."""

AnyTask = TypeVar("AnyTask", bound=TaskCore)


@dataclass(slots=True)
class _Held(Generic[AnyTask]):
    entry: Entry
    task: AnyTask
    taken_s: float
    renew_s: float
    polls_then: int
    ordinal: int | None = None
    is_out: bool = False
    is_woken: bool = False
    is_leaving: bool = False


@dataclass(slots=True)
class Shift(Generic[AnyTask]):
    """What one worker does next.

    Args:
        account: What the account's tasks share: its floors and its pace.
        policy: How its tasks are asked about; its time limits do not count here.
        new_task: Makes a task of the ledger's entry.
        publish: Is told what happens to the tasks.
        queries: How many queries may be out at once.
        handlers: How many handlers may be at work at once.
        handler_s: How long a handler may take, in seconds: an end that another saw is his for so long.
        until_idle: Whether to stop when there is nothing left to do.
        until_s: When to stop, in monotonic seconds.
    """

    account: Account
    policy: WaitPolicy
    new_task: Callable[[Entry, Instant], AnyTask]
    publish: Callable[[Event], None]
    queries: int
    handlers: int
    handler_s: float
    until_idle: bool = False
    until_s: float = math.inf
    held: dict[str, _Held[AnyTask]] = field(default_factory=dict)
    parcels: dict[int, Parcel[AnyTask]] = field(default_factory=dict)
    _batch: Batch = field(init=False)
    _by_ordinal: dict[int, _Held[AnyTask]] = field(default_factory=dict)
    _due: list[tuple[float, int]] = field(default_factory=list)
    _rests: list[tuple[float, str]] = field(default_factory=list)
    _at_work: int = 0
    _scan_s: float = -math.inf
    _scanned_s: float = -math.inf
    _is_clean: bool = False
    _is_stopped: bool = False
    _open: int = 0
    _in_doubt: int = 0
    _handed_over: int = 0
    _failures: int = 0

    def __post_init__(self) -> None:
        shared = self.account
        # Slots of its own: that somebody looks at a task twice does not make it two tasks of the account's.
        own = Account(shared.create_floor, shared.query_floor, shared.create_gate, shared.query_gate)
        self._batch = Batch(own, turns_at_once=self.queries)
        self._batch.no_more()
        # Nothing but an end, or a refusal, ends these waits.
        self.policy = replace(
            self.policy,
            timeout_s=NEVER_S,
            deadline_wall_s=None,
            phase_limits_s=dict.fromkeys(OPEN, NEVER_S),
            max_failures_in_a_row=None,
            max_failing_s=None,
        )

    @property
    def counts(self) -> WorkerCounts:
        """Where it stands."""
        resting = sum(held.ordinal is None for held in list(self.held.values()))
        return WorkerCounts(
            open=len(self.held),
            waiting=len(self.parcels),
            handed_over=self._handed_over,
            handler_failures=self._failures,
            in_doubt=self._in_doubt,
            refused=resting,
        )

    @property
    def at_work(self) -> int:
        """How many handlers are at work."""
        return self._at_work

    def stop(self) -> None:
        """Begin nothing any more."""
        self._is_stopped = True

    def look_soon(self) -> None:
        """Somebody wrote something into the ledger: look into it without waiting for the next time."""
        self._scan_s = min(self._scan_s, self._scanned_s + SCAN_SOONEST_S)
        self._is_clean = False

    def wake(self, task_id: str, now: Instant) -> bool:
        """Ask about a task now, as far as the floors allow; False if it is not held."""
        held = self.held.get(task_id)
        if held is None:
            return False
        if held.is_out:
            held.is_woken = True  # The answer that is on its way may be older than the hint.
        elif held.ordinal is None:
            self._begin(held, now)
        else:
            del self._by_ordinal[held.ordinal]
            self._batch.forget(held.ordinal, now)
            held.task._ask_now(now)  # noqa: SLF001  # a task is a part of its client
            self._put_in(held, now)
        return True

    def next_command(self, now: Instant) -> Scan | Tell[AnyTask] | Turn | SleepUntil | Done:
        """Return what to do next. Each turn, scan and parcel is given once."""
        now_s = now.monotonic_s
        if self._is_stopped or now_s >= self.until_s:
            return Done(DoneReason.DEADLINE)
        if now_s >= self._scan_s:
            self._scan_s = math.inf
            return Scan(self._plan(now_s))
        self._end_rests(now)
        at_s = math.inf
        while True:
            if (parcel := self._next_parcel(now_s)) is not None:
                return Tell(parcel)
            command = self._batch.next_command(now)
            for event in self._batch.take_events():
                self.publish(event)
            match command:
                case Settled():
                    self._settle(command, now)
                case Turn(ordinal):
                    self._by_ordinal[ordinal].is_out = True
                    return command
                case SleepUntil(at_s):
                    break
                case _:
                    break
        if self.until_idle and self._has_nothing_to_do:
            if self._is_clean:
                return Done(DoneReason.ENDED)
            self._scan_s = min(self._scan_s, self._scanned_s + SCAN_SOONEST_S)
        due_s = self._due[0][0] if self._due and self._at_work < self.handlers else math.inf
        rest_s = self._rests[0][0] if self._rests else math.inf
        return SleepUntil(min(at_s, due_s, rest_s, self._scan_s, self.until_s), SleepReason.SCHEDULE)

    def task_of(self, turn: Turn) -> AnyTask:
        """Return whose turn it is."""
        return self._by_ordinal[turn.ordinal].task

    def heard(self, turn: Turn, observation: Observation | None, error: Exception | None, now: Instant) -> None:
        """Take in what came of a query.

        Args:
            turn: Whose.
            observation: What was heard.
            error: What broke instead: nothing that the service did.
            now: When.
        """
        held = self._by_ordinal[turn.ordinal]
        held.is_out = False
        if observation is None:
            logger.error("asking about task %s broke; it is asked about again in %.0f s", held.task.id, REST_S,
                         exc_info=error)  # fmt: skip
            self._take_out(held, now)
            self._rest(held, now)
        else:
            self._batch.receive(turn.ordinal, observation, now)
        is_woken, held.is_woken = held.is_woken, False
        if held.is_leaving and not held.task._poller.record.is_ended:  # noqa: SLF001  # a task is a part of its client
            self._let_go(held, now)
        elif is_woken and not held.task._poller.record.is_ended:  # noqa: SLF001  # as above
            self.wake(held.task.id, now)

    def found(self, plan: Plan, found: Found, now: Instant) -> None:
        """Take in what the ledger said."""
        now_s = now.monotonic_s
        self._scanned_s, self._scan_s = now_s, now_s + SCAN_S
        # Those that nobody looks at any more count for a while in the slots: they are forgotten when asked.
        self._batch._account.slots.free_at_s(now_s)  # noqa: SLF001  # it would grow for ever
        by_entry = {held.entry.entry_id: held for held in self.held.values()}
        for entry in plan.renew:
            if (held := by_entry.get(entry.entry_id)) is not None:
                held.renew_s = now_s + LEASE_S / 2
        gone = found.lost | {entry.entry_id for entry in plan.release}
        for entry_id in gone & by_entry.keys():
            self._let_go(by_entry[entry_id], now)
        taken = sum(self._take(entry, now) for entry in found.claimed)
        taken += sum(self._take_end(entry, now) for entry in found.ends)
        self._open, self._in_doubt, self._is_clean = found.open, found.in_doubt, not taken
        if taken and len(found.claimed) == plan.claim:
            self._scan_s = now_s + SCAN_SOONEST_S

    def scan_failed(self, now: Instant) -> None:
        """The ledger could not be read or written."""
        self._scanned_s, self._scan_s = now.monotonic_s, now.monotonic_s + SCAN_S

    def told(self, parcel: Parcel[AnyTask], heard: Heard, now: Instant) -> None:
        """Take in what became of telling."""
        self._at_work -= 1
        number = parcel.entry.entry_id
        if heard in {Heard.TOLD, Heard.KNOWN}:
            self._handed_over += heard is Heard.TOLD
            self.parcels.pop(number, None)
            return
        parcel.is_told = heard is Heard.UNWRITTEN
        parcel.tries += heard is Heard.FAILED
        self._failures += heard is Heard.FAILED
        parcel.failures += 1
        heappush(self._due, (now.monotonic_s + pause_s(parcel), number))

    def leases(self) -> tuple[Entry, ...]:
        """Return what is leased, to be let go of at the end."""
        return tuple(held.entry for held in self.held.values())

    @property
    def _has_nothing_to_do(self) -> bool:
        is_busy = any(held.ordinal is not None for held in self.held.values())
        hopeful = any(parcel.failures < TRIES_UNTIL_IDLE for parcel in self.parcels.values())
        return not is_busy and not hopeful and not self._at_work

    def _plan(self, now_s: float) -> Plan:
        renew = tuple(held.entry for held in self.held.values() if now_s >= held.renew_s)
        release: list[Entry] = []
        if self._open > len(self.held) >= HELD_AT_ONCE:
            polled = (held for held in self.held.values() if held.task._poller.record.polls > held.polls_then)  # noqa: SLF001  # a task is a part of its client
            over = [held for held in polled if now_s - held.taken_s >= TURN_S and not held.is_out]
            over.sort(key=lambda held: held.taken_s)
            release = [held.entry for held in over[:PORTION]]
        room = HELD_AT_ONCE - len(self.held) + len(release)
        going = {entry.entry_id for entry in release}
        return Plan(
            renew=tuple(entry for entry in renew if entry.entry_id not in going),
            release=tuple(release),
            claim=max(0, min(PORTION, room)),
            ends=len(self.parcels) + PORTION if len(self.parcels) < MOST_PARCELS else 0,
        )

    def _take(self, entry: Entry, now: Instant) -> bool:
        """Hold a task; False if it is held already."""
        if entry.task_id is None or entry.entry_id in self.parcels:
            return False
        now_s = now.monotonic_s
        if (held := self.held.get(entry.task_id)) is not None:
            held.renew_s = now_s + LEASE_S / 2
            held.is_leaving = False
            return False
        task = self.new_task(entry, now)
        polls = task._poller.record.polls  # noqa: SLF001  # a task is a part of its client
        held = self.held[entry.task_id] = _Held(entry, task, now_s, now_s + LEASE_S / 2, polls)
        self._begin(held, now)
        return True

    def _take_end(self, entry: Entry, now: Instant) -> bool:
        """Take an end that nobody was told of; False if it is in hand, or whoever saw it may be about to tell it."""
        is_mine = entry.entry_id in self.parcels or (entry.task_id is not None and entry.task_id in self.held)
        age_s = now.wall_s - (entry.ended_wall_s or 0.0)
        if is_mine or 0.0 <= age_s < self.handler_s:
            return False
        if entry.task_id is None:
            self._add(Parcel(entry, None, Done(DoneReason.ENDED)), now)
        elif entry.phase is Phase.SUCCEEDED and entry.result is None:
            return self._take(entry, now)  # Where the result is was not read yet.
        else:
            self._add(Parcel(entry, self.new_task(entry, now), Done(DoneReason.ENDED)), now)
        return True

    def _add(self, parcel: Parcel[AnyTask], now: Instant) -> None:
        if len(self.parcels) < MOST_PARCELS:  # Otherwise it is in the ledger, and found there later.
            self.parcels[parcel.entry.entry_id] = parcel
            heappush(self._due, (now.monotonic_s, parcel.entry.entry_id))
        self._is_clean = False

    def _next_parcel(self, now_s: float) -> Parcel[AnyTask] | None:
        if self._at_work >= self.handlers or not self._due or self._due[0][0] > now_s:
            return None
        parcel = self.parcels[heappop(self._due)[1]]
        self._at_work += 1
        return parcel

    def _settle(self, settled: Settled, now: Instant) -> None:
        held = self._by_ordinal.pop(settled.ordinal, None)
        if held is None:
            return
        held.ordinal = None
        if held.task._poller.record.is_ended:  # noqa: SLF001  # a task is a part of its client
            del self.held[held.task.id]
            self._add(Parcel(held.entry, held.task, settled.done), now)
            return
        logger.error(
            "task %s goes on, and the service refuses to say how (%s); it is asked about again in %.0f s",
            held.task.id,
            settled.done.reason,
            REST_S,
        )
        self._rest(held, now)

    def _begin(self, held: _Held[AnyTask], now: Instant) -> None:
        held.task._poller.begin_wait(self.policy, now)  # noqa: SLF001  # a task is a part of its client
        self._put_in(held, now)

    def _put_in(self, held: _Held[AnyTask], now: Instant) -> None:
        held.ordinal = self._batch.add(held.task._poller, now, self.policy)  # noqa: SLF001  # as above
        self._by_ordinal[held.ordinal] = held

    def _rest(self, held: _Held[AnyTask], now: Instant) -> None:
        held.ordinal = None
        heappush(self._rests, (now.monotonic_s + REST_S, held.task.id))

    def _end_rests(self, now: Instant) -> None:
        while self._rests and self._rests[0][0] <= now.monotonic_s:
            held = self.held.get(heappop(self._rests)[1])
            if held is not None and held.ordinal is None:
                self._begin(held, now)

    def _let_go(self, held: _Held[AnyTask], now: Instant) -> None:
        """Hold a task no longer; what has ended is told of all the same, and what is out is waited for."""
        if held.task._poller.record.is_ended:  # noqa: SLF001  # a task is a part of its client
            return
        if held.is_out:
            held.is_leaving = True
            return
        self._take_out(held, now)
        del self.held[held.task.id]

    def _take_out(self, held: _Held[AnyTask], now: Instant) -> None:
        if held.ordinal is not None and self._by_ordinal.pop(held.ordinal, None) is not None:
            self._batch.forget(held.ordinal, now)
        held.ordinal = None
