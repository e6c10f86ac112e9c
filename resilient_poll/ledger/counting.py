"""What counts against a caller's limits, taken from the rows without reading each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from resilient_poll.ledger.amounts import times, total
from resilient_poll.ledger.checks import charge_of, sends_of
from resilient_poll.ledger.entry import Charge, Entry
from resilient_poll.ledger.errors import EntryCorrupt
from resilient_poll.ledger.guards import DAY_S, FRESH_INTENT_S, Figures, Guards
from resilient_poll.ledger.rows import ENTRIES, STRAYS, Row, Rows, Where
from resilient_poll.machine.lifecycle import ENDS, Billing, Phase

__all__ = ["figures_of"]

_COLUMNS = ("phase", "billing", "charge", "doubtful_sends")
_SENT = tuple(phase.value for phase in Phase if phase is not Phase.NEW)
_OUT = tuple(phase.value for phase in (Phase.SUBMITTING, Phase.IN_DOUBT))
_UNENDED = tuple(phase.value for phase in Phase if phase not in ENDS and phase is not Phase.NEW)


@dataclass(frozen=True, slots=True)
class _Sum:
    """How many tasks, and what they may cost."""

    tasks: int
    payable: tuple[tuple[Charge | None, int], ...]

    def amount(self, currency: str) -> Decimal:
        """Return what may be owed in a currency."""
        owed = [(charge.amount, count) for charge, count in self.payable if charge and charge.currency == currency]
        return total(times(amount, count) for amount, count in owed)


def figures_of(
    rows: Rows,
    guards: Guards,
    mine: Sequence[Where],
    now_wall_s: float,
    *,
    asking: Entry | None,
    are_intents_counted: bool,
) -> Figures:
    """Return what counts against some limits.

    Args:
        rows: The rows.
        guards: The limits.
        mine: The conditions for the account's rows.
        now_wall_s: When.
        asking: The entry in ``NEW`` that is to be sent, if it is written down already: it does not count itself.
        are_intents_counted: Whether fresh intents that nobody has sent yet hold a place.

    Raises:
        EntryCorrupt: A row that counts cannot be read, so nobody can say whether there is room.
    """
    waiting = 0
    if are_intents_counted:
        fresh = [Where("phase", "=", Phase.NEW.value), Where("created_wall_s", ">", now_wall_s - FRESH_INTENT_S)]
        waiting = sum(count for _, count in rows.tally(ENTRIES, [*mine, *fresh], ("phase",)))
        # What they cost is counted by the same price that the intents were written down with.
        intents = _sum(rows, [*mine, *fresh], are_new_counted=True)
        if asking is not None and now_wall_s - asking.created_wall_s < FRESH_INTENT_S:
            waiting -= 1
            intents = _Sum(intents.tasks - 1, (*intents.payable, (asking.charge, -1)))
    else:
        intents = _Sum(0, ())
    open_tasks = _count(rows, mine, _UNENDED) + waiting if guards.max_open_tasks is not None else 0
    in_doubt = _count(rows, mine, _OUT) if guards.max_open_tasks is not None else 0
    tasks = 0
    if guards.max_tasks_per_day is not None:
        tasks = _since(rows, mine, now_wall_s - DAY_S).tasks + intents.tasks
    spent = tuple(
        total((_since(rows, mine, now_wall_s - spend.period_s).amount(spend.currency), intents.amount(spend.currency)))
        for spend in guards.max_spend
    )
    return Figures(open_tasks=open_tasks, in_doubt=in_doubt, tasks_of_the_day=tasks, spent=spent)


def _count(rows: Rows, mine: Sequence[Where], words: tuple[str, ...]) -> int:
    return sum(count for _, count in rows.tally(ENTRIES, [*mine, Where("phase", "in", words)], ("phase",)))


def _since(rows: Rows, mine: Sequence[Where], since_s: float) -> _Sum:
    """Return the sum of what was sent since a time, with the strays of that time."""
    sent = _sum(rows, [*mine, Where("licensed_wall_s", ">", since_s)], are_new_counted=False)
    tasks, payable = sent.tasks, list(sent.payable)
    for stray in rows.select(STRAYS, [*mine, Where("seen_wall_s", ">", since_s)], columns=("row_id", "entry_id")):
        found = rows.select(ENTRIES, [Where("row_id", "=", stray["entry_id"])], columns=("row_id", "charge"))
        tasks += 1
        payable += [(_charge(row), 1) for row in found]
    return _Sum(tasks, tuple(payable))


def _sum(rows: Rows, wheres: Sequence[Where], *, are_new_counted: bool) -> _Sum:
    tasks, payable = 0, []
    for row, count in rows.tally(ENTRIES, wheres, _COLUMNS):
        try:
            own, owed, doubtful = _of_one(row, are_new_counted=are_new_counted)
        except (ValueError, TypeError, RecursionError):
            raise _culprit(rows, wheres, row) from None
        tasks += (own + doubtful) * count
        payable.append((_charge(row), (owed + doubtful) * count))
    return _Sum(tasks, tuple(payable))


def _of_one(row: Row, *, are_new_counted: bool) -> tuple[int, int, int]:
    """Return what one row counts for: as a task, as something owed, and for overruled doubts."""
    phase, billing = Phase(str(row["phase"])), Billing(str(row["billing"]))
    charge_of(row["charge"])
    doubtful = len(sends_of(row["doubtful_sends"]))
    if phase is Phase.NEW:
        own = owed = int(are_new_counted)
        return own, owed, 0 if are_new_counted else doubtful  # Counted once: with what was sent.
    owed = int(billing is not Billing.NONE)
    return int(owed or phase not in {Phase.REFUSED, Phase.ABANDONED}), owed, doubtful


def _charge(row: Row) -> Charge | None:
    try:
        return charge_of(row["charge"])
    except (ValueError, TypeError, RecursionError):
        return None  # A stray of a damaged entry: the entry itself is reported where it counts.


def _culprit(rows: Rows, wheres: Sequence[Where], values: Row) -> EntryCorrupt:
    same = [Where(name, "null") if values[name] is None else Where(name, "=", values[name]) for name in _COLUMNS]
    found = rows.select(ENTRIES, [*wheres, *same], columns=("row_id",), limit=1)
    number = int(found[0]["row_id"] or 0) if found else 0
    return EntryCorrupt(number, ["it cannot be counted against a limit"])
