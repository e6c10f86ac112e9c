"""Limits that a caller sets for itself, counted over everything the ledger knows of an account. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from resilient_poll.errors import ConfigurationError, TryAgain
from resilient_poll.ledger.checks import charge_of
from resilient_poll.ledger.entry import Charge
from resilient_poll.ledger.errors import EntryCorrupt, GuardRefused
from resilient_poll.ledger.rows import Row, Value
from resilient_poll.machine.lifecycle import ENDS, Billing, Phase

__all__ = ["COUNTED_COLUMNS", "DAY_S", "FRESH_INTENT_S", "Guards", "SpendLimit", "refusal"]

DAY_S = 24 * 3600.0
FRESH_INTENT_S = 900.0
"""Seconds for which an intent that nobody has sent yet holds a place: a submit waits 300 s at most unless told
otherwise, so what is older was given up; it is counted again when its licence is given."""

COUNTED_COLUMNS = ("row_id", "phase", "billing", "charge", "created_wall_s", "licensed_wall_s", "doubtful_sends")
"""What the counting reads of each row."""


@dataclass(frozen=True, slots=True)
class SpendLimit:
    """The most that may be spent.

    Attributes:
        amount: How much, in a currency; what may yet be billed and what is in doubt counts as spent.
        currency: In which.
        period_s: Within how many seconds before now.
    """

    amount: Decimal
    currency: str
    period_s: float = DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """Limits for one account. What is None is not limited.

    Attributes:
        max_open_tasks: How many may be out, in doubt, or not at their end.
        max_tasks_per_day: How many may have been sent within the last 24 hours.
        max_spend: What may be spent, one limit for each currency.

    Raises:
        ConfigurationError: A limit makes no sense.
    """

    max_open_tasks: int | None = None
    max_tasks_per_day: int | None = None
    max_spend: tuple[SpendLimit, ...] = ()

    def __post_init__(self) -> None:
        for name in ("max_open_tasks", "max_tasks_per_day"):
            limit: object = getattr(self, name)
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
                raise ConfigurationError(f"{name} should be a whole number, zero or more, not {limit!r:.40}")
        for spend in self.max_spend:
            amount: object = spend.amount
            if not isinstance(amount, Decimal) or not amount.is_finite() or amount < 0:
                raise ConfigurationError(f"max_spend should be a Decimal, zero or more, not {amount!r:.40}")
            if not spend.currency or not 0 < spend.period_s < float("inf"):
                raise ConfigurationError("max_spend needs a currency and a period of more than 0 seconds")

    @property
    def longest_period_s(self) -> float:
        """How many seconds back anything that counts may have been sent."""
        periods = [spend.period_s for spend in self.max_spend]
        return max([DAY_S, *periods])


@dataclass(frozen=True, slots=True)
class _Counted:
    """What of one row counts: ``charge`` is for all of its tasks that may be billed."""

    is_open: bool
    is_in_doubt: bool
    at_wall_s: float
    tasks: int
    charge: Charge | None


def refusal(
    guards: Guards,
    charge: Charge | None,
    rows: Iterable[Row],
    strays: Mapping[int, int],
    now_wall_s: float,
    *,
    are_intents_counted: bool,
) -> GuardRefused | None:
    """Return the error for the first limit that forbids one more task, or None.

    Args:
        guards: The limits.
        charge: What the task costs if it is billed.
        rows: The account's rows that may count, without the one that asks.
        strays: How many strays each row has.
        now_wall_s: When.
        are_intents_counted: Whether fresh intents that nobody has sent yet hold a place.

    Raises:
        EntryCorrupt: A row that may count cannot be read, so nobody can say whether there is room.
    """
    counted = [one for row in rows if (one := _counted(row, strays, now_wall_s, are_intents_counted))]
    return (
        _too_many_open(guards, counted)
        or _too_many_a_day(guards, counted, now_wall_s)
        or _too_dear(guards, charge, counted, now_wall_s)
    )


def _counted(row: Row, strays: Mapping[int, int], now_wall_s: float, are_intents_counted: bool) -> _Counted | None:
    try:
        phase, billing = Phase(str(row["phase"])), Billing(str(row["billing"]))
        charge = charge_of(row["charge"])
        created, sent = _seconds(row["created_wall_s"]), _seconds(row["licensed_wall_s"])
        doubtful = 0 if row["doubtful_sends"] == "[]" else str(row["doubtful_sends"]).count(",") + 1
    except (ValueError, TypeError) as error:
        raise EntryCorrupt(int(row["row_id"] or 0), [f"{error} while counting for a limit"]) from None
    beside = doubtful + strays.get(int(row["row_id"] or 0), 0)
    if phase is Phase.NEW:
        own = payable = int(are_intents_counted and created is not None and now_wall_s - created < FRESH_INTENT_S)
    else:
        payable = int(billing is not Billing.NONE)
        own = int(payable or phase not in {Phase.REFUSED, Phase.ABANDONED})
    if not own + beside:
        return None
    return _Counted(
        is_open=phase not in ENDS,
        is_in_doubt=phase in {Phase.IN_DOUBT, Phase.SUBMITTING},
        at_wall_s=max(created or 0.0, sent or 0.0),
        tasks=own + beside,
        charge=None if charge is None else replace(charge, amount=charge.amount * (payable + beside)),
    )


def _seconds(value: Value) -> float | None:
    return None if value is None else float(value)


def _too_many_open(guards: Guards, counted: list[_Counted]) -> GuardRefused | None:
    limit = guards.max_open_tasks
    used = sum(1 for one in counted if one.is_open)
    if limit is None or used < limit:
        return None
    doubts = sum(1 for one in counted if one.is_in_doubt)
    return GuardRefused(
        f"{used} of at most {limit} tasks are open, {doubts} of them in doubt or being sent: "
        "wait for one to end, or settle a doubt",
        guard="max_open_tasks",
        limit=str(limit),
        used=str(used),
        asked="1",
        try_again=TryAgain.LATER if limit else TryAgain.AFTER_A_CHANGE,
    )


def _too_many_a_day(guards: Guards, counted: list[_Counted], now_wall_s: float) -> GuardRefused | None:
    limit = guards.max_tasks_per_day
    used = sum(one.tasks for one in counted if one.at_wall_s > now_wall_s - DAY_S)
    if limit is None or used < limit:
        return None
    return GuardRefused(
        f"{used} of at most {limit} tasks were sent within the last 24 hours: come back later, or raise the limit",
        guard="max_tasks_per_day",
        limit=str(limit),
        used=str(used),
        asked="1",
        try_again=TryAgain.LATER if limit else TryAgain.AFTER_A_CHANGE,
    )


def _too_dear(guards: Guards, charge: Charge | None, counted: list[_Counted], now_wall_s: float) -> GuardRefused | None:
    if not guards.max_spend:
        return None
    limits = [spend for spend in guards.max_spend if charge is not None and spend.currency == charge.currency]
    if charge is None or not limits:
        what = "its price is not known" if charge is None else f"there is no limit in {charge.currency}"
        return GuardRefused(
            f"spending is limited and {what}, so nobody can say whether it fits: give a price in a limited currency",
            guard="max_spend",
            limit=", ".join(f"{spend.amount} {spend.currency}" for spend in guards.max_spend),
            used="not counted",
            asked=None if charge is None else f"{charge.amount} {charge.currency}",
            try_again=TryAgain.AFTER_A_CHANGE,
        )
    for spend in limits:
        within = [one for one in counted if one.at_wall_s > now_wall_s - spend.period_s]
        priced = [one.charge for one in within if one.charge is not None and one.charge.currency == spend.currency]
        used = sum((one.amount for one in priced), Decimal(0))
        if used + charge.amount > spend.amount:
            return GuardRefused(
                f"{charge.amount} {spend.currency} more would exceed {spend.amount} {spend.currency} within "
                f"{spend.period_s:.0f} s, of which {used} are billed, may yet be billed or are in doubt: "
                "come back later, or raise the limit",
                guard="max_spend",
                limit=f"{spend.amount} {spend.currency}",
                used=f"{used} {spend.currency}",
                asked=f"{charge.amount} {spend.currency}",
                try_again=TryAgain.LATER if charge.amount <= spend.amount else TryAgain.AFTER_A_CHANGE,
            )
    return None
