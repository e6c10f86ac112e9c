"""One worker's work: whom to ask about, whom to tell, and when to look into the ledger. Pure.

A shift holds tasks that it leased, and parcels: ends that the application was not told of. What it
returns from :meth:`Shift.next_command` is carried out by a driver, which says what came of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Generic, TypeVar

from resilient_poll.dashscope.task_core import TaskCore
from resilient_poll.dashscope.workers import duty
from resilient_poll.dashscope.workers.duty import Found, Heard, Held, Parcel, Plan, Scan, Tell, WorkerCounts
from resilient_poll.drive.telling import logger
from resilient_poll.events import Event, WaitBegan, WaitEnded
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.batch import Batch
from resilient_poll.machine.commands import Done, DoneReason, Settled, SleepReason, SleepUntil, Turn
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.policy import WaitPolicy
from resilient_poll.machine.slots import Account

__all__ = ["LEASE_S", "Shift"]

HELD_AT_ONCE = 500
"""Tasks that one worker asks about in turn, a few MB: at 20 queries a second each has its turn every 25 s."""
PORTION = 100
"""Rows that one look into the ledger takes at most: its transaction, and taking the tasks in on an event loop, stay
a matter of milliseconds (measured: 5)."""
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

AnyTask = TypeVar("AnyTask", bound=TaskCore)


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
        handler_s: How long a handler may take, in seconds: for so long its end stays with this worker.
        until_idle: Whether to stop when there is nothing left to do.
        until_s: When to stop, in monotonic seconds.

    Attributes:
        held: The tasks that it asks about, by their ids.
        parcels: The ends that it has in hand, by their entries' numbers.
        at_work: How many handlers are at work.
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
    held: dict[str, Held[AnyTask]] = field(default_factory=dict)
    parcels: dict[int, Parcel[AnyTask]] = field(default_factory=dict)
    at_work: int = 0
    _batch: Batch = field(init=False)
    _by_ordinal: dict[int, Held[AnyTask]] = field(default_factory=dict)
    _due: list[tuple[float, int]] = field(default_factory=list)
    _rests: list[tuple[float, str]] = field(default_factory=list)
    _scan_s: float = -math.inf
    _scanned_s: float = -math.inf
    _began_s: float | None = None
    _is_clean: bool = False
    _is_stopped: bool = False
    _open: int = 0
    _elsewhere: int = 0
    _surplus: list[Entry] = field(default_factory=list)
    _in_doubt: int = 0
    _handed_over: int = 0
    _failures: int = 0

    def __post_init__(self) -> None:
        shared = self.account
        # Slots of its own: that somebody looks at a task twice does not make it two tasks of the account's.
        own = Account(shared.create_floor, shared.query_floor, shared.create_gate, shared.query_gate)
        self._batch = Batch(own, turns_at_once=self.queries)
        self._batch.no_more()
        self.policy = duty.endless(self.policy)

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
            elsewhere=self._elsewhere,
        )

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
        self._began_s = now_s if self._began_s is None else self._began_s
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
            # A worker that died just before has its leases for a while; one that lives keeps them for longer.
            is_over = not self._elsewhere or self._scanned_s - self._began_s >= LEASE_S
            if self._is_clean and is_over:
                return Done(DoneReason.ENDED)
            if not self._is_clean:
                self._scan_s = min(self._scan_s, self._scanned_s + SCAN_SOONEST_S)
        due_s = self._due[0][0] if self._due and self.at_work < self.handlers else math.inf
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
        if held.is_leaving and not held.is_ended:
            self._let_go(held, now)
        elif is_woken and not held.is_ended:
            self.wake(held.task.id, now)

    def found(self, plan: Plan, found: Found, now: Instant) -> None:
        """Take in what the ledger said."""
        now_s = now.monotonic_s
        self._scanned_s, self._scan_s = now_s, now_s + SCAN_S
        # Those that nobody looks at any more count for a while in the slots: they are forgotten when asked.
        self._batch._account.slots.free_at_s(now_s)  # noqa: SLF001  # it would grow for ever
        by_entry = {held.entry.entry_id: held for held in self.held.values()}
        for entry in plan.renew:
            for mine in (by_entry.get(entry.entry_id), self.parcels.get(entry.entry_id)):
                if mine is not None:
                    mine.renew_s = now_s + LEASE_S / 2
        gone = found.lost | {entry.entry_id for entry in plan.release}
        for entry_id in gone & by_entry.keys():
            self._let_go(by_entry[entry_id], now)
        for entry_id in found.lost & self.parcels.keys():
            if (parcel := self.parcels[entry_id]).began_s is None and not parcel.is_told:
                del self.parcels[entry_id]  # Somebody else tells of it, or has.
        taken = sum(self._take(entry, now) for entry in found.claimed)
        taken += sum(self._take_end(entry, now) for entry in found.ends)
        in_hand = sum(not held.is_ended for held in self.held.values())
        ended = len(self.parcels) + len(self.held) - in_hand
        self._elsewhere = max(0, found.open - in_hand) + max(0, found.untold - ended)
        self._open, self._in_doubt, self._is_clean = found.open, found.in_doubt, not taken
        if taken and len(found.claimed) == plan.claim:
            self._scan_s = now_s + SCAN_SOONEST_S

    def scan_failed(self, now: Instant) -> None:
        """The ledger could not be read or written."""
        self._scanned_s, self._scan_s = now.monotonic_s, now.monotonic_s + SCAN_S

    def told(self, parcel: Parcel[AnyTask], heard: Heard, now: Instant) -> None:
        """Take in what became of telling."""
        self.at_work -= 1
        parcel.began_s = None
        number = parcel.entry.entry_id
        if heard in {Heard.TOLD, Heard.KNOWN}:
            self._handed_over += heard is Heard.TOLD
            self.parcels.pop(number, None)
            return
        parcel.is_told = heard is Heard.UNWRITTEN
        parcel.tries += heard is Heard.FAILED
        self._failures += heard is Heard.FAILED
        parcel.failures += 1
        heappush(self._due, (now.monotonic_s + duty.pause_s(parcel), number))

    def leases(self) -> tuple[Entry, ...]:
        """Return what is leased, to be let go of at the end."""
        # A handler that was cut off may still be at work with its end.
        told = (parcel.entry for parcel in self.parcels.values() if parcel.began_s is None)
        return (*(held.entry for held in self.held.values()), *told, *self._surplus)

    @property
    def _has_nothing_to_do(self) -> bool:
        is_busy = any(held.ordinal is not None for held in self.held.values())
        hopeful = any(parcel.failures < duty.TRIES_UNTIL_IDLE for parcel in self.parcels.values())
        return not is_busy and not hopeful and not self.at_work

    def _plan(self, now_s: float) -> Plan:
        going: list[Held[AnyTask]] = []
        if self._open > len(self.held) >= HELD_AT_ONCE:
            over = (held for held in self.held.values() if now_s - held.taken_s >= TURN_S and not held.is_out)
            going = [held for held in over if held.task._poller.record.polls > held.polls_then]  # noqa: SLF001  # a task is a part of its client
            going = sorted(going, key=lambda held: held.taken_s)[:PORTION]
        gone = {held.entry.entry_id for held in going}
        late, renew = [], [one.entry for one in self.held.values() if now_s >= one.renew_s]
        for parcel in self.parcels.values():
            if parcel.began_s is not None and now_s - parcel.began_s >= self.handler_s:
                late.append(parcel.entry)  # Its handler hangs, as far as anybody can tell.
            elif now_s >= parcel.renew_s:
                renew.append(parcel.entry)
        surplus, self._surplus = self._surplus, []
        return Plan(
            renew=tuple(entry for entry in renew if entry.entry_id not in gone),
            release=(*(held.entry for held in going), *late, *surplus),
            claim=max(0, min(PORTION, HELD_AT_ONCE - len(self.held) + len(going))),
            ends=len(self.parcels) + PORTION if len(self.parcels) < MOST_PARCELS else 0,
            count_ends=len(self.parcels) + len(self.held) + 1 if self.until_idle else 0,
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
        held = self.held[entry.task_id] = Held(entry, task, now_s, now_s + LEASE_S / 2, polls)
        self._begin(held, now)
        return True

    def _take_end(self, entry: Entry, now: Instant) -> bool:
        """Take an end that nobody was told of; False if it is in hand."""
        if (parcel := self.parcels.get(entry.entry_id)) is not None:
            parcel.renew_s = now.monotonic_s + LEASE_S / 2
            return False
        if entry.task_id is not None and entry.task_id in self.held:
            return False
        if entry.task_id is not None and entry.phase is Phase.SUCCEEDED and entry.result is None:
            if len(self.held) < HELD_AT_ONCE:
                return self._take(entry, now)  # Where the result is was not read yet.
            self._surplus.append(entry)  # There is no room for it now, and the ledger has it.
            return True
        age_s = now.wall_s - (entry.ended_wall_s or 0.0)
        task = None if entry.task_id is None else self.new_task(entry, now)
        wait_s = duty.CALLER_S - age_s if 0.0 <= age_s < duty.CALLER_S else 0.0
        self._add(Parcel(entry, task, Done(DoneReason.ENDED)), now, wait_s)
        return True

    def _add(self, parcel: Parcel[AnyTask], now: Instant, wait_s: float = 0.0) -> None:
        self._is_clean = False
        if len(self.parcels) >= MOST_PARCELS:
            self._surplus.append(parcel.entry)  # The ledger has it.
            return
        parcel.renew_s = now.monotonic_s + LEASE_S / 2
        self.parcels[parcel.entry.entry_id] = parcel
        heappush(self._due, (now.monotonic_s + wait_s, parcel.entry.entry_id))

    def _next_parcel(self, now_s: float) -> Parcel[AnyTask] | None:
        while self.at_work < self.handlers and self._due and self._due[0][0] <= now_s:
            parcel = self.parcels.get(heappop(self._due)[1])
            if parcel is not None and parcel.began_s is None:
                self.at_work += 1
                parcel.began_s = now_s
                return parcel
        return None

    def _settle(self, settled: Settled, now: Instant) -> None:
        held = self._by_ordinal.pop(settled.ordinal, None)
        if held is None:
            return
        held.ordinal = None
        if held.is_ended:
            del self.held[held.task.id]
            self._add(Parcel(held.entry, held.task, settled.done), now)
            return  # That its wait has ended is told when it is handed over.
        if (poller := held.task._poller).is_heard:  # noqa: SLF001  # a task is a part of its client
            self.publish(WaitEnded(poller.task_id, now.monotonic_s, settled.done.reason, poller.phase))
        logger.error(
            "task %s goes on, and the service refuses to say how (%s); it is asked about again in %.0f s",
            held.task.id,
            settled.done.reason,
            REST_S,
        )
        self._rest(held, now)

    def _begin(self, held: Held[AnyTask], now: Instant) -> None:
        poller = held.task._poller  # noqa: SLF001  # a task is a part of its client
        poller.begin_wait(self.policy, now)
        if poller.is_heard:
            self.publish(WaitBegan(poller.task_id, now.monotonic_s, poller.phase, poller.record.polls))
        self._put_in(held, now)

    def _put_in(self, held: Held[AnyTask], now: Instant) -> None:
        held.ordinal = self._batch.add(held.task._poller, now, self.policy)  # noqa: SLF001  # as above
        self._by_ordinal[held.ordinal] = held

    def _rest(self, held: Held[AnyTask], now: Instant) -> None:
        held.ordinal = None
        heappush(self._rests, (now.monotonic_s + REST_S, held.task.id))

    def _end_rests(self, now: Instant) -> None:
        while self._rests and self._rests[0][0] <= now.monotonic_s:
            held = self.held.get(heappop(self._rests)[1])
            if held is not None and held.ordinal is None:
                self._begin(held, now)

    def _let_go(self, held: Held[AnyTask], now: Instant) -> None:
        """Hold a task no longer; what has ended is told of all the same, and what is out is waited for."""
        if held.is_ended:
            return
        if held.is_out:
            held.is_leaving = True
            return
        self._take_out(held, now)
        del self.held[held.task.id]

    def _take_out(self, held: Held[AnyTask], now: Instant) -> None:
        if held.ordinal is not None and self._by_ordinal.pop(held.ordinal, None) is not None:
            self._batch.forget(held.ordinal, now)
        held.ordinal = None
