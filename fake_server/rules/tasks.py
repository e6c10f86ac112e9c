"""Tasks: what was asked for, and what follows from that at any instant."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from fake_server.scenario.lifecycles import Lifecycle, Position, Step, entries, position, rest_s
from fake_server.wire import bodies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_server.wire.endpoints import Endpoint
    from fake_server.wire.results import Failure
    from fake_server.wire.submissions import Submission

# Seconds of speech in every file, as every transcription is of the same few words.
SPOKEN_S = 4
# The digit of a UUID that says of which kind it is keeps two bits of its own.
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def make_id(purpose: str) -> str:
    """An id in the form of a random UUID that follows from what it is for."""
    text = hashlib.sha256(purpose.encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{_VARIANTS[text[16]]}{text[17:20]}-{text[20:32]}"


def pack_id(text: str) -> int:
    """An id of :func:`make_id` in half the room."""
    return int(text.replace("-", ""), 16)


def unpack_id(packed: int) -> str:
    """The id again."""
    text = f"{packed:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(slots=True)
class Task:
    """One accepted create. Its state is never stored: it follows from these fields and the time.

    A world holds up to 100,000 of these, so what tasks have in common is shared, what most lack is None, and of polls
    only what their answers follow from is kept.

    Args:
        ordinal: Its number in its world, from 0.
        task_id: Its id.
        request: The id of the answer that accepted it, packed.
        dialect: The dialect it was created in.
        endpoint: Where it was created.
        asked: What was asked for.
        lifecycle: Its script.
        speed: What scripted seconds are divided by.
        submitted_s: When it was accepted (monotonic seconds).
        submitted_wall_s: The same in wall seconds.
        started_s: When its script began (monotonic seconds); None while it waits for a slot.
        canceled_s: When a client cancelled it, or None.
        polled_out_s: When those of its steps that are counted in polls had their last one, in their order.
        polls_of_step: How many polls the one that counts them now has had.
        asked_s: When it was asked for last, or None.
        end_told: Whether a status query was answered with its end.
        was_fetched: Whether its asset was served.
        expired_s: When it was made to be forgotten (monotonic seconds), or None.
        urls_expired_s: When its assets were made to expire, or None.
    """

    ordinal: int
    task_id: str
    request: int
    dialect: bodies.Dialect
    endpoint: Endpoint
    asked: Submission
    lifecycle: Lifecycle
    speed: float
    submitted_s: float
    submitted_wall_s: float
    started_s: float | None = None
    canceled_s: float | None = None
    polled_out_s: tuple[float, ...] = ()
    polls_of_step: int = 0
    asked_s: float | None = None
    end_told: bool = False
    was_fetched: bool = False
    expired_s: float | None = None
    urls_expired_s: float | None = None

    @property
    def request_id(self) -> str:
        """The id of the answer that accepted it."""
        return unpack_id(self.request)

    def entries(self) -> list[float]:
        """When each step of its script begins (monotonic seconds), as far as that is settled."""
        started_s = self.submitted_s if self.started_s is None else self.started_s
        return entries(self.lifecycle, started_s, self.polled_out_s, self.speed)

    def position(self, now_s: float) -> Position | None:
        """Where its script stands, or None while it waits for a slot."""
        if self.started_s is None:
            return None
        return position(self.lifecycle, self.entries(), now_s)

    def frees_slot_s(self) -> float | None:
        """When it gives its slot back, as far as that is settled."""
        if self.canceled_s is not None:
            return self.canceled_s
        return None if self.started_s is None else rest_s(self.lifecycle, self.entries())

    def is_open(self, now_s: float) -> bool:
        """Whether it can still change, and so come to cost something."""
        if self.canceled_s is not None:
            return False
        place = self.position(now_s)
        return place is None or place.index < len(self.lifecycle.steps) - 1

    def view(self, now_s: float) -> TaskView:
        """Its state at an instant."""
        return self._view_of(self.position(now_s))

    def view_then(self, then_s: float) -> TaskView:
        """Its state at an instant that is past, as it was seen then."""
        if self.canceled_s is not None and then_s >= self.canceled_s:
            return self._view_of(None)
        return _view_at(None if self.started_s is None or then_s < self.started_s else self.position(then_s))

    def polled(self, now_s: float) -> tuple[TaskView, bool]:
        """Remember a status query that is answered with the present state.

        Returns:
            That state, and whether the script now goes on to its next step, having waited for this query.
        """
        place = self.position(now_s)
        view = self._view_of(place)
        if place is None or self.canceled_s is not None or place.step.lasts_polls is None:
            return view, False
        self.polls_of_step += 1
        if self.polls_of_step < place.step.lasts_polls:
            return view, False
        self.polled_out_s, self.polls_of_step = (*self.polled_out_s, now_s), 0
        return view, True

    def _view_of(self, place: Position | None) -> TaskView:
        if self.canceled_s is not None:
            return TaskView(Step(bodies.CANCELED), None, self.canceled_s)
        return _view_at(place)

    def make_at_once(self, now_s: float) -> None:
        """Make the result now, as a synchronous create does: only the end of the life and its results count."""
        self.lifecycle = Lifecycle(self.lifecycle.steps[-1:], results=self.lifecycle.results)
        self.started_s = now_s

    def items(self) -> Sequence[Failure | None]:
        """Per image, file, video or model: None where it is made, or why it is not."""
        scripted = self.lifecycle.results
        if self.endpoint.form == "transcription":
            files = len(self.asked.files)
            # A script knows nothing of the number of files: it holds for the first ones.
            return [*(scripted or ())[:files], *([None] * (files - len(scripted or ())))]
        if scripted is not None and self.endpoint.form in ("images", "messages"):
            return scripted
        return [None] * self.asked.images

    def units(self, *, made_only: bool) -> int:
        """How many units of its price it asks for, or has made: seconds of video or speech, images, models."""
        if self.endpoint.form == "video":
            return self.asked.duration_s
        items = self.items()
        count = sum(item is None for item in items) if made_only else len(items)
        return count * SPOKEN_S if self.endpoint.form == "transcription" else count

    def times(self, view: TaskView) -> bodies.TaskTimes:
        """Its times for an answer, in wall seconds."""
        submitted_s, wall_s = self.submitted_s, self.submitted_wall_s
        running_s, ended_s = view.running_since_s, view.ended_s
        return bodies.TaskTimes(
            wall_s,
            None if running_s is None else wall_s + (running_s - submitted_s),
            None if ended_s is None else wall_s + (ended_s - submitted_s),
        )


def _view_at(place: Position | None) -> TaskView:
    if place is None:
        return TaskView(Step(bodies.PENDING), None, None)
    ended_s = place.entered_s if place.step.status in bodies.ENDS else None
    return TaskView(place.step, place.running_since_s, ended_s)


class TaskView(NamedTuple):
    """A task at one instant; instants are monotonic seconds."""

    step: Step
    running_since_s: float | None
    ended_s: float | None

    @property
    def status(self) -> str:
        """The word on the wire, while the service remembers the task."""
        return self.step.status
