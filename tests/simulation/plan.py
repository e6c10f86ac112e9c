"""What a world is to be: who wants what, when, over which network, and what goes wrong. All of it from one seed.

Each fault has a name by which a run can be told to leave all others out. Faults of messages are not listed here:
they are drawn when a message leaves, by the message's own name (`weather`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from fake_server.faults.model import Fault, Headers, Hint, Latency, SchemaDrift, Selection, StaleRead, Status
from fake_server.faults.model import UnknownAfterCreate as Unknown
from fake_server.scenario.lifecycles import Lifecycle
from fake_server.scenario.model import Quotas
from tests.simulation.chance import Draws
from tests.simulation.lives import a_life

__all__ = ["MODEL", "Halt", "Intent", "Kill", "Plan", "ServerFault", "Step", "StopPoint", "WorldFault", "a_plan"]

MODEL = "wan2.5-t2v-preview"
STOP_POINTS = ("before the licence", "licensed", "answered", "written", "heard of its end")
"""Where a process may be killed in the middle of one job: before and after each thing that must be durable."""
FEWEST_TASKS, MOST_TASKS = 60, 340


@dataclass(frozen=True, slots=True)
class Intent:
    """One wanted result.

    Attributes:
        number: Its number in the world, from 0.
        key: The caller's idempotency key.
        body: What is sent, the same each time.
        prompt: What it says.
        starts_s: When it is wanted first, in true seconds.
        processes: Who wants it.
        lives: How its tasks go, one for each attempt.
        wait_s: How long each of its waits may take.
    """

    number: int
    key: str
    body: bytes
    prompt: str
    starts_s: float
    processes: tuple[int, ...]
    lives: tuple[Lifecycle, ...]
    wait_s: float


@dataclass(frozen=True, slots=True)
class Kill:
    """A process dies without a word, and comes back. Times are true seconds."""

    process: int
    at_s: float
    down_s: float


@dataclass(frozen=True, slots=True)
class Halt:
    """A process stands still, as by SIGSTOP, and goes on."""

    process: int
    at_s: float
    for_s: float


@dataclass(frozen=True, slots=True)
class Step:
    """A process's wall clock jumps; the other one does not."""

    process: int
    at_s: float
    by_s: float


@dataclass(frozen=True, slots=True)
class StopPoint:
    """A process dies in the middle of one job, the first time that it comes to a point."""

    intent: int
    point: str
    down_s: float


@dataclass(frozen=True, slots=True)
class ServerFault:
    """The service answers one request in another way."""

    fault: Fault


WorldFault = Kill | Halt | Step | StopPoint | ServerFault


@dataclass(frozen=True, slots=True)
class Plan:
    """One world.

    Attributes:
        name: Its seed and number; all draws are made of it.
        dialect: How the service speaks.
        is_kept: Whether the clients' own books are used on the ledger that lives in memory; otherwise the ledger's
            pure moves on a dictionary, which is several times as fast.
        quotas: The service's limits.
        retention_s: For how long the service remembers a task.
        processes: How many share the ledger and the account.
        skews_s: How much each one's wall clock is ahead.
        intents: What is wanted.
        interval_s: Seconds between polls.
        attempt_s: The longest that a poll may take.
        create_s: The longest that a create may take.
        submit_s: Until when a submit may start.
        limits_queries: Whether clients keep to the rate of queries that is known of the service.
        trouble: Which share of messages something happens to.
        calm_s: When all faults stop, in true seconds.
        faults: What else goes wrong, by name.
    """

    name: str
    dialect: str
    is_kept: bool
    quotas: Quotas
    retention_s: float
    processes: int
    skews_s: tuple[float, ...]
    intents: tuple[Intent, ...]
    interval_s: float
    attempt_s: float
    create_s: float
    submit_s: float
    limits_queries: bool
    trouble: float
    calm_s: float
    faults: dict[str, WorldFault]


def a_plan(seed: int, number: int) -> Plan:
    """Return the world of a number under a seed."""
    name = f"{seed}.{number}"
    draws = Draws(f"{name} world")
    dialect = "aisa" if draws.chance(0.5) else "dashscope"
    tasks = draws.whole(FEWEST_TASKS, MOST_TASKS)
    cap = draws.weighted(((4.0, 10_000), (1.0, 40), (1.0, 15), (0.6, 6)))
    # So that a full service is full for a while, and not for a day: a task runs for some 6 s.
    spread_s = max(draws.between(10.0, 160.0), draws.weighted(((3.0, 6.0), (1.0, 3.0))) * tasks / cap)
    burst_s = draws.weighted(((2.0, 0.0), (1.0, 10.0)))
    processes = draws.whole(1, 4)
    intents = tuple(_intent(name, ordinal, spread_s, burst_s, processes) for ordinal in range(tasks))
    calm_s = spread_s + draws.between(5.0, 60.0)
    rate = draws.weighted(((3.0, 10_000), (2.0, 60), (1.0, 20))) if dialect == "dashscope" else 20
    is_kept = draws.chance(0.06)
    # What looks for the tasks of doubts relies on the day for which the service remembers them.
    retention_s = draws.weighted(((20.0, 86_400.0), (1.0, 45.0)))
    return Plan(
        name=name,
        dialect=dialect,
        is_kept=is_kept,
        quotas=Quotas(concurrent_tasks=cap, queries_per_second=rate),
        retention_s=86_400.0 if is_kept else retention_s,
        processes=processes,
        skews_s=tuple(draws.weighted(((3.0, 0.0), (1.0, draws.between(-90.0, 90.0)))) for _ in range(processes)),
        intents=intents,
        interval_s=draws.weighted(((8.0, 3.0), (0.5, 0.7), (1.0, 5.0), (0.3, 0.0))),
        attempt_s=draws.weighted(((4.0, 15.0), (1.0, 4.0))),
        create_s=draws.weighted(((4.0, 60.0), (1.0, 10.0))),
        submit_s=draws.weighted(((4.0, 300.0), (1.0, 20.0))),
        limits_queries=rate < 10_000 and draws.chance(0.7),
        trouble=draws.weighted(((1.0, 0.0), (4.0, 0.03), (3.0, 0.1), (1.0, 0.25))),
        calm_s=calm_s,
        faults=_faults(Draws(f"{name} faults"), processes, tasks, calm_s),
    )


def _intent(name: str, number: int, spread_s: float, burst_s: float, processes: int) -> Intent:
    draws = Draws(f"{name} intent {number}")
    prompt = f"a cat number {number} of {name}"
    first = draws.whole(0, processes - 1)
    starts_s = draws.between(0.0, spread_s)
    # Some things are wanted by two at once, under one key.
    both = (first, (first + 1) % processes) if processes > 1 and draws.chance(0.05) else (first,)
    return Intent(
        number=number,
        key=f"order {number}",
        prompt=prompt,
        body=json.dumps({"model": MODEL, "input": {"prompt": prompt}}).encode(),
        starts_s=starts_s // burst_s * burst_s if burst_s else starts_s,
        processes=both,
        lives=(a_life(draws), a_life(draws)) if draws.chance(0.4) else (a_life(draws),),
        # Never shorter than the floor between polls and a round trip: such a wait may have no time to hear anything.
        wait_s=draws.weighted(((5.0, 300.0), (1.0, 20.0), (1.0, draws.between(1.0, 60.0)))),
    )


def _faults(draws: Draws, processes: int, tasks: int, calm_s: float) -> dict[str, WorldFault]:
    faults: dict[str, WorldFault] = {}

    def when() -> float:
        return draws.between(0.0, calm_s)

    for number in range(draws.weighted(((3.0, 0), (2.0, 1), (2.0, 3), (1.0, 6)))):
        down_s = draws.weighted(((2.0, draws.between(1.0, 5.0)), (1.0, draws.between(5.0, 120.0))))
        faults[f"k{number}"] = Kill(draws.whole(0, processes - 1), when(), down_s)
    for number in range(draws.weighted(((3.0, 0), (1.0, 1), (1.0, 3)))):
        length_s = draws.weighted(((2.0, draws.between(0.5, 8.0)), (1.0, draws.between(8.0, 400.0))))
        faults[f"h{number}"] = Halt(draws.whole(0, processes - 1), when(), length_s)
    for number in range(draws.weighted(((3.0, 0), (1.0, 1), (1.0, 3)))):
        by_s = draws.weighted(((2.0, draws.between(-20.0, 20.0)), (1.0, draws.between(-7200.0, 7200.0))))
        faults[f"c{number}"] = Step(draws.whole(0, processes - 1), when(), by_s)
    for number in range(draws.weighted(((2.0, 0), (2.0, 2), (1.0, 6)))):
        point = StopPoint(draws.whole(0, tasks - 1), draws.one_of(STOP_POINTS), draws.between(1.0, 20.0))
        faults[f"p{number}"] = point
    for number in range(draws.weighted(((2.0, 0), (3.0, 3), (2.0, 8)))):
        faults[f"s{number}"] = ServerFault(_server_fault(draws, tasks))
    return faults


def _server_fault(draws: Draws, tasks: int) -> Fault:
    on = "create" if draws.chance(0.5) else "query"
    nth = Selection(on=(on,), nth=(draws.whole(1, 2 * tasks),))
    kind = draws.weighted(((4.0, "throttle"), (4.0, "status"), (1.0, "slow"), (1.0, "drift"), (2.0, "own")))
    if kind == "throttle":
        return Fault("status", Status(429, hint=_hint(draws)), nth)
    if kind == "status":
        return _status(draws, on, nth)
    if kind == "slow":
        return Fault("latency", Latency(*[draws.between(0.5, 30.0)] * 2), nth)
    if kind == "drift":
        drift = draws.one_of(("missing_output", "number_for_string", "extra_fields", "unknown_status"))
        return Fault("schema_drift", SchemaDrift(drift), nth)
    if on == "create":
        return Fault("unknown_after_create", Unknown(for_s=draws.between(1.0, 90.0)), Selection(on=("query",), times=6))
    if draws.chance(0.5):
        return Fault("stale_read", StaleRead(draws.between(1.0, 30.0)), nth)
    return Fault("headers", Headers(hint=_hint(draws)), nth)


def _status(draws: Draws, on: str, nth: Selection) -> Fault:
    if on == "query":
        status = draws.one_of((401, 403, 404, 408, 500, 502, 503, 504))
        return Fault("status", Status(status, hint=_hint(draws) if draws.chance(0.4) else None), nth)
    if draws.chance(0.4):
        # Carried out, and answered as if it were not: never as the service's own "no", which would be a lie.
        status = draws.one_of((500, 502, 504, 408))
        return Fault("status", Status(status, body=draws.one_of(("dialect", "html"))), nth, when="after_commit")
    if draws.chance(0.2):
        return Fault("status", Status(429, body="html", hint=_hint(draws)), nth, when="after_commit")
    return Fault("status", Status(draws.one_of((400, 403, 408, 409, 500, 502, 503, 504))), nth)


def _hint(draws: Draws) -> Hint:
    return Hint(wait_s=float(draws.whole(1, 25)), form="seconds" if draws.chance(0.7) else "http-date")
