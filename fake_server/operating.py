"""What a person or a test does to a world from outside: move tasks, change limits, see what time has done.

Nothing here is a request: no line of the journal, no counter and no manners. The engine's own rules hold afterwards as
if the script had said so, and the bill is as exact.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from fake_server.rules.limits import quotas_in_use
from fake_server.scenario.lifecycles import Step
from fake_server.wire import bodies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Literal

    from fake_server.engine import Engine
    from fake_server.moment import Moment
    from fake_server.rules.tasks import Task
    from fake_server.scenario.model import Quotas

# A task that was moved more often is moved by a loop that forgot to stop.
MOST_STEPS = 200
LARGEST_SPEED = 1_000_000.0
_STATUS = re.compile(r"[A-Z][A-Z_]{0,39}")


class NotPossibleError(Exception):
    """Something that cannot be done to a world as it is.

    Args:
        detail: Why, in a sentence.
        is_missing: Whether what it should be done to is not there.
    """

    def __init__(self, detail: str, *, is_missing: bool = False) -> None:
        super().__init__(detail)
        self.is_missing = is_missing


class Transition(NamedTuple):
    """A task came to another status.

    Args:
        task_id: The task.
        from_status: What it was, or None where it came to be.
        to_status: What it is.
        at_s: When, in seconds since the world began.
    """

    task_id: str
    from_status: str | None
    to_status: str
    at_s: float

    def fields(self) -> dict[str, Any]:
        """The transition as pages show it."""
        return {"task_id": self.task_id, "from": self.from_status, "to": self.to_status, "at_s": self.at_s}


@dataclass(frozen=True, slots=True)
class LifePoint:
    """A status that a task came to, and when, in seconds since the world began."""

    status: str
    at_s: float


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as it truly is, whatever a client was told; instants are seconds since the world began.

    Args:
        task_id: Its id.
        status: Its status.
        is_remembered: Whether the service still knows it; one that is not is UNKNOWN to its clients.
        is_open: Whether it may still change, and come to cost something.
        waits_for_slot: Whether the concurrency cap keeps it from starting.
        dialect: The dialect it was created in.
        endpoint: Where it was created.
        model: Its model.
        submitted_s: When it was accepted.
        running_s: When it began to run, or None.
        ended_s: When it ended, or None.
        end_told: Whether a status query was answered with its end.
        was_fetched: Whether its asset was served.
        life: Its statuses from the first to the present, each with when it began.
    """

    task_id: str
    status: str
    is_remembered: bool
    is_open: bool
    waits_for_slot: bool
    dialect: str
    endpoint: str
    model: str
    submitted_s: float
    running_s: float | None
    ended_s: float | None
    end_told: bool
    was_fetched: bool
    life: tuple[LifePoint, ...]


def task_row(engine: Engine, task: Task, now: Moment) -> TaskRow:
    """One task at an instant."""
    now_s, began_s = engine.forward(now).monotonic_s, engine.started.monotonic_s
    view = task.view(now_s)
    return TaskRow(
        task_id=task.task_id,
        status=view.status,
        is_remembered=forgotten_s(engine, task) > now_s,
        is_open=task.is_open(now_s),
        waits_for_slot=task.started_s is None and task.canceled_s is None,
        dialect=task.dialect,
        endpoint=task.endpoint.name,
        model=task.asked.model,
        submitted_s=_since(task.submitted_s, began_s),
        running_s=None if view.running_since_s is None else _since(view.running_since_s, began_s),
        ended_s=None if view.ended_s is None else _since(view.ended_s, began_s),
        end_told=task.end_told,
        was_fetched=task.was_fetched,
        life=tuple(LifePoint(status, _since(at_s, began_s)) for at_s, status in life(task, now_s)),
    )


def task_rows(engine: Engine, now: Moment, most_rows: int) -> tuple[list[TaskRow], int]:
    """All tasks in order of submission, at most so many, the latest; and how many are left out."""
    engine.forward(now)
    kept = deque(engine.everything(), maxlen=most_rows)
    total = len(engine.tasks) + len(engine.made_at_once)
    return [task_row(engine, task, now) for task in kept], total - len(kept)


def forgotten_s(engine: Engine, task: Task) -> float:
    """When the service forgets a task, in monotonic seconds."""
    retained_s = task.submitted_s + engine.scenario.retention_s
    return retained_s if task.expired_s is None else min(task.expired_s, retained_s)


def life(task: Task, until_s: float) -> list[tuple[float, str]]:
    """When a task came to each status, as far as it has by an instant; what follows on itself is told once."""
    points = [(task.submitted_s, bodies.PENDING)] if task.started_s is None else []
    if task.started_s is not None:
        if task.started_s > task.submitted_s:
            points.append((task.submitted_s, bodies.PENDING))
        steps = zip(task.entries(), task.lifecycle.steps, strict=False)
        points += [(at_s, step.status) for at_s, step in steps]
    if task.canceled_s is not None:
        points = [*[point for point in points if point[0] <= task.canceled_s], (task.canceled_s, bodies.CANCELED)]
    told: list[tuple[float, str]] = []
    for at_s, status in points:
        if at_s > until_s:
            break
        if not told or told[-1][1] != status:
            told.append((at_s, status))
    return told


def transitions_of(engine: Engine, task: Task, after_s: float, until_s: float) -> Iterator[Transition]:
    """What became of a task after one instant (monotonic seconds) and until another, which is included."""
    began_s, before = engine.started.monotonic_s, None
    for at_s, status in life(task, until_s):
        if at_s > after_s:
            yield Transition(task.task_id, before, status, _since(at_s, began_s))
        before = status


def transitions(engine: Engine, after_s: float, until: Moment, most: int) -> tuple[list[Transition], int]:
    """What became of all tasks after an instant (monotonic seconds) until another, in order of time.

    Returns:
        At most so many, and how many are left out.
    """
    until_s = engine.forward(until).monotonic_s
    all_of_them = itertools.chain.from_iterable(
        transitions_of(engine, task, after_s, until_s) for task in engine.everything()
    )
    found = sorted(all_of_them, key=lambda transition: transition.at_s)
    return found[:most], max(0, len(found) - most)


class TaskWatch:
    """Tells what became of a world's tasks since it was last asked; looks at open tasks only.

    Args:
        engine: The world.
        after_s: From when on (monotonic seconds); of tasks that exist already, what became of them until then is known.
    """

    def __init__(self, engine: Engine, after_s: float) -> None:
        self.engine = engine
        self._after_s = after_s
        self._known = len(engine.tasks)
        self._seen = 0
        self._open: dict[str, tuple[Task, int]] = {}

    @property
    def has_open(self) -> bool:
        """Whether some task may still come to another status."""
        return bool(self._open) or self._seen < len(self.engine.tasks)

    def news(self, now: Moment) -> list[Transition]:
        """What is new, in order of time."""
        engine, now_s, began_s = self.engine, self.engine.forward(now).monotonic_s, self.engine.started.monotonic_s
        for number, task in enumerate(itertools.islice(engine.tasks.values(), self._seen, None), self._seen):
            points = life(task, now_s) if number < self._known else []
            self._open[task.task_id] = (task, sum(at_s <= self._after_s for at_s, _ in points))
        self._seen = len(engine.tasks)
        found: list[Transition] = []
        for task, told in list(self._open.values()):
            points = life(task, now_s)
            for number in range(told, len(points)):
                before = points[number - 1][1] if number else None
                found.append(Transition(task.task_id, before, points[number][1], _since(points[number][0], began_s)))
            self._open[task.task_id] = (task, len(points))
            if task.view(now_s).ended_s is not None:
                del self._open[task.task_id]
        return sorted(found, key=lambda transition: transition.at_s)


class Operator:
    """A hand on one world.

    Args:
        engine: The world.
        now: The present.
    """

    def __init__(self, engine: Engine, now: Moment) -> None:
        self._engine = engine
        self._now_s = engine.forward(now).monotonic_s

    def task(self, task_id: str) -> Task:
        """A task by its id.

        Raises:
            NotPossibleError: If there is none.
        """
        task = self._engine.tasks.get(task_id)
        if task is None:
            raise NotPossibleError("there is no task of this id in this world", is_missing=True)
        return task

    def move(self, task_id: str, status: str, code: str | None = None, message: str | None = None) -> Task:
        """Bring a task to a status now.

        If its script has a later step of this status, it goes on from there; otherwise the status is where it stays
        until it is moved again. A task that waits for a slot starts at once, over the cap.

        Args:
            task_id: The task.
            status: Any word that a service might say, in capitals.
            code: The failure's code, for FAILED.
            message: The failure's sentence, for FAILED.

        Raises:
            NotPossibleError: If there is no such task, or it has ended: what has ended stays so, and so does its bill.
        """
        task = self._open_task(task_id, "moved")
        if not _STATUS.fullmatch(status):
            raise NotPossibleError("found no status, expected a word in capitals such as RUNNING")
        if len(task.lifecycle.steps) > MOST_STEPS:
            raise NotPossibleError(f"this task was moved {MOST_STEPS} times, and is not moved any more")
        slots = self._engine.limits.slots_of(task)
        slots.start_now(task, self._now_s)
        place = task.position(self._now_s)
        assert place is not None  # noqa: S101 - it has started; for the type checker
        steps, began = task.lifecycle.steps, task.entries()
        ends = [*began[1 : place.index + 1], self._now_s]
        # The past is frozen as it was: steps that one poll ended, at the very instants, so that no rounding moves them.
        past = tuple(replace(step, lasts_s=None, lasts_polls=1) for step in steps[: place.index + 1])
        later = next((n for n in range(place.index + 1, len(steps)) if steps[n].status == status), None)
        rest = (Step(status),) if later is None else steps[later:]
        if code or message:
            rest = (replace(rest[0], code=code or rest[0].code, message=message or rest[0].message), *rest[1:])
        task.lifecycle = replace(task.lifecycle, steps=(*past, *rest))
        task.polled_out_s, task.polls_of_step = tuple(ends), 0
        slots.go_on(task)
        self._engine.limits.settle(self._now_s)
        return task

    def cancel(self, task_id: str) -> Task:
        """Cancel a task as its owner would, whatever its status; it costs nothing.

        Raises:
            NotPossibleError: If there is no such task, or it has ended.
        """
        task = self._open_task(task_id, "cancelled")
        self._engine.limits.slots_of(task).cancel(task, self._now_s)
        return task

    def expire(self, task_id: str, what: Literal["task", "urls"] = "task") -> Task:
        """Let the service forget a task, or let its asset URLs expire; neither changes the bill.

        Raises:
            NotPossibleError: If there is no such task.
        """
        task = self.task(task_id)
        if what == "task":
            task.expired_s = self._now_s
        else:
            task.urls_expired_s = self._now_s
        return task

    def set_speed(self, speed: float) -> None:
        """Divide the scripted times of tasks that are created from now on by another number.

        Those that exist keep theirs: a change would move what has already happened to them.

        Raises:
            NotPossibleError: If it is no number above 0, up to a million.
        """
        if not 0 < speed <= LARGEST_SPEED:
            raise NotPossibleError(f"found the speed {speed!r}, expected a number above 0, up to {LARGEST_SPEED:.0f}")
        self._engine.speed = speed

    def set_quotas(self, quotas: Quotas) -> None:
        """Change the limits of this world from now on; what runs over a lower cap runs on."""
        self._engine.scenario = replace(self._engine.scenario, quotas=quotas)
        self._engine.limits.change(quotas, self._now_s)

    def quotas(self) -> dict[str, Any]:
        """The limits, and how much of them is used."""
        return {**asdict(self._engine.scenario.quotas), "in_use": quotas_in_use(self._engine.limits, self._now_s)}

    def _open_task(self, task_id: str, done: str) -> Task:
        task = self.task(task_id)
        status = task.view(self._now_s).status
        if status in bodies.ENDS:
            raise NotPossibleError(f"this task is {status}: what has ended stays as it is, and cannot be {done}")
        return task


def _since(at_s: float, began_s: float) -> float:
    """Seconds since the world began, as the journal rounds them."""
    return round(at_s - began_s, 6)
