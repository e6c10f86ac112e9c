"""The checks of :mod:`.testing` about money: limits, the bill, and what may be cleared away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_DOWN, Context, Decimal, Inexact, Rounded, localcontext

from resilient_poll.ledger.entry import Charge, Namespace
from resilient_poll.ledger.errors import GuardRefused
from resilient_poll.ledger.guards import Guards, SpendLimit
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.ledger.testing_parts import (
    ELSEWHERE,
    HERE,
    NOON_S,
    PRICE,
    begun,
    ended,
    must,
    refused,
    running,
    sent,
)
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["MONEY_CHECKS"]


def guards_count_everybody(ledger: Ledger) -> None:
    """Limits count what is open, sent today, or may be owed; a price that is not known fits into no limit."""
    open_two, day_three = Guards(max_open_tasks=2), Guards(max_tasks_per_day=3)
    with ledger.open_owner() as owner:
        running(ledger, owner, "a")
        ledger.doubt(sent(ledger, owner, "b"), "?", now_wall_s=NOON_S)
        error = refused(GuardRefused, lambda: begun(ledger, "c", guards=open_two))
        must("max_open_tasks: limit 2, used 2" in str(error), "the error says the figures")
        must(ledger.find(HERE, "c") is None, "nothing was written")
        must(begun(ledger, "a", guards=open_two).task_id == "task-a", "what is there already is returned")
        ledger.begin(ELSEWHERE, "c", "digest", guards=open_two, now_wall_s=NOON_S)
        begun(ledger, "c", guards=day_three)
        refused(GuardRefused, lambda: begun(ledger, "d", guards=day_three))
        tomorrow_s = NOON_S + 86400 + 1
        late = ledger.begin(HERE, "d", "digest", guards=day_three, now_wall_s=tomorrow_s)
        refused(GuardRefused, lambda: ledger.license(late, owner, guards=open_two, now_wall_s=tomorrow_s))
        must(ledger.get(late.entry_id).phase is Phase.NEW, "a licence that is refused leaves it new")


def spending_is_limited(ledger: Ledger) -> None:
    """What is billed, may yet be billed or is in doubt counts as spent; what is free does not."""
    one_dollar = Guards(max_spend=(SpendLimit(Decimal("1.00"), "USD"),))
    with ledger.open_owner() as owner:
        ended(ledger, running(ledger, owner, "free", charge=PRICE), Phase.FAILED, Billing.NONE)
        ended(ledger, running(ledger, owner, "paid", charge=PRICE), Phase.SUCCEEDED, Billing.BILLED)
        ledger.doubt(sent(ledger, owner, "doubt", charge=PRICE), "?", now_wall_s=NOON_S)
    error = refused(GuardRefused, lambda: begun(ledger, "more", charge=PRICE, guards=one_dollar))
    must("used 1.00 USD, asked 0.50 USD" in str(error), "the error says the figures")
    refused(GuardRefused, lambda: begun(ledger, "more", guards=one_dollar))
    refused(GuardRefused, lambda: begun(ledger, "more", charge=replace(PRICE, currency="EUR"), guards=one_dollar))
    bill = ledger.bill(HERE).rows
    must(len(bill) == 1 and bill[0].day == "2023-11-14" and bill[0].model == "m", "one model, one day")
    must((bill[0].billed, bill[0].in_doubt) == (Decimal("0.50"), Decimal("0.50")), "as exact as it is known")
    must(ledger.bill(ELSEWHERE).rows == () == ledger.bill(HERE, since_wall_s=NOON_S + 1).rows, "and nothing else")


def what_may_be_owed_is_not_cleared_away(ledger: Ledger) -> None:
    """Archiving takes what is over and handed over; a vacuum takes what was archived; the rest is counted and kept."""
    with ledger.open_owner() as owner:
        running(ledger, owner, "open")
        ledger.doubt(sent(ledger, owner, "doubt"), "?", now_wall_s=NOON_S)
        paid = ended(ledger, running(ledger, owner, "paid"), Phase.SUCCEEDED, Billing.BILLED, "{}")
        ledger.delivered(paid, now_wall_s=NOON_S)
        ended(ledger, running(ledger, owner, "untold"), Phase.FAILED, Billing.NONE)
        over = ended(ledger, running(ledger, owner, "over"), Phase.FAILED, Billing.NONE, "{}")
        ledger.delivered(over, now_wall_s=NOON_S)
        ledger.accept(sent(ledger, owner, "twice"), "task-over", now_wall_s=NOON_S)
        ledger.abandon(ledger.entries(key="twice").entries[0], now_wall_s=NOON_S)
    late_s = NOON_S + 10**6
    done = ledger.archive(late_s, now_wall_s=late_s)
    kept = {"unfinished": 1, "in doubt": 1, "not downloaded": 1, "not delivered": 1}
    must((done.count, dict(done.kept)) == (2, kept), f"two go, four stay: {done}")
    light = ledger.get(over.entry_id)
    must((light.result, light.task_id) == (None, "task-over"), "the light part stays")
    must(begun(ledger, "over") == light, "its key still stands for it")
    must(len(ledger.entries()) == 4 and len(ledger.entries(with_archived=True)) == 6, "lists leave it out")
    gone = ledger.vacuum(late_s + 1)
    must((gone.count, dict(gone.kept)) == (1, {"a stray": 1}), "then it can go, but what has a stray")
    ledger.dismiss_stray(ledger.strays()[0])
    must(ledger.strays() == () and ledger.vacuum(late_s + 1).count == 1, "until somebody looked at it")
    must(ledger.find(HERE, "over") is None, "and is unknown")
    must(ledger.archive(late_s, including_not_downloaded=True, now_wall_s=late_s).count == 1, "the paid one, if told")


def no_setting_of_the_program_changes_a_bill(ledger: Ledger) -> None:
    """A program's decimal context, however narrow, neither rounds sums and limits nor makes them fail."""
    dear = Charge(Decimal("123456.789"), "USD")
    limit = Guards(max_spend=(SpendLimit(Decimal("370370.367"), "USD"),))
    for narrow in (Context(prec=3, rounding=ROUND_DOWN), Context(prec=3, traps=[Inexact, Rounded])):
        with localcontext(narrow), ledger.open_owner() as owner:
            for key in ("a", "b"):
                if ledger.find(HERE, key) is None:
                    ended(ledger, running(ledger, owner, key, charge=dear), Phase.SUCCEEDED, Billing.BILLED)
            begun(ledger, "fits", charge=dear, guards=limit)
            cent = replace(dear, amount=Decimal("0.001"))
            error = refused(GuardRefused, lambda cent=cent: begun(ledger, "more", charge=cent, guards=limit))  # type: ignore[misc]  # bound now
            must("used 370370.367 USD, asked 0.001 USD" in str(error), f"the figures are exact: {error}")
            (row,) = ledger.bill(HERE).rows
        must(row.billed == Decimal("246913.578"), f"the sum is exact, not {row.billed}")


def used(ledger: Ledger, guards: Guards, now_wall_s: float, place: Namespace = HERE, key: str = "probe") -> str:
    """Return what counts against a limit that allows nothing, as its refusal says."""
    least = Charge(Decimal("0.01"), "USD")
    error = refused(
        GuardRefused,
        lambda: ledger.begin(place, key, "digest", guards=guards, charge=least, now_wall_s=now_wall_s),
    )
    return error.used if isinstance(error, GuardRefused) else "?"


def all_used(ledger: Ledger, now_wall_s: float, place: Namespace = HERE, key: str = "probe") -> tuple[str, ...]:
    """Return what counts against a day's tasks, open tasks and a day's spending."""
    return tuple(used(ledger, guards, now_wall_s, place, key) for guards in NOTHING_MORE)


NOTHING_MORE = (
    Guards(max_tasks_per_day=0),
    Guards(max_open_tasks=0),
    Guards(max_spend=(SpendLimit(Decimal(0), "USD"),)),
)


def limits_count_what_was_sent(ledger: Ledger) -> None:
    """Whatever was sent counts for a day, what may be owed is spent, and what is not over is open."""
    with ledger.open_owner() as owner:
        must(all_used(ledger, NOON_S) == ("0", "0", "0 USD"), "nothing yet")
        ended(ledger, running(ledger, owner, "failed", charge=PRICE), Phase.FAILED, Billing.NONE)
        must(all_used(ledger, NOON_S) == ("1", "0", "0.00 USD"), "it was sent, is over, and was free")
        ledger.refuse(sent(ledger, owner, "refused", charge=PRICE), now_wall_s=NOON_S)
        back = ledger.give_back(sent(ledger, owner, "given up", charge=PRICE), now_wall_s=NOON_S)
        ledger.abandon(back, now_wall_s=NOON_S)
        must(all_used(ledger, NOON_S) == ("1", "0", "0.00 USD"), "what the service took for no task is none")
        lost = ledger.doubt(sent(ledger, owner, "lost", charge=PRICE), "?", now_wall_s=NOON_S)
        ledger.abandon(lost, now_wall_s=NOON_S)
        must(all_used(ledger, NOON_S) == ("2", "0", "0.50 USD"), "a doubt that was given up may be owed")
        ended(ledger, running(ledger, owner, "paid", charge=PRICE), Phase.SUCCEEDED, Billing.BILLED)
        first = sent(ledger, owner, "doubt", charge=PRICE)
        doubt = ledger.doubt(first, "?", now_wall_s=NOON_S)
        must(all_used(ledger, NOON_S) == ("4", "1", "1.50 USD"), "a doubt is open until it is settled")
        again = ledger.license_resubmit(doubt, now_wall_s=NOON_S)
        must(all_used(ledger, NOON_S) == ("5", "1", "2.00 USD"), "overruled, it is another task, and may be owed twice")
        must(all_used(ledger, NOON_S + 900) == ("4", "0", "1.50 USD"), "nobody sent it again: the doubt stays")
        ledger.license(again, owner, now_wall_s=NOON_S)
        ledger.accept(first, "task-late", now_wall_s=NOON_S)
        told = ("5", "1", "2.00 USD")
        must(all_used(ledger, NOON_S + 900) == told, "sent again, and what came late is beside: two tasks")
    must(all_used(ledger, NOON_S + 86399) == told, "for a day")
    must(all_used(ledger, NOON_S + 86400) == ("0", "1", "0 USD"), "and then only what is not over")
    must(all_used(ledger, NOON_S, ELSEWHERE) == ("0", "0", "0 USD"), "and only here")


def who_asks_is_not_counted_itself(ledger: Ledger) -> None:
    """An intent holds a place for 900 s until it is sent; who begins it again is not refused for itself."""
    for key in ("a", "b", "c"):
        begun(ledger, key, charge=PRICE)
    must(all_used(ledger, NOON_S + 899.5) == ("3", "3", "1.50 USD"), "each intent holds a place")
    must(all_used(ledger, NOON_S + 899.5, key="a") == ("2", "2", "1.00 USD"), "the others' places")
    must(all_used(ledger, NOON_S + 900, key="a") == ("0", "0", "0 USD"), "for a while")
    begun(ledger, "a", charge=PRICE, guards=Guards(max_open_tasks=3, max_tasks_per_day=3))
    dear, limit = replace(PRICE, amount=Decimal("0.75")), Guards(max_spend=(SpendLimit(Decimal("1.74"), "USD"),))
    error = refused(GuardRefused, lambda: begun(ledger, "a", charge=dear, guards=limit))
    must("used 1.00 USD, asked 0.75 USD" in str(error), "another price is not taken off what the others cost")
    one = Guards(max_open_tasks=1, max_tasks_per_day=1, max_spend=(SpendLimit(PRICE.amount, PRICE.currency),))
    with ledger.open_owner() as owner:
        licence = ledger.license(begun(ledger, "a"), owner, guards=one, now_wall_s=NOON_S)
        must(licence is not None, "a licence is refused for what was sent, not for what others want")
        refused(GuardRefused, lambda: ledger.license(begun(ledger, "b"), owner, guards=one, now_wall_s=NOON_S))


MONEY_CHECKS: tuple[Callable[[Ledger], None], ...] = (
    guards_count_everybody,
    spending_is_limited,
    limits_count_what_was_sent,
    who_asks_is_not_counted_itself,
    no_setting_of_the_program_changes_a_bill,
    what_may_be_owed_is_not_cleared_away,
)
