"""Where a scripted task stands: a pure function of its script, its times and the polls it was shown.

Nothing here is ever stepped: asking twice gives the same answer, and who asked how often matters only
for steps that a script explicitly counts in polls.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from fake_server.wire import bodies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fake_server.wire.results import Failure


@dataclass(frozen=True, slots=True)
class Step:
    """One stretch of a task's life.

    Args:
        status: The word on the wire; any word, listed or not.
        lasts_s: Its length in scripted seconds (the speed divides them), or None.
        lasts_polls: Its length in status queries answered with this step, or None.
        code: The failure code, for FAILED.
        message: The failure sentence, for FAILED.

    A step with neither length is the last one, and stays for ever.
    """

    status: str
    lasts_s: float | None = None
    lasts_polls: int | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """A whole scripted life, and how its answers look.

    Args:
        steps: At least one step; only the last has no length.
        usage: The form of `usage`, or None to follow the model.
        place: Where the URL stands in the answer.
        tells_times: Whether PENDING and RUNNING carry `submit_time` and `scheduled_time`.
        billed_share: Which part of the price a cancel by policy costs, from 0 to 1.
        results: Per image or file None where it was made, or why it was not; None makes all that was asked for.
    """

    steps: tuple[Step, ...]
    usage: bodies.UsageForm | None = None
    place: bodies.UrlPlace = "video_url"
    tells_times: bool = True
    billed_share: Decimal = Decimal(0)
    results: tuple[Failure | None, ...] | None = None

    @property
    def last(self) -> Step:
        """The step that stays for ever."""
        return self.steps[-1]

    @property
    def can_be_unknown(self) -> bool:
        """Whether the service may not know the task at some time."""
        return any(step.status == bodies.UNKNOWN for step in self.steps)


@dataclass(slots=True)  # not frozen: one is made for every poll, and freezing triples its cost
class Position:
    """A place in a script: which step, since when (monotonic seconds), and when the first RUNNING began."""

    index: int
    step: Step
    entered_s: float
    running_since_s: float | None


def entries(lifecycle: Lifecycle, started_s: float, polled_out_s: Sequence[float], speed: float) -> list[float]:
    """When each step begins, as far as it is settled.

    Args:
        lifecycle: The script.
        started_s: When it began, in monotonic seconds.
        polled_out_s: When those steps that are counted in polls had their last one, in their order; as far as they had.
        speed: What scripted seconds are divided by.

    Returns:
        One instant per step, from the first; shorter than the script where a later step waits for polls
        that have not come.
    """
    instants = [started_s]
    instant, counted = started_s, 0
    for step in lifecycle.steps[:-1]:
        if step.lasts_s is not None:
            instant += step.lasts_s / speed
        elif counted < len(polled_out_s):
            instant = polled_out_s[counted]
            counted += 1
        else:
            break
        instants.append(instant)
    return instants


def position(lifecycle: Lifecycle, instants: Sequence[float], now_s: float) -> Position:
    """Where a script stands at `now_s`, given the instants of :func:`entries`."""
    # Loops rather than generators: this is asked twice for every poll.
    index = len(instants) - 1
    while index and instants[index] > now_s:
        index -= 1
    running = None
    for number in range(index + 1):
        if lifecycle.steps[number].status == bodies.RUNNING:
            running = instants[number]
            break
    return Position(index, lifecycle.steps[index], instants[index], running)


def rest_s(lifecycle: Lifecycle, instants: Sequence[float]) -> float | None:
    """When the task gives its slot back, in monotonic seconds, or None where that is not settled.

    It does at an end, and where the service forgets it for good (a last UNKNOWN); a last step of any other
    word keeps the slot for ever.
    """
    if len(instants) < len(lifecycle.steps):
        return None
    if lifecycle.last.status in bodies.ENDS or lifecycle.last.status == bodies.UNKNOWN:
        return instants[-1]
    return None
