"""One round of the kill test: workers that are hit at random and at named points, then rest, then the judge."""

from __future__ import annotations

import queue
import random
import signal
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from resilient_poll.machine.lifecycle import Phase
from tests.crash.judge import Verdict, judge, left_to_do
from tests.crash.nursery import Nursery, Order
from tests.crash.place import Place
from tests.crash.points import NEAR_POINTS
from tests.crash.requests import key_of, number_of

__all__ = ["STORM_OPTIONS", "Storm"]

CREW = 8
"""Workers at once: four for each of two cores, and more than one at a time for most keys."""
WINDOW = 24
"""Keys that are worked on at once; each worker takes some, so most are wanted by several."""
MEAN_CALM_S = 0.1
"""Between two random hits."""
STOPPED_S = (1.0, 3.5)
"""How long a stop lasts: shorter and longer than the time of an attempt."""
STORM_OPTIONS = {"busy_s": 1.0, "wait_s": 200.0, "attempt_s": 2.0, "submit_s": 60.0}
"""Seconds of the world for ``busy_s`` and ``attempt_s``, seconds of the workers' clock for the two others."""
LATER_S = 0.5 * 3600.0
LONGEST_LIFE_S = 120.0
"""Seconds of the world, for some keys that take seconds: whoever lives longer hangs."""
MOST_PASSES = 12
_RECONCILING = 4
"""Passes in which doubts are looked for: a candidate that still runs is compared when it has ended."""
_ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "EXPIRED", "refused", "doubt"})


@dataclass
class _Worker:
    is_armed: bool
    wake_at_s: float | None = None
    is_aimed_at: bool = False


@dataclass
class Storm:
    """One round.

    Attributes:
        workers: Starts them.
        place: Where.
        chance: Draws everything that is drawn here.
        hits: How many random hits.
        figures: What was done.
        sweeps: Whether somebody sometimes removes the files of the ledger's locks while a worker is stopped.
        permits: Whether a human sometimes permits what is in doubt to be sent again.
        permitted: By key, how often that was.
        reasons: Why doubts were adopted, or were not.
    """

    workers: Nursery
    place: Place
    chance: random.Random
    hits: int
    sweeps: bool = False
    permits: bool = False
    figures: Counter[str] = field(default_factory=Counter)
    permitted: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    _alive: dict[int, _Worker] = field(default_factory=dict)
    _window: list[int] = field(default_factory=list)
    _begun: int = 0

    def run(self) -> Verdict:
        """Hit until there were enough hits, bring everything to rest, and judge."""
        self.place.between.at = self._at
        due_s = time.monotonic()
        while self.figures["at random moments"] < self.hits:
            self._fill()
            if time.monotonic() >= due_s:
                self._hit()
                due_s = time.monotonic() + self.chance.expovariate(1.0 / MEAN_CALM_S)
            self._wake()
            self._hear(min(0.05, max(0.0, due_s - time.monotonic())))
        self._calm()
        self._rest()
        verdict = judge(self.place.facts(permits=self.permitted))
        verdict.figures.update(self.figures)
        return verdict

    def _fill(self) -> None:
        """Keep the crew at its number, and enough keys to be worked on."""
        while len(self._window) < WINDOW:
            self._window.append(self._begun)
            self._begun += 1
        while len(self._alive) < CREW:
            armed: Order = {}
            if self.chance.random() < 0.5:
                how = "kill" if self.chance.random() < 0.7 else "stop"
                armed = {"point": self.chance.choice(NEAR_POINTS), "how": how, "nth": self.chance.choice([1, 1, 2])}
            if self.permits and self.chance.random() < 0.2:
                armed = {"permits": 0.5}
            wanted = self.chance.sample(self._window, 5)
            self._start(wanted, **armed)

    def _start(self, wanted: Iterable[int], **more: object) -> None:
        colour = self.chance.choices(["sync", "asyncio", "trio"], [4, 2, 1])[0]
        number = self.workers.start(**self.place.order(wanted, colour=colour, **more))
        self._alive[number] = _Worker(is_armed="point" in more)

    def _hit(self) -> None:
        """Hit one of those that run, at this moment; but none that is hit at a named point, if it gets that far."""
        running = [number for number, worker in self._alive.items() if not worker.is_armed and not worker.wake_at_s]
        if not running:
            return
        number = self.chance.choice(running)
        is_kill = self.chance.random() < 0.7
        self._alive[number].is_aimed_at = True
        self.workers.send(number, signal.SIGKILL if is_kill else signal.SIGSTOP)
        if not is_kill:
            self._alive[number].wake_at_s = time.monotonic() + self.chance.uniform(*STOPPED_S)

    def _at(self, worker: int, point: str) -> None:
        """Hit one whose request or answer is held; called by the threads that carry them."""
        if worker and self._is_stormy and self.chance.random() < 0.06:
            is_kill = self.chance.random() < 0.6
            self.figures[f"hit: {point}"] += 1
            self.workers.send(worker, signal.SIGKILL if is_kill else signal.SIGSTOP)

    @property
    def _is_stormy(self) -> bool:
        return self.figures["at random moments"] < self.hits

    def _wake(self, *, everybody: bool = False) -> None:
        for number, worker in self._alive.items():
            if worker.wake_at_s is not None and (everybody or worker.wake_at_s <= time.monotonic()):
                worker.wake_at_s = None
                # Some never come back from it.
                is_over = not everybody and self.chance.random() < 0.2
                self.workers.send(number, signal.SIGKILL if is_over else signal.SIGCONT)

    def _hear(self, timeout_s: float) -> None:
        try:
            event = self.workers.next(max(0.001, timeout_s))
        except queue.Empty:
            return
        number = event["worker"]
        worker = self._alive.get(number)
        if event["event"] == "stopped":
            self.figures["stops"] += 1
            self._count(worker)
            self._sweep()
            if worker is not None and worker.wake_at_s is None:
                worker.wake_at_s = time.monotonic() + self.chance.uniform(*STOPPED_S)
        elif event["event"] == "gone":
            self._alive.pop(number, None)
            if event["code"] == -signal.SIGKILL:
                self._count(worker)
            self.figures["kills"] += event["code"] == -signal.SIGKILL
            self.figures["workers"] += 1
            if event["code"] not in {0, -signal.SIGKILL}:
                self.figures["workers that broke"] += 1
        elif event["event"] == "hit":
            self.figures[f"hit: {event['point']}"] += 1
        elif event["event"] == "permits":
            self.permitted[event["key"]] += 1
            self.figures["permitted to be sent again"] += 1
        elif event["event"] == "settled":
            self.figures[f"looked for: {event['to']}"] += 1
            self.reasons.append(event["why"])
        elif event["event"] == "unable":
            self.figures[f"unable: {event['why']}"] += 1
        elif event["event"] == "came":
            self.figures[f"came to {event['to']}"] += 1
            if event["to"] in _ENDED and event["wanted"] in self._window:
                self._window.remove(event["wanted"])

    def _sweep(self) -> None:
        if self.sweeps and self.chance.random() < 0.5:
            self.figures["sweeps of the locks"] += 1
            for lock in self.place.folder.glob("ledger.sqlite3.owners/*.lock"):
                lock.unlink(missing_ok=True)

    def _count(self, worker: _Worker | None) -> None:
        """Count a hit if it was one at a random moment; some come when their worker has just gone."""
        if worker is not None and worker.is_aimed_at:
            worker.is_aimed_at = False
            self.figures["at random moments"] += 1

    def _calm(self) -> None:
        """Let those that are left end by themselves."""
        self.place.between.trouble = None
        self._all_home()
        self.place.between.quiet()

    def _rest(self) -> None:
        """Have fresh workers run until there is nothing left to do."""
        for number in range(MOST_PASSES):
            self.place.clock.jump(LATER_S)  # Past all leases; what somebody has just seen is left to it for a while.
            facts = self.place.facts()
            left = left_to_do(facts, map(key_of, range(self._begun)))
            is_in_doubt = any(entry.phase is Phase.IN_DOUBT for entry in facts.entries)
            can_settle = is_in_doubt and self.place.dialect == "dashscope" and number < _RECONCILING
            if not left and not can_settle:
                return
            self.figures["passes to rest"] += 1
            wanted = list(map(number_of, left))
            for start in range(0, len(left), 16):
                self._start(wanted[start : start + 16])
            self._all_home()
            if can_settle:
                self._start([], reconciles=True)
                self._all_home()

    def _all_home(self) -> None:
        """Wait until all have ended by themselves; one that does not is asked where it hangs, and killed."""
        until_s = time.monotonic() + LONGEST_LIFE_S
        while self._alive:
            self._wake(everybody=True)
            self._hear(0.2)
            if time.monotonic() > until_s:
                until_s += LONGEST_LIFE_S
                for number in self._alive:
                    self.figures["workers that hung"] += 1
                    self.workers.send(number, signal.SIGUSR1)
                    self.workers.send(number, signal.SIGCONT)
                    self._hear(1.0)
                    self.workers.send(number, signal.SIGKILL)
                    break
