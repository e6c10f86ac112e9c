"""One hit at one named point: the hit worker, a second one that takes over, and one at the end if it is needed."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.crash.judge import Verdict, judge, left_to_do
from tests.crash.nursery import Nursery
from tests.crash.place import Place
from tests.crash.points import FAR_POINTS
from tests.crash.requests import key_of

__all__ = ["Aimed", "hit_once"]

LATER_S = 2 * 3600.0
"""Seconds by which time jumps while a worker is stopped: past every time-out, lease and grace."""
LONGEST_S = 60.0
_MOST_PASSES = 3
_SHORT_S = 0.2


@dataclass
class Aimed:
    """What came of one hit.

    Attributes:
        was_hit: Whether the worker passed the point at all.
        halves_then: Which files under a final name were not whole when it was hit.
        came_second: What came of the key to the second worker.
        came_first: What came of it to the hit one; None if that was killed.
        came_last: What came of it to the last one.
        verdict: The judge's.
    """

    was_hit: bool
    halves_then: tuple[str, ...] = ()
    came_second: str = ""
    came_first: str | None = None
    came_last: str = ""
    verdict: Verdict = field(default_factory=Verdict)


def hit_once(
    workers: Nursery,
    place: Place,
    point: str,
    how: str,
    *,
    sweeps: bool = False,
    permits: bool = False,
    **more: Any,
) -> Aimed:
    """Hit one worker at a point, have another take over, wake the first if it was stopped, and bring all to rest.

    Args:
        workers: Starts them.
        place: A place of its own.
        point: Where.
        how: ``kill`` or ``stop``.
        sweeps: Whether somebody removes the files of the ledger's locks while the worker is stopped.
        permits: Whether a human then has what is in doubt sent again, by the second worker.
        more: What the workers are ordered besides.
    """
    may_go_on = threading.Event()
    try:
        if point in FAR_POINTS:
            number = _hit_from_afar(workers, place, point, how, may_go_on, more)
        else:
            number = workers.start(**place.order([0], point=point, how=how, **more))
        event = workers.wait_for(number, "stopped", "gone")
        if event["event"] == "gone" and event["code"] != -signal.SIGKILL:
            return Aimed(was_hit=False)
        result = Aimed(was_hit=True, halves_then=place.facts().halves)
        place.clock.jump(LATER_S)
        if sweeps:
            for lock in place.folder.glob("ledger.sqlite3.owners/*.lock"):
                lock.unlink()
        if how == "kill":
            may_go_on.set()
        second: dict[str, Any] = {**more, "permits": float(permits)}
        # Where the stopped one holds the ledger, it holds it for good.
        second |= {"busy_s": _SHORT_S} if how == "stop" else {}
        result.came_second = _bring(workers, place, second)
        may_go_on.set()
        if how == "stop":
            workers.send(number, signal.SIGCONT)
            result.came_first = _came(workers, number)
        place.between.quiet()
        for _ in range(_MOST_PASSES):
            if not left_to_do(place.facts(), [key_of(0)]):
                break
            place.clock.jump(LATER_S)  # What the one before has seen, and not handed over, is left to it for a while.
            result.came_last = _bring(workers, place, more)
        result.verdict = judge(place.facts(permits={key_of(0): int(permits)}))
        return result
    finally:
        may_go_on.set()
        place.between.at = _nothing


def _hit_from_afar(
    workers: Nursery, place: Place, point: str, how: str, may_go_on: threading.Event, more: dict[str, Any]
) -> int:
    first: list[int] = []
    is_started, is_hit = threading.Event(), threading.Event()

    def at(_: int, passed: str) -> None:
        if passed == point and not is_hit.is_set() and is_started.wait(LONGEST_S):
            is_hit.set()
            workers.send(first[0], signal.SIGKILL if how == "kill" else signal.SIGSTOP)
            may_go_on.wait(LONGEST_S)

    place.between.at = at
    first.append(workers.start(**place.order([0], **more)))
    is_started.set()
    return first[0]


def _nothing(_worker: int, _point: str) -> None:
    pass


def _bring(workers: Nursery, place: Place, more: dict[str, Any]) -> str:
    """Have a fresh worker bring the key, and return what came of it.

    All its waits are over at once, so it must do one thing after the other: it blocks.
    """
    return _came(workers, workers.start(**place.order([0], leaps=True, **{**more, "colour": "sync"})))


def _came(workers: Nursery, number: int) -> str:
    came = ""
    while (event := workers.wait_for(number, "came", "unable", "gone"))["event"] != "gone":
        came = event.get("to") or event["why"]
    assert event["code"] == 0, f"worker {number} ended with {event['code']}"
    return came
