"""Tasks: what was asked for, and what follows from that at any instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fake_server.scenario.lifecycles import Lifecycle, Position, Step, entries, position, rest_s
from fake_server.wire import bodies

if TYPE_CHECKING:
    from fake_server.moment import Moment


@dataclass(slots=True)
class Task:
    """One accepted create. Its state is never stored: it follows from these fields and the time.

    Args:
        ordinal: Its number in its world, from 0.
        task_id: Its id.
        request_id: The id of the answer that accepted it.
        dialect: The dialect it was created in.
        model: The model asked for.
        prompt: The prompt asked for.
        duration_s: Seconds of video asked for.
        resolution: Lines of video asked for.
        lifecycle: Its script.
        speed: What scripted seconds are divided by.
        submitted: When it was accepted.
        started_s: When its script began (monotonic seconds); None while it waits for a slot.
        canceled_s: When a client cancelled it, or None.
        polls: Per step that is counted in polls, the instants of polls answered with it.
        end_told: Whether a status query was answered with its end.
        was_fetched: Whether its asset was served.
    """

    ordinal: int
    task_id: str
    request_id: str
    dialect: bodies.Dialect
    model: str
    prompt: str
    duration_s: int
    resolution: int
    lifecycle: Lifecycle
    speed: float
    submitted: Moment
    started_s: float | None = None
    canceled_s: float | None = None
    polls: dict[int, list[float]] = field(default_factory=dict)
    end_told: bool = False
    was_fetched: bool = False

    def _entries(self) -> list[float]:
        started_s = self.submitted.monotonic_s if self.started_s is None else self.started_s
        return entries(self.lifecycle, started_s, self.polls, self.speed)

    def position(self, now_s: float) -> Position | None:
        """Where its script stands, or None while it waits for a slot."""
        if self.started_s is None:
            return None
        return position(self.lifecycle, self._entries(), now_s)

    def frees_slot_s(self) -> float | None:
        """When it gives its slot back, as far as that is settled."""
        if self.canceled_s is not None:
            return self.canceled_s
        return None if self.started_s is None else rest_s(self.lifecycle, self._entries())

    def is_open(self, now_s: float) -> bool:
        """Whether it can still change, and so come to cost something."""
        if self.canceled_s is not None:
            return False
        place = self.position(now_s)
        return place is None or place.index < len(self.lifecycle.steps) - 1

    def view(self, now_s: float) -> TaskView:
        """Its state at an instant."""
        if self.canceled_s is not None:
            return TaskView(Step(bodies.CANCELED), None, self.canceled_s)
        place = self.position(now_s)
        if place is None:
            return TaskView(Step(bodies.PENDING), None, None)
        ended_s = place.entered_s if place.step.status in bodies.ENDS else None
        return TaskView(place.step, place.running_since_s, ended_s)

    def count_poll(self, now_s: float) -> None:
        """Remember a status query that was really answered with the present step."""
        place = self.position(now_s)
        if place is None or self.canceled_s is not None or place.step.lasts_polls is None:
            return
        # With its last poll the step is over, so no list grows beyond what its step counts.
        self.polls.setdefault(place.index, []).append(now_s)

    def times(self, view: TaskView) -> bodies.TaskTimes:
        """Its times for an answer, in wall seconds."""
        wall_at = self.submitted.wall_at
        return bodies.TaskTimes(
            self.submitted.wall_s,
            None if view.running_since_s is None else wall_at(view.running_since_s),
            None if view.ended_s is None else wall_at(view.ended_s),
        )


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task at one instant; instants are monotonic seconds."""

    step: Step
    running_since_s: float | None
    ended_s: float | None

    @property
    def status(self) -> str:
        """The word on the wire, while the service remembers the task."""
        return self.step.status
