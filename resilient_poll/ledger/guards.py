"""Limits that a caller sets for itself, counted over everything the ledger knows of an account. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from resilient_poll.errors import ConfigurationError, TryAgain
from resilient_poll.ledger.amounts import total
from resilient_poll.ledger.entry import Charge
from resilient_poll.ledger.errors import GuardRefused

__all__ = ["DAY_S", "FRESH_INTENT_S", "Figures", "Guards", "SpendLimit", "refusal"]

DAY_S = 24 * 3600.0
FRESH_INTENT_S = 900.0
"""Seconds for which an intent that nobody has sent yet holds a place: a submit waits 300 s at most unless told
otherwise, so what is older was given up; it is counted again when its licence is given."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What counts against the limits.

    Attributes:
        open_tasks: How many are being sent, in doubt, or not at their end.
        in_doubt: How many of those are being sent or in doubt.
        tasks_of_the_day: How many were sent within 24 hours.
        spent: What may be owed within the period of each spending limit, in their order.
    """

    open_tasks: int
    in_doubt: int
    tasks_of_the_day: int
    spent: tuple[Decimal, ...]


def refusal(guards: Guards, charge: Charge | None, figures: Figures) -> GuardRefused | None:
    """Return the error for the first limit that forbids one more task, or None.

    Args:
        guards: The limits.
        charge: What the task costs if it is billed.
        figures: What counts already, without the task.
    """
    return _too_many_open(guards, figures) or _too_many_a_day(guards, figures) or _too_dear(guards, charge, figures)


def _too_many_open(guards: Guards, figures: Figures) -> GuardRefused | None:
    limit, used = guards.max_open_tasks, figures.open_tasks
    if limit is None or used < limit:
        return None
    return GuardRefused(
        f"{used} of at most {limit} tasks are open, {figures.in_doubt} of them in doubt or being sent: "
        "wait for one to end, or settle a doubt",
        guard="max_open_tasks",
        limit=str(limit),
        used=str(used),
        asked="1",
        try_again=TryAgain.LATER if limit else TryAgain.AFTER_A_CHANGE,
    )


def _too_many_a_day(guards: Guards, figures: Figures) -> GuardRefused | None:
    limit, used = guards.max_tasks_per_day, figures.tasks_of_the_day
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


def _too_dear(guards: Guards, charge: Charge | None, figures: Figures) -> GuardRefused | None:
    if not guards.max_spend:
        return None
    if charge is None or all(spend.currency != charge.currency for spend in guards.max_spend):
        what = "its price is not known" if charge is None else f"there is no limit in {charge.currency}"
        return GuardRefused(
            f"spending is limited and {what}, so nobody can say whether it fits: give a price in a limited currency",
            guard="max_spend",
            limit=", ".join(f"{spend.amount} {spend.currency}" for spend in guards.max_spend),
            used="not counted",
            asked=None if charge is None else f"{charge.amount} {charge.currency}",
            try_again=TryAgain.AFTER_A_CHANGE,
        )
    for spend, used in zip(guards.max_spend, figures.spent, strict=True):
        if spend.currency == charge.currency and total((used, charge.amount)) > spend.amount:
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
