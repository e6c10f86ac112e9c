"""What somebody may owe who heard only some of the answers, and whose requests may have come twice or not at all.

A world is one thing that may have happened. What is not known splits every world; what is heard throws out those in
which it would not have been said. Money is counted in fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction


@dataclass(frozen=True)
class Step:
    """One stretch of a task's life: its word, and how many seconds or answered polls it lasts; neither is for ever."""

    word: str
    seconds: float | None = None
    polls: int | None = None


@dataclass(frozen=True)
class Life:
    """A life, and which part of its price a cancel that the service makes by itself costs."""

    steps: tuple[Step, ...]
    share: Fraction = Fraction(0)


@dataclass(frozen=True)
class Task:
    """One task that the service may have: its life, when it began, and every poll of it that was answered."""

    life: Life
    made_s: float
    task_id: str | None = None
    polled_s: tuple[float, ...] = ()
    is_canceled: bool = False

    def step(self, now_s: float) -> Step:
        """Return where it stands: its life is gone through from its beginning."""
        at_s, polled = self.made_s, list(self.polled_s)
        for step in self.life.steps[:-1]:
            if step.seconds is not None:
                at_s += step.seconds
                # Polls of a stretch that is counted in seconds count for nothing.
                polled = [poll_s for poll_s in polled if poll_s >= at_s]
                if now_s < at_s:
                    return step
            else:
                needed = step.polls or 0
                if len(polled) < needed:
                    return step
                at_s, polled = polled[needed - 1], polled[needed:]
        return self.life.steps[-1]

    def word(self, now_s: float) -> str:
        """Return what a poll says."""
        return "CANCELED" if self.is_canceled else self.step(now_s).word

    def share(self, now_s: float) -> Fraction:
        """Return which part of its price is owed."""
        if self.is_canceled:
            return Fraction(0)
        return {"SUCCEEDED": Fraction(1), "CANCELED": self.life.share}.get(self.word(now_s), Fraction(0))


World = tuple[Task, ...]


class Account:
    """All that may have happened.

    Args:
        lives: The life of the first task, the second and so on; the last one's for all after it.
        price: What one task costs.
    """

    def __init__(self, lives: Sequence[Life], price: Fraction) -> None:
        self._lives = lives
        self._price = price
        self.worlds: set[World] = {()}

    def created(self, now_s: float, arrived: Iterable[int], heard: str | None) -> None:
        """A create left.

        Args:
            now_s: When.
            arrived: How many times it may have arrived.
            heard: The id in the answer, which may be that of any of its arrivals; None if no answer came.
        """

        def after(world: World) -> Iterable[World]:
            for times in arrived:
                made = tuple(Task(self._life(len(world) + number), now_s) for number in range(times))
                if heard is None:
                    yield (*world, *made)
                for number in range(times if heard is not None else 0):
                    yield (*world, *made[:number], replace(made[number], task_id=heard), *made[number + 1 :])

        self._split(after)

    def polled(self, task_id: str, now_s: float, arrived: Iterable[int], heard: str | None) -> None:
        """A poll left; see :meth:`created`. What was heard is the word of one of the answers."""

        def after(world: World) -> Iterable[World]:
            [number] = [number for number, task in enumerate(world) if task.task_id == task_id]
            for times in arrived:
                task, said = world[number], []
                for _ in range(times):
                    said.append(task.word(now_s))
                    task = replace(task, polled_s=(*task.polled_s, now_s))
                if heard is None or heard in said:
                    yield (*world[:number], task, *world[number + 1 :])

        self._split(after)

    def canceled(self, task_id: str, now_s: float, arrived: Iterable[int], heard: bool | None) -> None:
        """A cancel left; it works while the task is PENDING. What was heard is whether it worked."""

        def after(world: World) -> Iterable[World]:
            [number] = [number for number, task in enumerate(world) if task.task_id == task_id]
            for times in arrived:
                task, said = world[number], []
                for _ in range(times):
                    word = task.word(now_s)
                    said.append(word == "PENDING")
                    task = replace(task, is_canceled=task.is_canceled or word == "PENDING")
                if heard is None or heard in said:
                    yield (*world[:number], task, *world[number + 1 :])

        self._split(after)

    def bills(self, now_s: float) -> set[Fraction]:
        """Return what may be owed."""
        return {sum((task.share(now_s) for task in world), Fraction(0)) * self._price for world in self.worlds}

    def words(self, now_s: float) -> set[tuple[str, ...]]:
        """Return what may be the words of all tasks there are, in order of their creation."""
        return {tuple(task.word(now_s) for task in world) for world in self.worlds}

    def _life(self, number: int) -> Life:
        return self._lives[min(number, len(self._lives) - 1)]

    def _split(self, after: Callable[[World], Iterable[World]]) -> None:
        self.worlds = {one for world in self.worlds for one in after(world)}
