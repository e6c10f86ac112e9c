"""How several processes that share a ledger keep to one number: of requests under way, or of open tasks.

A slot of a request is a row of its own, taken and given back; it is worth as much as its owner is alive, by
the lock that a kill releases and a pause does not. A task's slot is no row of its own: it is the task's entry,
from its licence to its end, so that it cannot be forgotten, and whoever sees the end has freed it.

Both kinds are given in turn. Who finds none leaves a note that he stands in line, and a slot that is free
belongs to whoever has stood there for longest; who does not ask again soon has left.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from resilient_poll.errors import ConfigurationError
from resilient_poll.ledger.entry import Namespace
from resilient_poll.ledger.errors import LedgerError
from resilient_poll.ledger.rows import (
    ENTRIES,
    SLOTS,
    STRAYS,
    Durability,
    Liveness,
    Owner,
    Row,
    Rows,
    RowStore,
    Value,
    Where,
)
from resilient_poll.machine.lifecycle import OPEN, Phase

__all__ = [
    "DOUBT_HOLDS_S",
    "LOOK_AGAIN_S",
    "NO_TASK",
    "TASK_HOLDS_S",
    "LedgerSlots",
    "checked_places",
    "leave_the_line",
    "may_go",
    "tasks_out",
]

LOOK_AGAIN_S = 1.0
"""Seconds after which asking again makes sense: a task takes 20 s and more, so a free slot idles for a few percent
of that, and a hundred processes that wait ask a database a hundred times a second, which it does not notice."""
STANDS_S = 5.0
"""Seconds for which who found no slot keeps its place in the line without asking again."""
FORGOTTEN_S = 60.0
"""Seconds after which a note of somebody who stood in line is removed."""
DOUBT_HOLDS_S = 3600.0
"""Seconds from its licence for which a submit in doubt holds a slot, unless it is settled before. It may have made a
task, which takes minutes and no documented one an hour; and if it is wrong, the service refuses one submit for now."""
TASK_HOLDS_S = 24 * 3600.0
"""Seconds from its licence after which a task that nobody saw end holds no slot any more: services forget
their ids after about that time."""
NO_TASK = "makes_no_task"
"""In ``about``, what marks a submit that is answered with the result itself: it holds no slot while it has no task."""
_OUT = tuple(sorted({Phase.SUBMITTING.value, Phase.IN_DOUBT.value} | {phase.value for phase in OPEN}))


def checked_places(places: object) -> int:
    """Return a number of slots.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(places, bool) or not isinstance(places, int) or places < 1:
        raise ConfigurationError(f"the number of slots must be a whole number, 1 or more, not {places!r:.40}")
    return places


def tasks_out(rows: Rows, mine: Sequence[Where], now_wall_s: float) -> int:
    """Return how many tasks of an account may be open at the service, by everything that the ledger knows.

    What is being sent counts for as long as its owner lives, however long it is stopped.

    Args:
        rows: The rows.
        mine: The conditions for the account's rows.
        now_wall_s: When.
    """
    columns = ("phase", "licensed_wall_s", "created_wall_s", "task_id", "about")
    found = rows.select(ENTRIES, [*mine, Where("phase", "in", _OUT)], columns=columns)
    late = [Where("seen_wall_s", ">", now_wall_s - DOUBT_HOLDS_S), Where("task_id", "not null")]
    return sum(_holds(row, now_wall_s) for row in found) + len(rows.select(STRAYS, [*mine, *late], columns=("row_id",)))


def _holds(row: Row, now_wall_s: float) -> bool:
    if row["task_id"] is None and f'"{NO_TASK}":' in str(row["about"]):
        return False
    if row["phase"] == Phase.SUBMITTING.value:
        return True
    since = row["licensed_wall_s"] or row["created_wall_s"]
    # A damaged time does not free a slot; a clock that was set back does not hold one for ever.
    ago_s = abs(now_wall_s - since) if isinstance(since, int | float) else 0.0
    return ago_s < (DOUBT_HOLDS_S if row["phase"] == Phase.IN_DOUBT.value else TASK_HOLDS_S)


def scope_of(what: Namespace | str) -> str:
    """Return what rows call those who share slots: a digest, since a key of the caller's may be a secret."""
    text = what if isinstance(what, str) else "\n".join(("tasks of", what.origin, what.dialect, what.account))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def may_go(rows: Rows, scope: str, owner: str, *, places: int, taken: int, now_wall_s: float) -> bool:
    """Return whether a slot is free for somebody; if not, it stands in line from now on, and keeps its place.

    Args:
        rows: The rows.
        scope: Who shares the slots.
        owner: Who asks.
        places: How many slots there are.
        taken: How many are taken.
        now_wall_s: When.
    """
    standing = rows.select(SLOTS, [Where("scope", "=", scope), Where("is_held", "=", 0)])
    present = [row for row in standing if _ago_s(row, now_wall_s) <= STANDS_S]
    own = [row for row in present if row["owner"] == owner]
    before = [row for row in present if row["owner"] != owner and (not own or _number(row) < _number(own[0]))]
    left = [row for row in standing if row["owner"] == owner or _ago_s(row, now_wall_s) > FORGOTTEN_S]
    rows.delete(SLOTS, [_number(row) for row in left if row not in own])
    if taken + len(before) < places:
        rows.delete(SLOTS, [_number(row) for row in own])
        return True
    if own:
        rows.update(SLOTS, _number(own[0]), {"asked_wall_s": now_wall_s})
    else:
        rows.insert(SLOTS, {"scope": scope, "owner": owner, "is_held": 0, "asked_wall_s": now_wall_s})
    return False


def leave_the_line(rows: Rows, owner: str) -> None:
    """Remove whatever somebody holds, and its places in lines."""
    found = rows.select(SLOTS, [Where("owner", "=", owner)], columns=("row_id",))
    rows.delete(SLOTS, [_number(row) for row in found])


def _number(row: Row) -> int:
    return int(row["row_id"] or 0)


def _ago_s(row: Row, now_wall_s: float) -> float:
    asked = row["asked_wall_s"]
    # The clocks of two machines differ; a note from far ahead is as old as one from long ago.
    return abs(now_wall_s - asked) if isinstance(asked, int | float) else FORGOTTEN_S * 2


class LedgerSlots:
    """Slots for requests, shared by all processes that share a ledger: made by ``ledger.slots(places=3)``.

    It is a :class:`.Slots`, for ``ConcurrencyTransport(places=3, slots=…)``. Safe to use from several threads. Open
    it in each process, after a fork; a kill at any instruction frees what the process held, a pause does not.

    Args:
        store: Keeps the rows.
        liveness: Knows who is alive.
        places: How many slots there are for each key; the same number in each process.
        look_again_s: After how many seconds it makes sense to ask again.
        wall_s: Says what time it is, in seconds since 1970.

    Raises:
        ConfigurationError: A number makes no sense.
    """

    def __init__(
        self,
        store: RowStore,
        liveness: Liveness,
        places: int,
        *,
        look_again_s: float = LOOK_AGAIN_S,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        if not 0 < look_again_s <= STANDS_S / 2:
            # Who asks more seldom than that would lose its place in the line.
            raise ConfigurationError(
                f"look_again_s must be above 0 and at most {STANDS_S / 2}, not {look_again_s!r:.40}"
            )
        self._store = store
        self._liveness = liveness
        self._places = checked_places(places)
        self._look_again_s = look_again_s
        self._wall_s = wall_s
        self._lock = threading.Lock()
        self._owner: Owner | None = None
        self._unreturned: set[int] = set()

    @property
    def look_again_s(self) -> float:
        """After how many seconds it makes sense to ask again."""
        return self._look_again_s

    def take(self, key: str) -> int | None:
        """Take a slot.

        Args:
            key: Whose; only a digest of it is written down.

        Returns:
            What :meth:`give_back` wants; None if no slot is free, or others have stood in line for longer.

        Raises:
            LedgerError: The ledger cannot be used; no slot is held.
        """
        scope, owner = scope_of(key), self._alive()
        self._return_the_rest()
        number, others = self._try(scope, owner)
        if number is None and (dead := [name for name in others if self._liveness.is_dead(name)]):
            self._store.run(lambda rows: self._free(rows, dead), Durability.QUICK)
            number, _ = self._try(scope, owner)
        return number

    def give_back(self, held: int) -> None:
        """Give a slot back. If the ledger cannot be written now, it is given back with the next call.

        Nothing is raised: the request is over, and its caller has its answer. At the latest the slot is free when
        this process ends.

        Args:
            held: What :meth:`take` returned.
        """
        with self._lock:
            self._unreturned.add(held)
        with suppress(LedgerError):
            self._return_the_rest()

    def close(self) -> None:
        """Give everything back. The ledger stays open. A second call does nothing."""
        with self._lock:
            owner, self._owner = self._owner, None
        if owner is None:
            return
        try:
            # If it cannot be written, whoever needs a slot sees that nobody holds it.
            with suppress(LedgerError):
                self._store.run(lambda rows: leave_the_line(rows, owner.name), Durability.QUICK)
        finally:
            owner.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _alive(self) -> Owner:
        with self._lock:
            if self._owner is None:
                self._owner = self._liveness.open_owner()
            owner = self._owner
        owner.hold()
        return owner

    def _try(self, scope: str, owner: Owner) -> tuple[int | None, set[str]]:
        now_wall_s = self._wall_s()

        def work(rows: Rows) -> tuple[int | None, set[str]]:
            known = rows.select(SLOTS, [Where("scope", "=", scope)])
            taken = sum(row["is_held"] == 1 for row in known)
            if not may_go(rows, scope, owner.name, places=self._places, taken=taken, now_wall_s=now_wall_s):
                return None, {str(row["owner"]) for row in known} - {owner.name}
            row: dict[str, Value] = {"scope": scope, "owner": owner.name, "is_held": 1, "asked_wall_s": now_wall_s}
            return rows.insert(SLOTS, row), set()

        return self._store.run(work, Durability.QUICK)

    @staticmethod
    def _free(rows: Rows, dead: Sequence[str]) -> None:
        for name in dead:
            leave_the_line(rows, name)

    def _return_the_rest(self) -> None:
        with self._lock:
            numbers = sorted(self._unreturned)
        if numbers:
            self._store.run(lambda rows: rows.delete(SLOTS, numbers), Durability.QUICK)
            with self._lock:
                self._unreturned.difference_update(numbers)
