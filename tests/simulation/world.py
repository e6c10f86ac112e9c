"""One world from its beginning to its end: everything goes wrong, then nothing any more, then it is judged."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from fake_server.engine import Engine
from fake_server.moment import Moment
from fake_server.scenario.model import Expect
from resilient_poll.dashscope.opening import open_core
from resilient_poll.ledger.memory import MemoryLedger
from tests.simulation.desks import KeptDesk, PureDesk, PureLedger, rows_of
from tests.simulation.jobs import Job, job, reconcile
from tests.simulation.judge import Judge
from tests.simulation.lives import Script
from tests.simulation.network import BASES, ORIGIN, Network
from tests.simulation.plan import Halt, Kill, Plan, ServerFault, Step, StopPoint, a_plan
from tests.simulation.process import WALL_S, Life
from tests.simulation.timeline import Timeline
from tests.support.quiet import quiet

__all__ = ["BOUND_S", "Result", "World", "simulate"]

ASKS_AGAIN = 16
"""Every so-manieth thing is asked for again by a process that comes back, though it was handed over."""
BOUND_S = 7200.0
"""Within so many virtual seconds after the last fault everything is at rest."""
LOOKS_S = (1200.0, 2400.0)
"""When doubts are looked into, after the last fault: what was held up has arrived by then."""


@dataclass(slots=True)
class Result:
    """What became of one world.

    Attributes:
        name: Its seed and number.
        counts: What must be zero.
        lines: What was wrong, in words.
        figures: What happened, for people.
        fired: Every fault that happened, by its name, in words.
        digest: Of everything that was sent and answered, where a trace was asked for.
    """

    name: str
    counts: dict[str, int]
    lines: list[str]
    figures: Counter[str]
    fired: dict[str, str]
    digest: str = ""
    trace: list[str] = field(default_factory=list)

    @property
    def is_wrong(self) -> bool:
        """Whether anything was."""
        return any(self.counts.values())


class World:
    """One world.

    Args:
        plan: What it is to be.
        only: The names of the faults that may happen; None for all of them.
        wanted: The numbers of the intents that are wanted; None for all of them.
        traced: Whether each message is written down.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        only: frozenset[str] | None = None,
        wanted: frozenset[int] | None = None,
        traced: bool = False,
    ) -> None:
        self._plan, self._only = plan, only
        self._intents = [intent for intent in plan.intents if wanted is None or intent.number in wanted]
        self._timeline, self._judge = Timeline(), Judge()
        script = Script(
            name="simulated",
            summary="",
            tasks=(),
            expect=Expect(("SUCCEEDED",)),
            quotas=plan.quotas,
            retention_s=plan.retention_s,
            arriving=[],
        )
        self._faults = {name: fault for name, fault in plan.faults.items() if only is None or name in only}
        self._engine = Engine(script, plan.name, started=Moment(0.0, WALL_S))
        self._network = Network(plan, self._timeline, self._engine, script, self._judge, self._go_on, only)
        if traced:
            self._network.trace = []
        self._pure, self._kept = PureLedger(), MemoryLedger()
        self._lives: list[Life | None] = [None] * plan.processes
        self._ordinals = [0] * plan.processes
        self._skews_s = list(plan.skews_s)
        self._stop_points: dict[tuple[int, str], str] = {}
        self._figures: Counter[str] = Counter()
        self._armed: list[str] = []

    def run(self) -> Result:
        """Live, and be judged."""
        plan, timeline = self._plan, self._timeline
        for number in range(plan.processes):
            self._begin_life(number)
        for intent in self._intents:
            for number in intent.processes:
                timeline.at(intent.starts_s, self._want, number, intent)
        for name, fault in self._faults.items():
            self._schedule(name, fault)
        timeline.at(plan.calm_s, self._calm)
        if plan.is_kept and plan.dialect == "dashscope":
            for later_s in LOOKS_S:
                timeline.at(plan.calm_s + later_s, self._look_for_doubts)
        is_over = timeline.run(plan.calm_s + BOUND_S)
        return self._judged(is_over=is_over)

    def _begin_life(self, number: int) -> None:
        plan, ordinal = self._plan, self._ordinals[number]
        self._ordinals[number] += 1
        life = Life(plan, self._timeline, self._judge, number, ordinal, self._skews_s[number])
        life.dies_at = lambda intent, point: self._dies_at(life, intent, point)
        life.desk = self._kept_desk(life) if plan.is_kept else PureDesk(self._pure, life.name)
        self._lives[number] = life
        if ordinal:
            now_s = self._timeline.now_s
            for intent in self._intents:
                if number not in intent.processes or intent.starts_s > now_s:
                    continue
                # Most applications ask for what is not done yet; some ask for everything again.
                if intent.number % ASKS_AGAIN == 0 or not life.desk.is_done(intent):
                    self._want(number, intent)

    def _kept_desk(self, life: Life) -> KeptDesk:
        core = open_core(
            dialect=self._plan.dialect,
            api_key="sk-simulated",
            base_url=ORIGIN + BASES[self._plan.dialect],
            headers=None,
            wait_policy=life.policy,
            submit_policy=life.submit_policy,
            limits=None,
            clock=None,
            on_event=None,
            make_seed=lambda: life.name,
            ledger=self._kept,
            account="simulated",
            guards=None,
            prices=None,
            idempotency_header=None,
            is_async=False,
        )
        return KeptDesk(core)

    def _want(self, number: int, intent: Any) -> None:
        """A process begins with one thing, unless it is dead; then it begins when it lives again."""
        life = self._lives[number]
        if life is None:
            return
        self._figures["jobs"] += 1
        self._go_on(life, job(life, intent), None, intent.number)

    def _go_on(self, life: Life, steps: Job, value: Any, intent: int | None = None) -> None:
        """Let a job go on until it waits for something."""
        if not life.is_alive:
            return
        if life.until_s > self._timeline.now_s:
            self._timeline.at(life.until_s, self._go_on, life, steps, value, intent)
            return
        try:
            wanted = steps.send(value)
        except StopIteration:
            self._over()
            return
        except Exception as error:  # noqa: BLE001  # whatever a client raises here is a finding
            self._judge.complain("errors", f"{life.name}: {type(error).__name__}: {error}")
            self._over()
            return
        if type(wanted) is float:
            self._timeline.at(life.true_s(wanted), self._wake, life, steps, wanted)
        elif wanted is not None:
            self._network.send(life, steps, wanted)

    def _wake(self, life: Life, steps: Job, at_s: float) -> None:
        if life.is_alive and life.until_s <= self._timeline.now_s:
            life.has_slept_until(at_s)
        self._go_on(life, steps, None)

    def _over(self) -> None:
        self._figures["jobs finished"] += 1

    def _schedule(self, name: str, fault: Any) -> None:
        timeline = self._timeline
        match fault:
            case Kill():
                timeline.at(fault.at_s, self._kill, name, fault.process, fault.down_s)
            case Halt():
                timeline.at(fault.at_s, self._halt, name, fault)
            case Step():
                timeline.at(fault.at_s, self._step, name, fault)
            case StopPoint():
                self._stop_points[fault.intent, fault.point] = name
            case ServerFault():
                self._armed.append(self._engine.arm(replace(fault.fault, label=name)))

    def _kill(self, name: str, number: int, down_s: float) -> None:
        life = self._lives[number]
        if life is None:
            return
        self._note(name, f"process {number} is killed, and comes back after {down_s:.3f} s")
        self._figures["kills"] += 1
        life.is_alive = False
        life.desk.die()
        self._lives[number] = None
        back_s = min(self._timeline.now_s + down_s, max(self._plan.calm_s, self._timeline.now_s))
        self._timeline.at(back_s, self._begin_life, number)

    def _dies_at(self, life: Life, intent: int, point: str) -> bool:
        name = self._stop_points.pop((intent, point), None) if self._stop_points else None
        if name is None or self._network.is_calm:
            return False
        fault = self._faults[name]
        assert isinstance(fault, StopPoint)
        self._figures[f"kills {point}"] += 1
        self._kill(name, life.number, fault.down_s)
        self._network.fired[name] += f", at a point of intent {intent}: {point}"
        return True

    def _halt(self, name: str, fault: Halt) -> None:
        life = self._lives[fault.process]
        if life is None:
            return
        until_s = min(self._timeline.now_s + fault.for_s, self._plan.calm_s)
        self._note(name, f"process {fault.process} stands still until {until_s:.3f} s")
        self._figures["halts"] += 1
        begins_s = max(self._timeline.now_s, life.until_s)
        life.halted_s += max(0.0, until_s - begins_s)
        life.until_s = max(life.until_s, until_s)

    def _step(self, name: str, fault: Step) -> None:
        self._note(name, f"the wall clock of process {fault.process} jumps by {fault.by_s:.3f} s")
        self._figures["clock steps"] += 1
        self._skews_s[fault.process] += fault.by_s
        life = self._lives[fault.process]
        if life is not None:
            life.skew_s += fault.by_s

    def _note(self, name: str, what: str) -> None:
        self._network.fired[name] = f"at {self._timeline.now_s:.3f} s {what}"

    def _calm(self) -> None:
        """From now on nothing goes wrong any more."""
        self._network.is_calm = True
        self._stop_points.clear()
        for armed in self._engine.armed():
            if armed.struck:
                name = armed.fault.label or ""
                self._network.fired[name] = f"the service: {replace(armed.fault, label=None).describe()}"
        for identity in self._armed:
            self._engine.disarm(identity)

    def _look_for_doubts(self) -> None:
        """Somebody has the client look for the tasks of doubts, and takes up what is found."""
        life = next((life for life in self._lives if life is not None), None)
        if life is not None and isinstance(life.desk, KeptDesk):
            self._go_on(life, self._looking(life, life.desk), None)

    def _looking(self, life: Life, desk: KeptDesk) -> Job:
        by_key = {intent.key: intent for intent in self._intents}
        for key in (yield from reconcile(life, desk.core)):
            self._want(life.number, by_key[key])

    def _judged(self, *, is_over: bool) -> Result:
        judge, network, now_s = self._judge, self._network, self._timeline.now_s
        if not is_over:
            judge.complain("unfinished jobs", f"something still happens {BOUND_S:.0f} s after the last fault")
        rows, strays = rows_of(self._kept if self._plan.is_kept else self._pure, WALL_S + now_s)
        bill = self._engine.bill(Moment(now_s + BOUND_S, WALL_S + now_s + BOUND_S))
        judge.finish(rows, strays, bill.tasks, [intent.key for intent in self._intents])
        counters = self._engine.journal.counters
        if (counters["requests"], counters["create_requests"]) != (network.delivered, network.creates_delivered):
            judge.complain("journal disagrees", f"it has {counters['requests']} requests of {network.delivered}")
        figures = self._figures
        figures.update(
            tasks=len(self._intents),
            accepted=sum(map(len, judge.made.values())),
            requests=network.delivered,
            faults=len(network.fired),
            events=self._timeline.happened,
            **{"billed tasks": bill.billed_tasks, "throttled creates": counters["throttled_creates"]},
            **{"over the query rate": counters["over_query_rate"], "strays": len(strays)},
            **{"in doubt": sum(row.phase == "IN_DOUBT" for row in rows), "creates sent": judge.creates},
        )
        figures.update({f"doubts looked into: {verdict}": count for verdict, count in judge.verdicts.items()})
        trace = network.trace or []
        digest = hashlib.sha256("\n".join([*trace, *map(str, rows)]).encode()).hexdigest() if trace else ""
        return Result(self._plan.name, judge.counts, judge.lines, figures, network.fired, digest, trace)


def simulate(
    seed: int,
    number: int,
    *,
    only: frozenset[str] | None = None,
    wanted: frozenset[int] | None = None,
    traced: bool = False,
) -> Result:
    """Run one world by its seed and number."""
    with quiet():
        return World(a_plan(seed, number), only=only, wanted=wanted, traced=traced).run()
