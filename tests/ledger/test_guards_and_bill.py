"""What is counted against a limit, and what is on the bill: the tables, and that they never say too little."""

from __future__ import annotations

import doctest
import time
from dataclasses import replace
from decimal import Decimal, InvalidOperation, Overflow

import pytest
from hypothesis import strategies as st

from resilient_poll.errors import ConfigurationError, ErrorKind, TryAgain
from resilient_poll.ledger import bill
from resilient_poll.ledger.amounts import times, total
from resilient_poll.ledger.entry import Charge, Entry, Namespace
from resilient_poll.ledger.errors import EntryCorrupt, GuardRefused
from resilient_poll.ledger.guards import FRESH_INTENT_S, Figures, Guards, SpendLimit, refusal
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.machine.lifecycle import Billing, Phase
from tests.support.properties import Property

HERE = Namespace("https://api.test/v1", "generic", "main")
PRICE = Charge(Decimal("0.10"), "USD")
NOW_S = 1_000_000.0
ENDINGS = {
    "being sent": Billing.UNDETERMINED,
    "doubt": Billing.UNDETERMINED,
    "open": Billing.NOT_YET,
    "running": Billing.ON_SUCCESS,
    "paid": Billing.BILLED,
    "failed": Billing.NONE,
    "canceled": Billing.PARTIAL_POSSIBLE,
    "refused": Billing.NONE,
    "given back": Billing.NONE,
    "abandoned": Billing.UNDETERMINED,
}


def submitted(ledger: MemoryLedger, key: str, how: str) -> None:
    """Bring an entry to where a word says."""
    owner = ledger.open_owner()
    entry = ledger.begin(HERE, key, "digest", {"model": "m"}, charge=PRICE, now_wall_s=NOW_S)
    licence = ledger.license(entry, owner, now_wall_s=NOW_S)
    assert licence is not None
    if how in {"doubt", "abandoned"}:
        doubt = ledger.doubt(licence, "?", now_wall_s=NOW_S)
        if how == "abandoned":
            ledger.abandon(doubt, now_wall_s=NOW_S)
    elif how == "refused":
        ledger.refuse(licence, now_wall_s=NOW_S)
    elif how == "given back":
        ledger.give_back(licence, now_wall_s=NOW_S)
    elif how != "being sent":
        seen = {"running": Phase.RUNNING, "paid": Phase.SUCCEEDED, "failed": Phase.FAILED, "canceled": Phase.CANCELED}
        task = ledger.accept(licence, f"task-{key}", now_wall_s=NOW_S)
        if how in seen:
            ledger.observe(task, phase=seen[how], billing=ENDINGS[how], now_wall_s=NOW_S)


def never_too_little(hows: list[str], overrules: int) -> None:
    """Compare bill and limit with a sum over what was done."""
    ledger = MemoryLedger()
    for number, how in enumerate(hows):
        submitted(ledger, f"key-{number}", how)
    doubts = list(ledger.entries(phases=[Phase.IN_DOUBT]))[:overrules]
    for entry in doubts:
        ledger.license_resubmit(entry, now_wall_s=NOW_S)
    owed = sum(PRICE.amount for how in hows if ENDINGS[how] is not Billing.NONE)
    rows = ledger.bill().rows
    assert sum(row.billed + row.may_yet_be_billed + row.in_doubt for row in rows) == owed
    assert sum(row.billed for row in rows) == PRICE.amount * hows.count("paid")
    # An intent that is new again holds a place for a while; an hour later it was given up.
    later_s = NOW_S + 3600
    assert fits(ledger, owed + PRICE.amount, later_s)
    assert not fits(ledger, owed + PRICE.amount - Decimal("0.01"), later_s)


def fits(ledger: MemoryLedger, room: Decimal, now_s: float) -> bool:
    """Return whether one more task fits under a limit."""
    guards = Guards(max_spend=(SpendLimit(room, "USD"),))
    try:
        more = ledger.begin(HERE, f"more-{room}", "digest", charge=PRICE, guards=guards, now_wall_s=now_s)
    except GuardRefused:
        return False
    ledger.abandon(more, now_wall_s=now_s)
    return True


def test_bill_and_limit_agree() -> None:
    """Whatever became of the sends, bill and spending limit count what may be owed: no cent less, none more."""
    Property(
        never_too_little,
        hows=st.lists(st.sampled_from(sorted(ENDINGS)), max_size=8),
        overrules=st.integers(0, 3),
        examples=60,
    ).holds()


def test_a_stray_is_on_the_bill() -> None:
    """A task that no entry holds is counted beside its entry."""
    ledger = MemoryLedger()
    owner = ledger.open_owner()
    first = ledger.license(ledger.begin(HERE, "key", "digest", charge=PRICE, now_wall_s=NOW_S), owner, now_wall_s=NOW_S)
    assert first is not None
    again = ledger.license_resubmit(ledger.doubt(first, "?", now_wall_s=NOW_S), now_wall_s=NOW_S)
    second = ledger.license(again, owner, now_wall_s=NOW_S)
    assert second is not None
    ledger.accept(second, "task-2", now_wall_s=NOW_S)
    assert [(row.may_yet_be_billed, row.in_doubt) for row in ledger.bill().rows] == [(PRICE.amount, PRICE.amount)]
    ledger.accept(first, "task-1", now_wall_s=NOW_S)
    assert [(row.may_yet_be_billed, row.in_doubt) for row in ledger.bill().rows] == [(PRICE.amount, PRICE.amount)]
    guards = Guards(max_spend=(SpendLimit(Decimal("0.29"), "USD"),))
    with pytest.raises(GuardRefused, match=r"used 0\.20 USD"):
        ledger.begin(HERE, "more", "digest", charge=PRICE, guards=guards, now_wall_s=NOW_S)


def test_an_overruled_doubt_is_spent() -> None:
    """What is sent again after a doubt is counted beside the doubt, when it is begun again and when it is licensed."""
    ledger = MemoryLedger()
    owner = ledger.open_owner()
    first = ledger.license(ledger.begin(HERE, "key", "digest", charge=PRICE, now_wall_s=NOW_S), owner, now_wall_s=NOW_S)
    assert first is not None
    again = ledger.license_resubmit(ledger.doubt(first, "?", now_wall_s=NOW_S), now_wall_s=NOW_S)
    little = Guards(max_spend=(SpendLimit(Decimal("0.19"), "USD"),))
    with pytest.raises(GuardRefused, match=r"used 0\.10 USD"):
        ledger.begin(HERE, "key", "digest", charge=PRICE, guards=little, now_wall_s=NOW_S)
    with pytest.raises(GuardRefused, match=r"used 0\.10 USD"):
        ledger.license(again, owner, guards=little, now_wall_s=NOW_S)
    enough = Guards(max_spend=(SpendLimit(Decimal("0.20"), "USD"),))
    assert ledger.license(again, owner, guards=enough, now_wall_s=NOW_S)


def test_a_damaged_row_closes_the_limit() -> None:
    """A row that cannot be counted is an error with its number: nobody can say that there is room."""
    ledger = MemoryLedger()
    submitted(ledger, "key", "paid")
    ledger._store.run(lambda rows: rows.update("entries", 1, {"charge": "[1]"}), "synced")  # type: ignore[arg-type]  # a word is enough
    guards = Guards(max_spend=(SpendLimit(Decimal(9), "USD"),))
    with pytest.raises(EntryCorrupt, match="entry 1 of the ledger is damaged"):
        ledger.begin(HERE, "more", "digest", charge=PRICE, guards=guards, now_wall_s=NOW_S)


def test_an_intent_holds_a_place_for_a_while() -> None:
    """An intent that nobody sent counts while a submit may still be waiting, and then no more until it is sent."""
    ledger, guards = MemoryLedger(), Guards(max_open_tasks=1)
    old = ledger.begin(HERE, "old", "digest", guards=guards, now_wall_s=NOW_S)
    with pytest.raises(GuardRefused) as caught:
        ledger.begin(HERE, "new", "digest", guards=guards, now_wall_s=NOW_S + FRESH_INTENT_S - 1)
    assert (caught.value.kind, caught.value.try_again) == (ErrorKind.QUOTA, TryAgain.LATER)
    assert caught.value.safe_to_submit_again
    late_s = NOW_S + FRESH_INTENT_S
    new = ledger.begin(HERE, "new", "digest", guards=guards, now_wall_s=late_s)
    with ledger.open_owner() as owner:
        assert ledger.license(new, owner, guards=guards, now_wall_s=late_s)
        with pytest.raises(GuardRefused):
            ledger.license(old, owner, guards=guards, now_wall_s=late_s)


def test_a_limit_that_nothing_fits_is_not_worth_waiting_for() -> None:
    """Where no time frees a limit, the error says that something has to be changed."""
    ledger, dear = MemoryLedger(), Charge(Decimal(9), "USD")
    for guards in (
        Guards(max_open_tasks=0),
        Guards(max_tasks_per_day=0),
        Guards(max_spend=(SpendLimit(Decimal(8), "USD"),)),
    ):
        with pytest.raises(GuardRefused) as caught:
            ledger.begin(HERE, "key", "digest", charge=dear, guards=guards, now_wall_s=NOW_S)
        assert caught.value.try_again is TryAgain.AFTER_A_CHANGE


@pytest.mark.parametrize(
    "limits",
    [
        {"max_open_tasks": -1},
        {"max_open_tasks": True},
        {"max_tasks_per_day": 1.5},
        {"max_spend": (SpendLimit(Decimal(-1), "USD"),)},
        {"max_spend": (SpendLimit(Decimal("nan"), "USD"),)},
        {"max_spend": (SpendLimit(0.5, "USD"),)},  # type: ignore[arg-type]  # floats are no money
        {"max_spend": (SpendLimit(Decimal(1), ""),)},
        {"max_spend": (SpendLimit(Decimal(1), "USD", 0.0),)},
        {"max_spend": (SpendLimit(Decimal(1), "USD", float("inf")),)},
        {"max_spend": (SpendLimit(Decimal(1), "USD", float("nan")),)},
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(limits: dict[str, object]) -> None:
    """A limit that cannot be kept is an error when it is set, not when it is reached."""
    with pytest.raises(ConfigurationError):
        Guards(**limits)  # type: ignore[arg-type]  # on purpose


def test_the_strictest_limits_can_be_set() -> None:
    """Nothing at all, and within less than a second, are limits; one that names no period is for a day of 24 hours."""
    strict = (SpendLimit(Decimal(0), "USD"), SpendLimit(Decimal(0), "CNY", 0.5))
    assert [spend.period_s for spend in Guards(max_open_tasks=0, max_tasks_per_day=0, max_spend=strict).max_spend] == [
        86_400.0,
        0.5,
    ]


FIGURES = Figures(open_tasks=2, in_doubt=1, tasks_of_the_day=5, spent=(Decimal("0.90"), Decimal("3.00")))
SPENDING = (SpendLimit(Decimal("1.00"), "USD"), SpendLimit(Decimal("4.00"), "CNY", 3600.0))


@pytest.mark.parametrize(
    ("guards", "charge", "told", "try_again"),
    [
        (Guards(max_open_tasks=2), None, ("max_open_tasks", "2", "2", "1"), TryAgain.LATER),
        (Guards(max_open_tasks=3, max_tasks_per_day=5), None, ("max_tasks_per_day", "5", "5", "1"), TryAgain.LATER),
        (
            Guards(max_spend=SPENDING),
            Charge(Decimal("0.11"), "USD"),
            ("max_spend", "1.00 USD", "0.90 USD", "0.11 USD"),
            TryAgain.LATER,
        ),
        (
            Guards(max_spend=SPENDING),
            Charge(Decimal("4.00"), "CNY"),
            ("max_spend", "4.00 CNY", "3.00 CNY", "4.00 CNY"),
            TryAgain.LATER,
        ),
        (
            Guards(max_spend=SPENDING),
            Charge(Decimal("4.01"), "CNY"),
            ("max_spend", "4.00 CNY", "3.00 CNY", "4.01 CNY"),
            TryAgain.AFTER_A_CHANGE,
        ),
        (
            Guards(max_spend=SPENDING),
            Charge(Decimal(1), "EUR"),
            ("max_spend", "1.00 USD, 4.00 CNY", "not counted", "1 EUR"),
            TryAgain.AFTER_A_CHANGE,
        ),
        (
            Guards(max_spend=SPENDING),
            None,
            ("max_spend", "1.00 USD, 4.00 CNY", "not counted", None),
            TryAgain.AFTER_A_CHANGE,
        ),
    ],
)
def test_a_limit_says_what_it_forbids(
    guards: Guards, charge: Charge | None, told: tuple[str, ...], try_again: TryAgain
) -> None:
    """A limit that is reached says which it is, its figures, and whether time alone frees it."""
    error = refusal(guards, charge, FIGURES)
    assert error is not None
    assert ((error.guard, error.limit, error.used, error.asked), error.try_again) == (told, try_again)


def test_what_just_fits_is_allowed() -> None:
    """A limit is the most that may be: what reaches it exactly is sent."""
    guards = Guards(max_open_tasks=3, max_tasks_per_day=6, max_spend=SPENDING)
    for charge in (Charge(Decimal("0.10"), "USD"), Charge(Decimal("1.00"), "CNY")):
        assert refusal(guards, charge, FIGURES) is None


def test_what_cannot_be_counted_is_told_with_its_number() -> None:
    """Of several rows of several accounts, the error names the damaged one of the account that is counted."""
    ledger, there = MemoryLedger(), replace(HERE, account="another")
    for place, key in ((there, "a"), (HERE, "b"), (HERE, "c"), (HERE, "d")):
        ledger.begin(place, key, "digest", now_wall_s=NOW_S)
    for number in (1, 3):
        ledger._store.run(lambda rows, number=number: rows.update("entries", number, {"doubtful_sends": "?"}), "synced")  # type: ignore[arg-type, misc]  # a word is enough
    with pytest.raises(EntryCorrupt, match="entry 3 of the ledger is damaged"):
        ledger.begin(HERE, "more", "digest", guards=Guards(max_tasks_per_day=9), now_wall_s=NOW_S)


def test_a_sum_is_exact_or_an_error() -> None:
    """A sum keeps a hundred digits, is rounded up where that is not enough, and is always a number."""
    assert total((Decimal("1" + "0" * 99), Decimal("0.4"))) == Decimal("1" + "0" * 98 + "1")
    with pytest.raises(InvalidOperation):
        total((Decimal("Infinity"), Decimal("-Infinity")))
    with pytest.raises(Overflow):
        times(Decimal("9E+999999999999999999"), 10)


def test_a_bill_is_by_the_day_of_sending_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was wanted on one day and sent on the next is on the next day's bill, by UTC and not by the local clock."""
    late_s = 86_400.0 * 2 - 1  # The last second of the second of January.
    wanted = Entry(
        entry_id=1, namespace=HERE, key="k", attempt=1, digest="d", created_wall_s=1.0, updated_wall_s=1.0, charge=PRICE
    )
    sent = replace(wanted, sends=1, licensed_wall_s=late_s, phase=Phase.RUNNING, billing=Billing.ON_SUCCESS)
    monkeypatch.setenv("TZ", "UTC-8")  # As in Beijing.
    time.tzset()
    try:
        (row,) = bill.bill_of([wanted, sent], {})
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (row.day, row.model, row.currency) == ("1970-01-02", "", "USD")
    assert (row.billed, row.may_yet_be_billed, row.in_doubt) == (0, Decimal("0.10"), 0)
    assert [type(count) for count in (row.tasks_billed, row.tasks_that_may_be, row.tasks_in_doubt)] == [int] * 3
    assert (row.tasks_billed, row.tasks_that_may_be, row.tasks_in_doubt) == (0, 1, 0)


def test_what_is_not_told_is_nothing() -> None:
    """A bill's row owes nothing that it does not tell, a charge is for one, and an entry is new and nobody's."""
    row = bill.BillRow(model="m", day="1970-01-01", currency="USD")
    assert (row.billed, row.may_yet_be_billed, row.in_doubt) == (0, 0, 0)
    assert (row.tasks_billed, row.tasks_that_may_be, row.tasks_in_doubt) == (0, 0, 0)
    assert (PRICE.unit, PRICE.units) == ("", 1)
    entry = Entry(entry_id=1, namespace=HERE, key="k", attempt=1, digest="d", created_wall_s=1.0, updated_wall_s=1.0)
    assert (entry.phase, entry.sends, entry.billing) == (Phase.NEW, 0, Billing.NONE)
    assert (entry.worker, entry.worker_until_wall_s) == (None, 0.0)


def test_the_example_of_a_bill_runs() -> None:
    """The example in the bill's documentation is what it says."""
    result = doctest.testmod(bill)
    assert (result.failed, result.attempted > 5) == (0, True)
