"""A process: its clocks, its memory, and its jobs. Killed, it is another one when it comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resilient_poll.dashscope.wire.dialects import DIALECTS
from resilient_poll.machine.floor import Floor
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.pace import Gate, Pace
from resilient_poll.machine.policy import SubmitPolicy, WaitPolicy
from resilient_poll.machine.schedules import Fixed
from tests.simulation.chance import Draws

if TYPE_CHECKING:
    from tests.simulation.desks import Desk
    from tests.simulation.judge import Judge
    from tests.simulation.plan import Intent, Plan
    from tests.simulation.timeline import Timeline

__all__ = ["WALL_S", "Life"]

WALL_S = 1_750_000_000.0
"""The true wall clock at the beginning of each world: a moment in June 2025."""


class Life:
    """One life of a process, from its start to its death.

    Args:
        plan: The world.
        timeline: True time.
        judge: Hears what the process says.
        number: Which process.
        ordinal: Which of its lives, from 0.
        skew_s: How much its wall clock is ahead.

    Attributes:
        name: Its name.
        desk: Its side of the ledger.
        stop_points: At which point of which job it dies.
        halted_s: How long it stood still so far.
        until_s: Until when it stands still, in true seconds.
    """

    desk: Desk

    def __init__(self, plan: Plan, timeline: Timeline, judge: Judge, number: int, ordinal: int, skew_s: float) -> None:
        self.name = f"{number}.{ordinal}"
        self.number = number
        self.timeline = timeline
        self.judge = judge
        self.skew_s = skew_s
        self.is_alive = True
        self.until_s = 0.0
        self.halted_s = 0.0
        self.dies_at: Any = None
        self.dialect = DIALECTS[plan.dialect]
        draws = Draws(f"{plan.name} life {self.name}")
        # Every boot has a monotonic clock of its own.
        self.ahead_s = float(draws.whole(0, 100_000))
        self.disk_s = draws.between(0.002, 0.05) if draws.chance(0.2) else 0.0
        self.create_floor, self.query_floor = Floor(), Floor()
        self.create_gate = Gate()
        paces = [Pace(20, 1.0)] if plan.limits_queries else []
        self.query_gate = Gate(paces)
        self.policy = WaitPolicy(attempt_timeout_s=plan.attempt_s, schedule=Fixed(plan.interval_s))
        self.submit_policy = SubmitPolicy(timeout_s=plan.submit_s, attempt_timeout_s=plan.create_s)
        self._policies: dict[float, WaitPolicy] = {}
        self._floors: dict[str, Floor] = {}
        self._least_s = 0.0
        self._shown = (-1.0, 0.0, 0.0)
        self._now = Instant(0.0, 0.0)

    def now(self) -> Instant:
        """Return what its clocks show."""
        true_s = self.timeline.now_s
        shown = true_s, self.skew_s, self._least_s
        if shown != self._shown:  # It is asked several times for each thing that happens.
            self._shown = shown
            self._now = Instant(max(self._least_s, true_s + self.ahead_s), WALL_S + true_s + self.skew_s)
        return self._now

    def true_s(self, monotonic_s: float) -> float:
        """Return when its monotonic clock shows something, in true seconds."""
        return monotonic_s - self.ahead_s

    def has_slept_until(self, monotonic_s: float) -> None:
        """Take in that it woke: its clock shows that much, whatever floats add up to."""
        self._least_s = max(self._least_s, monotonic_s)

    def floor_of(self, task_id: str) -> Floor:
        """Return the floor of one task, for all in this process who poll it."""
        floor = self._floors.get(task_id)
        if floor is None:
            floor = self._floors[task_id] = Floor()
        return floor

    def policy_for(self, intent: Intent) -> WaitPolicy:
        """Return how a wait for one thing behaves."""
        policy = self._policies.get(intent.wait_s)
        if policy is None:
            made = WaitPolicy(
                timeout_s=intent.wait_s,
                attempt_timeout_s=self.policy.attempt_timeout_s,
                schedule=self.policy.schedule,
            )
            policy = self._policies[intent.wait_s] = made
        return policy
