"""How fast the state machine is alone: no clock, no network, nothing but decisions."""

from __future__ import annotations

import time

from benchmarks.figures import Row, Scale, Spread
from resilient_poll.dashscope.wire.dialects import LIFECYCLE
from resilient_poll.machine import Fixed, Instant, Poller, Query, SleepUntil, StatusSeen, TaskRecord, WaitPolicy

__all__ = ["measure"]

PER_SECOND = 200_000.0
INTERVAL_S = 3.0
_POLLS = 2_000


def measure(scale: Scale) -> list[Row]:
    """Measure a wait on a healthy task.

    A step is what a driver asks of the machine between two things it does:
    ``next_command`` after a sleep, ``receive`` and ``next_command`` after a query. A poll
    takes two.
    """
    speed = Spread.of(_steps_per_s() for _ in range(scale.of(25, 2)))
    return [
        Row(
            "machine alone, steps a second (two a poll: after the sleep, after the answer)",
            speed,
            "/s",
            goal=f"at least {PER_SECOND:,.0f}/s",
            is_reached=speed.median >= PER_SECOND,
        )
    ]


def _steps_per_s() -> float:
    start = Instant(0.0, 1_750_000_000.0)
    # The clock's readings and the service's words are made before: they are not the machine's.
    due = [start.later(INTERVAL_S * number) for number in range(1, _POLLS + 1)]
    seen = StatusSeen(request_id="r", status="RUNNING", result={})
    policy = WaitPolicy(timeout_s=1e8, schedule=Fixed(INTERVAL_S))
    poller = Poller(TaskRecord.accepted("t", LIFECYCLE, start, status="PENDING"), LIFECYCLE, policy, start)
    first, last = due[0], due[-1]
    if not isinstance(poller.next_command(start), SleepUntil) or not isinstance(poller.next_command(first), Query):
        raise TypeError(f"a healthy poll is a pause and a query, not {poller.next_command(first)}")
    began_s = time.perf_counter()
    for now in due:
        poller.next_command(now)
        poller.receive(seen, now)
        poller.next_command(now)
    took_s = time.perf_counter() - began_s
    if poller.record.polls != _POLLS or not isinstance(poller.next_command(last), SleepUntil):
        raise RuntimeError(f"{_POLLS} polls were asked for, and {poller.record.polls} were made")
    return 2 * _POLLS / took_s
