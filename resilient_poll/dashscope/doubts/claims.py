"""Which submits may have made a task whose id the ledger does not know, and when it would have been created. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from operator import itemgetter

from resilient_poll.dashscope.doubts.marks import MAKES
from resilient_poll.dashscope.wire.dialects import RETENTION_S
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS
from resilient_poll.dashscope.wire.listing import ListedTask
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = [
    "MARGIN_S",
    "REACH_S",
    "SETTLING_S",
    "ZONES_S",
    "Claim",
    "Rows",
    "claim_of",
    "created_s",
    "is_of_another_time",
    "is_synchronous",
    "names_of_models",
    "zone_of",
]

MARGIN_S = 300.0
"""How far two machines' clocks may differ, and a proxy may hold a request before it goes on."""
SETTLING_S = 900.0
"""How long after a create's own time its task may still turn up: orphaned sockets and proxies deliver late."""
REACH_S = RETENTION_S - 3600.0
"""How old a doubt may be for its task to be surely listed still: the service's memory, less an hour."""
ZONES_S = (0.0, 8 * 3600.0, -8 * 3600.0)
"""By how much the list's times may be off: whether they are UTC or UTC+8 is not documented."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A submit that may have made tasks whose ids nobody heard.

    Attributes:
        entry: Its entry.
        earliest_s: When the first of them may have been created, in seconds since 1970.
        latest_s: When the last of them may have been, unless it was held up on the way.
        slots: How many there may be: one for each sending in doubt.
        is_out: Whether it is still being sent, by somebody who may be paused.
    """

    entry: Entry
    earliest_s: float
    latest_s: float
    slots: int
    is_out: bool

    def covers(self, at_s: float | None, zones_s: Iterable[float], *, held_up_s: float = 0.0) -> bool:
        """Tell whether a task that was created at a time may be one of them.

        Args:
            at_s: When the list says that it was created; one without a time may be anybody's.
            zones_s: By how much the list's times may be off.
            held_up_s: How much later than usual is believed as well.
        """
        if at_s is None:
            return True
        return any(self.earliest_s <= at_s - zone_s <= self.latest_s + held_up_s for zone_s in zones_s)

    def is_twin_of(self, other: Claim) -> bool:
        """Tell whether what one of two made may as well be taken for what the other made."""
        left, right = self.entry, other.entry
        is_same_request = (left.namespace, left.digest) == (right.namespace, right.digest)
        return is_same_request and not self.is_out and not other.is_out


class Rows:
    """Rows of the list, found by the time of their tasks: there may be 20,000, and hundreds of claims.

    Args:
        tasks: The rows.
    """

    def __init__(self, tasks: Iterable[ListedTask]) -> None:
        rows = tuple(tasks)
        timed = [(at_s, task.task_id, task) for task in rows if (at_s := created_s(task)) is not None]
        self._timed = sorted(timed, key=itemgetter(0, 1))
        self._untimed = [task for task in rows if created_s(task) is None]

    def covered(self, claim: Claim, zones_s: Iterable[float], *, held_up_s: float = 0.0) -> list[ListedTask]:
        """Return the tasks that may be a claim's, the oldest first; see :meth:`Claim.covers`."""
        places: set[int] = set()
        for zone_s in zones_s:
            first = bisect_left(self._timed, claim.earliest_s + zone_s, key=itemgetter(0))
            last = bisect_right(self._timed, claim.latest_s + held_up_s + zone_s, key=itemgetter(0))
            places.update(range(first, last))
        return [self._timed[place][2] for place in sorted(places)] + self._untimed


def claim_of(entry: Entry, attempt_s: float) -> Claim | None:
    """Return what an entry may have made at the service without the ledger knowing its id; None if surely nothing.

    Args:
        entry: The entry.
        attempt_s: The longest that one sending takes, in seconds.
    """
    if is_synchronous(entry):
        return None
    is_out = entry.phase is Phase.SUBMITTING
    is_given_up = entry.phase is Phase.ABANDONED and entry.task_id is None and entry.billing is not Billing.NONE
    slots = len(entry.doubtful_sends) + (is_out or is_given_up or entry.phase is Phase.IN_DOUBT)
    if not slots:
        return None
    last_s = entry.updated_wall_s if entry.licensed_wall_s is None else entry.licensed_wall_s
    # When an overruled sending was licensed is not kept: after the entry was made.
    first_s = entry.created_wall_s if entry.doubtful_sends else last_s
    return Claim(
        entry,
        earliest_s=min(first_s, last_s) - MARGIN_S,
        latest_s=inf if is_out else last_s + attempt_s + MARGIN_S,
        slots=slots,
        is_out=is_out,
    )


def is_synchronous(entry: Entry) -> bool:
    """Tell whether an entry asked for a result in the place of a task, so that there is nothing to be found."""
    endpoint = ENDPOINTS.get(entry.about.get("endpoint", ""))
    return entry.about.get(MAKES) == "result" or (endpoint is not None and endpoint.is_synchronous)


def created_s(task: ListedTask) -> float | None:
    """Return when the list says that a task was created, in seconds since 1970, if it says so readably."""
    return None if task.submitted_at is None else task.submitted_at.timestamp()


def zone_of(entry: Entry, task: ListedTask, attempt_s: float) -> float | None:
    """Return by how much the list's times are off, as a task of the ledger shows it; None if it shows nothing.

    Args:
        entry: The entry that holds the task.
        task: The task's row.
        attempt_s: The longest that one sending takes, in seconds.
    """
    at_s = created_s(task)
    if at_s is None or entry.licensed_wall_s is None or entry.doubtful_sends:
        return None
    for zone_s in ZONES_S:
        if -MARGIN_S <= at_s - zone_s - entry.licensed_wall_s <= attempt_s + MARGIN_S:
            return zone_s
    return None


def is_of_another_time(entry: Entry, task: ListedTask, attempt_s: float) -> bool:
    """Return whether the list has a task of the ledger at a time when, by the ledger's clock, it cannot have been made.

    Args:
        entry: The entry that holds the task.
        task: The task's row.
        attempt_s: The longest that one sending takes, in seconds.
    """
    can_tell = created_s(task) is not None and entry.licensed_wall_s is not None and not entry.doubtful_sends
    return can_tell and zone_of(entry, task, attempt_s) is None


def names_of_models(known: Iterable[tuple[Entry, ListedTask]]) -> Mapping[str, frozenset[str]]:
    """Return what the list calls the models that the ledger's own tasks asked for.

    Args:
        known: Entries, and the rows of their tasks.
    """
    names: dict[str, frozenset[str]] = {}
    for entry, task in known:
        model = entry.about.get("model", "")
        if task.model is not None:
            names[model] = names.get(model, frozenset()) | {task.model}
    return names
