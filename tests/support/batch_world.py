"""Drive a batch against a simulated service in virtual time, several requests out at once.

The service keeps its own truth: what is open, what it refused, when every request arrived. It is
written against the documentation, not against the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from resilient_poll.events import Event
from resilient_poll.machine import (
    Accepted,
    Done,
    DoneReason,
    Instant,
    LostAnswer,
    Observation,
    Phase,
    Poller,
    Refused,
    SleepUntil,
    StatusSeen,
    Submission,
    Submit,
    SubmitPolicy,
    TaskRecord,
    Throttled,
    Unreachable,
    WaitPolicy,
)
from resilient_poll.machine.batch import Batch
from resilient_poll.machine.commands import Settled, Take, Turn
from resilient_poll.machine.slots import Account
from tests.support.machine_strategies import LIFECYCLE

WALL_S = 1_750_000_000.0
MOST_STEPS = 400_000


@dataclass(frozen=True)
class Job:
    """What the service makes of one job.

    Attributes:
        work_s: How long its task runs.
        word: What becomes of its creates before one is accepted: a word of ``_TROUBLE``, one each.
    """

    work_s: float = 20.0
    troubles: tuple[str, ...] = ()


@dataclass
class Service:
    """A service with a cap that it enforces by refusing, or by queueing.

    Attributes:
        cap: How many tasks run at once.
        refuses: Whether a create over the cap is refused.
        latency_s: How long every answer takes.
        hints: Whether a refusal says when to come back.
    """

    cap: int = 3
    refuses: bool = True
    latency_s: float = 0.0
    hints: bool = True
    creates: list[tuple[float, int]] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    refused_until: list[tuple[float, float]] = field(default_factory=list)
    throttles: int = 0
    queries_s: list[float] = field(default_factory=list)
    most_open: int = 0
    ends_s: dict[str, float] = field(default_factory=dict)
    starts_s: dict[str, float] = field(default_factory=dict)

    def running(self, now_s: float) -> list[float]:
        return sorted(end_s for end_s in self.ends_s.values() if end_s > now_s)

    def create(self, ordinal: int, job: Job, attempt: int, now_s: float) -> Observation:
        self.creates.append((now_s, ordinal))
        if attempt <= len(job.troubles):
            match job.troubles[attempt - 1]:
                case "unreachable":
                    return Unreachable(reason="connection refused")
                case "throttled":
                    self.throttles += 1
                    self.refused_until.append((now_s, now_s + 7.0))
                    return Throttled(retry_after_s=7.0)
                case "refused":
                    return Refused(http_status=400)
                case _:
                    return LostAnswer(reason="gone")
        running = self.running(now_s)
        if self.refuses and len(running) >= self.cap:
            self.throttles += 1
            if not self.hints:
                return Throttled()
            # With no room at all (a cap of 0) somebody else has it.
            wait_s = max(1.0, math.ceil(running[0] - now_s)) if running else 4.0
            self.refused_until.append((now_s, now_s + wait_s))
            return Throttled(retry_after_s=wait_s)
        start_s = now_s if len(running) < self.cap else running[len(running) - self.cap]
        task_id = f"task-{ordinal}"
        self.starts_s[task_id], self.ends_s[task_id] = start_s, start_s + job.work_s
        self.accepted.append(ordinal)
        self.most_open = max(self.most_open, len(self.running(now_s)))
        return Accepted(task_id=task_id, status="waiting")

    def query(self, task_id: str, now_s: float) -> Observation:
        self.queries_s.append(now_s)
        if now_s >= self.ends_s[task_id]:
            return StatusSeen(status="done")
        return StatusSeen(status="working" if now_s >= self.starts_s[task_id] else "waiting")


@dataclass
class Ran:
    """What a batch did.

    Attributes:
        finished: Ordinals in order of completion, and why each was over.
        began: Whose submit was added, in order.
        events: All events.
        took_s: How long it took.
        most_taken: How many jobs were in memory at most.
        asked: How often the batch was asked.
    """

    finished: list[tuple[int, DoneReason]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    took_s: float = 0.0
    most_taken: int = 0
    asked: int = 0


def run_batch(
    jobs: Sequence[Job],
    service: Service,
    account: Account,
    *,
    turns_at_once: int = 8,
    submit_policy: SubmitPolicy | None = None,
    wait_policy: WaitPolicy | None = None,
    deadline_s: float | None = None,
) -> Ran:
    """Run jobs through a batch; answers come back after the service's latency, in order of time."""
    submit_policy, wait_policy = submit_policy or SubmitPolicy(), wait_policy or WaitPolicy()
    batch = Batch(account, turns_at_once=turns_at_once, deadline_s=deadline_s)
    left = list(enumerate(jobs))
    submissions: dict[int, Submission] = {}
    pollers: dict[int, Poller] = {}
    coming: list[tuple[float, int, int, Observation]] = []
    ran, now_s, number = Ran(), 0.0, 0
    while ran.asked < MOST_STEPS:
        ran.asked += 1
        now = Instant(now_s, WALL_S + now_s)
        command = batch.next_command(now)
        ran.events += batch.take_events()
        match command:
            case Done():
                assert not coming
                ran.took_s = now_s
                return ran
            case Take():
                if not left:
                    batch.no_more()
                    continue
                ordinal, _ = left.pop(0)
                submissions[ordinal] = Submission(
                    submit_policy, now, seed=str(ordinal), floor=account.create_floor, is_in_order=True
                )
                assert batch.add(submissions[ordinal], now) == ordinal
                ran.most_taken = max(ran.most_taken, len(submissions) + len(pollers))
            case Settled(ordinal, done):
                if done.reason is DoneReason.ACCEPTED:
                    accepted = submissions.pop(ordinal).accepted
                    assert accepted is not None
                    record = TaskRecord.accepted(accepted.task_id, LIFECYCLE, now, status=accepted.status)
                    pollers[ordinal] = Poller(record, LIFECYCLE, wait_policy, now, floor=account.query_floor)
                    batch.go_on(ordinal, pollers[ordinal], wait_policy, now)
                else:
                    submissions.pop(ordinal, None)
                    pollers.pop(ordinal, None)
                    ran.finished.append((ordinal, done.reason))
            case Turn(ordinal, sending):
                number += 1
                if isinstance(sending, Submit):
                    assert submissions[ordinal].phase is Phase.SUBMITTING
                    observation = service.create(ordinal, jobs[ordinal], sending.attempt, now_s)
                else:
                    observation = service.query(f"task-{ordinal}", now_s)
                heappush(coming, (now_s + service.latency_s, number, ordinal, observation))
            case SleepUntil(at_s):
                assert at_s > now_s, f"woken at {at_s} while it is {now_s}: a busy loop"
                if coming and coming[0][0] <= at_s:
                    now_s, _, ordinal, observation = heappop(coming)
                    batch.receive(ordinal, observation, Instant(now_s, WALL_S + now_s))
                else:
                    assert at_s < math.inf, "nothing will ever happen again"
                    now_s = at_s
    raise AssertionError(f"no end after {MOST_STEPS} steps")
