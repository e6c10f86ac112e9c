"""What a ledger does with an intent, a licence and what came of it: word by word and field by field, by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from resilient_poll.ledger.entry import Charge, Entry, Said, SavedFile, Stray
from resilient_poll.ledger.errors import (
    ActRefused,
    EntryInvalid,
    GuardRefused,
    IdempotencyConflict,
    LedgerUnavailable,
    NotSaved,
    SlotsTaken,
)
from resilient_poll.ledger.guards import Guards, SpendLimit
from resilient_poll.ledger.memory import MemoryLedger
from resilient_poll.ledger.rows import ENTRIES, Durability, Owner
from resilient_poll.ledger.testing_parts import ELSEWHERE, HERE, NOON_S, PRICE, begun, ended, running, sent
from resilient_poll.machine.lifecycle import ENDS, OPEN, Billing, Phase

SAID = Said(status="S", request_id="r-1", code="E", message="why", snapshot="{}")
DEAR = Charge(Decimal(7), "USD")


@pytest.fixture
def ledger() -> MemoryLedger:
    """An empty ledger."""
    return MemoryLedger()


@pytest.fixture
def owner(ledger: MemoryLedger) -> Owner:
    """Somebody who sends."""
    return ledger.open_owner()


def doubtful(ledger: MemoryLedger, owner: Owner, key: str = "key") -> Entry:
    return ledger.doubt(sent(ledger, owner, key), "?", now_wall_s=NOON_S)


def overtaken(ledger: MemoryLedger, owner: Owner, key: str = "key") -> tuple[Entry, Entry]:
    """Return a licence whose doubt was overruled, and the licence that came after it."""
    late = sent(ledger, owner, key)
    anew = ledger.license_resubmit(ledger.doubt(late, "?", now_wall_s=NOON_S), now_wall_s=NOON_S)
    licence = ledger.license(anew, owner, now_wall_s=NOON_S)
    assert licence is not None
    return late, licence


def test_an_intent_is_what_was_asked_for(ledger: MemoryLedger) -> None:
    """A new entry holds what it was begun with and nothing else, and asking again can only tell a better price."""
    entry = ledger.begin(HERE, "key", "digest", {"model": "m"}, charge=PRICE, now_wall_s=NOON_S)
    by_hand = Entry(
        entry_id=1,
        namespace=HERE,
        key="key",
        attempt=1,
        digest="digest",
        about={"model": "m"},
        charge=PRICE,
        created_wall_s=NOON_S,
        updated_wall_s=NOON_S,
    )
    assert entry == by_hand == ledger.get(1)
    assert ledger.begin(HERE, "key", "digest", now_wall_s=NOON_S + 1) == by_hand
    dearer = ledger.begin(HERE, "key", "digest", {"model": "x"}, charge=DEAR, now_wall_s=NOON_S + 2)
    assert dearer == replace(by_hand, charge=DEAR, updated_wall_s=NOON_S + 2) == ledger.get(1)
    with pytest.raises(IdempotencyConflict) as caught:
        ledger.begin(HERE, "key", "another", now_wall_s=NOON_S)
    assert caught.value.entry == dearer


def test_what_is_out_is_returned_as_it_stands(ledger: MemoryLedger, owner: Owner) -> None:
    """Who asks again for what was sent gets it as it is, without a new price and whatever a limit says."""
    licence = sent(ledger, owner, charge=PRICE)
    tight = Guards(max_open_tasks=1, max_tasks_per_day=1)
    assert ledger.begin(HERE, "key", "digest", charge=DEAR, guards=tight, now_wall_s=NOON_S) == licence
    with pytest.raises(GuardRefused, match="max_open_tasks: limit 1, used 1"):
        begun(ledger, "other", guards=tight)
    assert ledger.find(HERE, "other") is None


def test_a_further_attempt_is_the_same_wish(ledger: MemoryLedger, owner: Owner) -> None:
    """A further attempt has key, request, texts and price of the one before, or a better price, and starts anew."""
    over = ended(ledger, running(ledger, owner, "key", charge=PRICE), Phase.FAILED, Billing.NONE)
    second = ledger.begin_attempt(over, now_wall_s=NOON_S + 20)
    wanted = {"namespace": HERE, "key": "key", "digest": "digest", "about": {"model": "m"}}
    times = {"created_wall_s": NOON_S + 20, "updated_wall_s": NOON_S + 20}
    assert second == Entry(entry_id=2, attempt=2, charge=PRICE, **wanted, **times)  # type: ignore[arg-type]  # by hand
    assert second == ledger.get(2) == ledger.find(HERE, "key")
    assert ledger.begin_attempt(over, now_wall_s=NOON_S + 30) == second, "a second asker gets the first one's"
    with pytest.raises(ActRefused, match=r"attempt 2, NEW.* is not at its end") as caught:
        ledger.begin_attempt(second, now_wall_s=NOON_S + 30)
    assert caught.value.entry == second
    licence = ledger.license(second, owner, now_wall_s=NOON_S + 30)
    assert licence is not None
    refused = ledger.refuse(licence, now_wall_s=NOON_S + 31)
    with pytest.raises(GuardRefused):
        ledger.begin_attempt(refused, guards=Guards(max_tasks_per_day=1), now_wall_s=NOON_S + 32)
    third = ledger.begin_attempt(refused, charge=DEAR, now_wall_s=NOON_S + 32)
    assert (third.attempt, third.charge) == (3, DEAR)


def test_a_limit_is_of_one_account_at_the_price_that_is_asked(ledger: MemoryLedger, owner: Owner) -> None:
    """What is out elsewhere counts nothing here, and what is asked counts at its own newest price."""
    there = ledger.begin(ELSEWHERE, "key", "digest", charge=DEAR, now_wall_s=NOON_S)
    assert ledger.license(there, owner, now_wall_s=NOON_S) is not None
    limits = Guards(max_open_tasks=1, max_tasks_per_day=1, max_spend=(SpendLimit(Decimal(1), "USD"),))
    for charge in (DEAR, None):
        with pytest.raises(GuardRefused, match="max_spend"):
            begun(ledger, "new", guards=limits, charge=charge)
    entry = begun(ledger, guards=limits, charge=PRICE)
    # Asked again it does not stand in its own way, but for a new price that is too high, or for another's.
    assert begun(ledger, guards=limits) == entry
    with pytest.raises(GuardRefused, match="max_spend"):
        begun(ledger, guards=limits, charge=DEAR)
    assert ledger.get(entry.entry_id) == entry
    sent(ledger, owner, "other")
    with pytest.raises(GuardRefused, match="max_open_tasks: limit 1, used 1"):
        begun(ledger, guards=limits)


def test_a_licence_is_measured_at_its_own_price_and_account(ledger: MemoryLedger, owner: Owner) -> None:
    """A licence is refused where its price goes beyond what is left, and what another account spent is not counted."""
    there = ledger.begin(ELSEWHERE, "key", "digest", charge=DEAR, now_wall_s=NOON_S)
    assert ledger.license(there, owner, now_wall_s=NOON_S) is not None
    spends = [Guards(max_open_tasks=1, max_spend=(SpendLimit(Decimal(most), "USD"),)) for most in ("0.49", "0.50")]
    entry = begun(ledger, charge=PRICE)
    with pytest.raises(GuardRefused, match="max_spend"):
        ledger.license(entry, owner, guards=spends[0], now_wall_s=NOON_S)
    assert ledger.license(entry, owner, guards=spends[1], now_wall_s=NOON_S) is not None
    other = begun(ledger, "other", charge=PRICE)
    next_day_s = NOON_S + 86_401
    spent = Guards(max_spend=(SpendLimit(Decimal("0.50"), "USD"),))
    with pytest.raises(GuardRefused, match="max_spend"):
        ledger.license(other, owner, guards=spent, now_wall_s=NOON_S + 1)
    assert ledger.license(other, owner, guards=spent, now_wall_s=next_day_s) is not None


def test_what_was_beside_is_taken_in(ledger: MemoryLedger, owner: Owner) -> None:
    """Where the service gives both sends one task, the entry takes it in, and it stands beside it no more."""
    late, licence = overtaken(ledger, owner)
    ledger.accept(late, "task-1", now_wall_s=NOON_S)
    ledger.answered(late, "{}", now_wall_s=NOON_S)
    assert len(ledger.strays()) == 2
    assert ledger.accept(licence, "task-1", now_wall_s=NOON_S).task_id == "task-1"
    assert [stray.task_id for stray in ledger.strays()] == [None]


def test_what_is_beside_another_stays_there(ledger: MemoryLedger, owner: Owner) -> None:
    """A task that stands beside one entry stays there when another takes it in: both sends were answered with it."""
    late, _ = overtaken(ledger, owner, "one")
    ledger.accept(late, "task-1", now_wall_s=NOON_S)
    assert ledger.accept(sent(ledger, owner, "two"), "task-1", now_wall_s=NOON_S).task_id == "task-1"
    assert [stray.entry_id for stray in ledger.strays()] == [late.entry_id]


def test_a_task_of_another_account_is_another_task(ledger: MemoryLedger, owner: Owner) -> None:
    """An id that an entry of another account holds, or has beside it, is free to be adopted here."""
    for task_id in ("task-held", "task-beside"):
        there = ledger.begin(ELSEWHERE, task_id, "digest", now_wall_s=NOON_S)
        licence = ledger.license(there, owner, now_wall_s=NOON_S)
        assert licence is not None
        if task_id == "task-beside":
            anew = ledger.license_resubmit(ledger.doubt(licence, "?", now_wall_s=NOON_S), now_wall_s=NOON_S)
            assert ledger.license(anew, owner, now_wall_s=NOON_S) is not None
        ledger.accept(licence, task_id, now_wall_s=NOON_S)
        assert ledger.adopt(doubtful(ledger, owner, task_id), task_id, now_wall_s=NOON_S).task_id == task_id
    assert len(ledger.strays(ELSEWHERE)) == 1


def test_an_answer_counts_once(ledger: MemoryLedger, owner: Owner) -> None:
    """The answer of one send that is told twice leaves nothing beside, that of an earlier one does."""
    late, licence = overtaken(ledger, owner)
    done = ledger.answered(licence, "{}", now_wall_s=NOON_S)
    assert ledger.answered(licence, "{}", now_wall_s=NOON_S) == done
    assert ledger.strays() == ()
    assert ledger.answered(late, "{}", now_wall_s=NOON_S).doubtful_sends == ()
    assert [stray.send for stray in ledger.strays()] == [1]


def test_a_damaged_entrys_task_that_another_holds_is_kept(ledger: MemoryLedger, owner: Owner) -> None:
    """Where an entry cannot be read and its task is another's, that is recorded beside both."""
    running(ledger, owner, "one")
    licence = sent(ledger, owner, "two")
    ledger._store.run(lambda rows: rows.update(ENTRIES, licence.entry_id, {"about": "?"}), Durability.QUICK)
    assert ledger.accept(licence, "task-one", now_wall_s=NOON_S) == licence
    assert [stray.reason for stray in ledger.strays()] == ["entry 1 holds this task id already"]


Act = Callable[[MemoryLedger, Owner], object]
SYNCED: dict[str, Act] = {
    "begin": lambda ledger, _: begun(ledger, "new"),
    "a further attempt": lambda ledger, _: ledger.begin_attempt(at(ledger, "over"), now_wall_s=NOON_S),
    "a licence": lambda ledger, owner: ledger.license(at(ledger, "begun"), owner, now_wall_s=NOON_S),
    "given back": lambda ledger, _: ledger.give_back(at(ledger, "sent"), now_wall_s=NOON_S),
    "refused": lambda ledger, _: ledger.refuse(at(ledger, "sent"), now_wall_s=NOON_S),
    "a doubt": lambda ledger, _: ledger.doubt(at(ledger, "sent"), "?", now_wall_s=NOON_S),
    "accepted": lambda ledger, _: ledger.accept(at(ledger, "sent"), "task-new", now_wall_s=NOON_S),
    "answered": lambda ledger, _: ledger.answered(at(ledger, "sent"), "{}", now_wall_s=NOON_S),
    "settled": lambda ledger, _: ledger.settle_the_dead(now_wall_s=NOON_S),
    "adopted": lambda ledger, _: ledger.adopt(at(ledger, "doubt"), "task-new", now_wall_s=NOON_S),
    "abandoned": lambda ledger, _: ledger.abandon(at(ledger, "doubt"), now_wall_s=NOON_S),
    "sent again": lambda ledger, _: ledger.license_resubmit(at(ledger, "doubt"), now_wall_s=NOON_S),
    "a stray dismissed": lambda ledger, _: ledger.dismiss_stray(ledger.strays()[0]),
    "observed": lambda ledger, _: ended(ledger, at(ledger, "runs"), Phase.FAILED, Billing.NONE),
    "saved": lambda ledger, _: ledger.saved(at(ledger, "over"), SavedFile("a", 1, "a" * 64), now_wall_s=NOON_S),
    "archived": lambda ledger, _: ledger.archive(NOON_S, now_wall_s=NOON_S),
    "removed": lambda ledger, _: ledger.vacuum(NOON_S),
    "a setting": lambda ledger, _: ledger.set_setting("word", "x"),
}
QUICK: dict[str, Act] = {
    "claimed": lambda ledger, _: ledger.claim(HERE, "me", for_s=9.0, now_wall_s=NOON_S),
    "ends claimed": lambda ledger, _: ledger.claim_ends(HERE, "me", for_s=9.0, now_wall_s=NOON_S),
    "renewed": lambda ledger, _: ledger.renew(at(ledger, "runs"), "me", for_s=9.0, now_wall_s=NOON_S),
    "released": lambda ledger, _: ledger.release(at(ledger, "runs"), "me", now_wall_s=NOON_S),
    "delivered": lambda ledger, _: ledger.delivered(at(ledger, "over"), now_wall_s=NOON_S),
}


def at(ledger: MemoryLedger, key: str) -> Entry:
    """Return the entry of a key."""
    found = ledger.find(HERE, key)
    assert found is not None
    return found


@pytest.mark.parametrize("act", [*SYNCED, *QUICK])
def test_what_is_about_money_is_on_the_disk(
    ledger: MemoryLedger, owner: Owner, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a power cut must not take away is synced; who polls and who was told may be forgotten."""
    begun(ledger, "begun")
    sent(ledger, owner, "sent")
    doubtful(ledger, owner, "doubt")
    running(ledger, owner, "runs")
    ended(ledger, running(ledger, owner, "over"), Phase.FAILED, Billing.NONE)
    late, _ = overtaken(ledger, owner, "late")
    ledger.accept(late, "task-stray", now_wall_s=NOON_S)
    with ledger.open_owner() as dying:
        sent(ledger, dying, "dead")
    seen: list[Durability] = []
    real = ledger._store.run

    def watched(work: Callable[[Any], Any], durability: Durability) -> Any:
        seen.append(durability)
        return real(work, durability)

    monkeypatch.setattr(ledger._store, "run", watched)
    monkeypatch.setattr(ledger._store, "read", lambda work: real(work, Durability.QUICK))  # That is no write.
    {**SYNCED, **QUICK}[act](ledger, owner)
    assert seen == [Durability.SYNCED if act in SYNCED else Durability.QUICK]


def test_a_further_attempt_is_measured_like_a_first_one(ledger: MemoryLedger, owner: Owner) -> None:
    """The limits of its own account hold for a further attempt, at its own price or that of the one before."""
    over = ledger.refuse(sent(ledger, owner, charge=PRICE), now_wall_s=NOON_S)
    there = ledger.begin(ELSEWHERE, "key", "digest", now_wall_s=NOON_S)
    assert ledger.license(there, owner, now_wall_s=NOON_S) is not None
    tight = Guards(max_spend=(SpendLimit(Decimal("0.49"), "USD"),))
    with pytest.raises(GuardRefused, match="max_spend"):
        ledger.begin_attempt(over, guards=tight, now_wall_s=NOON_S)
    wide = Guards(max_open_tasks=1, max_spend=(SpendLimit(Decimal("0.50"), "USD"),))
    with pytest.raises(GuardRefused, match="max_spend"):
        ledger.begin_attempt(over, guards=wide, charge=DEAR, now_wall_s=NOON_S)
    assert ledger.begin_attempt(over, guards=wide, now_wall_s=NOON_S).attempt == 2


def test_an_attempt_needs_one_before_it(ledger: MemoryLedger, owner: Owner) -> None:
    """Without an entry, or with one that may be charged, nothing is begun, and the error shows how it stands."""
    entry = begun(ledger)
    with pytest.raises(ActRefused, match="no entry for key 'none'; nothing was sent"):
        ledger.begin_attempt(replace(entry, key="none"), now_wall_s=NOON_S)
    with pytest.raises(ActRefused, match="no entry for key 'key'"):
        ledger.begin_attempt(replace(entry, namespace=ELSEWHERE), now_wall_s=NOON_S)
    paid = ended(ledger, running(ledger, owner, "paid"), Phase.SUCCEEDED, Billing.BILLED)
    with pytest.raises(ActRefused, match=r"is billed or may be \(BILLED\).*accept_second_charge=True") as caught:
        ledger.begin_attempt(paid, now_wall_s=NOON_S)
    assert caught.value.entry == paid


def test_slots_that_are_taken_are_told(ledger: MemoryLedger, owner: Owner) -> None:
    """Who finds all slots taken is told how many there are, keeps its place, and its entry stays as it was."""
    running(ledger, owner, "one")
    entry = begun(ledger, "two")
    with pytest.raises(SlotsTaken) as caught:
        ledger.license(entry, owner, slots=1, now_wall_s=NOON_S)
    assert (caught.value.slots, caught.value.taken) == (1, 1)
    assert ledger.get(entry.entry_id) == entry
    with ledger.open_owner() as other:
        third = begun(ledger, "three")
        with pytest.raises(SlotsTaken, match="for those who asked before"):
            ledger.license(third, other, slots=2, now_wall_s=NOON_S + 1)
        assert ledger.license(third, other, slots=3, now_wall_s=NOON_S + 1) is not None
    elsewhere = ledger.begin(ELSEWHERE, "key", "digest", now_wall_s=NOON_S)
    assert ledger.license(elsewhere, owner, slots=1, now_wall_s=NOON_S) is not None


def test_a_licence_counts_what_is_out_only(ledger: MemoryLedger, owner: Owner) -> None:
    """At its licence an entry is measured without itself, and without others that are only wanted."""
    begun(ledger, "wanted")
    one, two = begun(ledger, "one"), begun(ledger, "two")
    limit = Guards(max_open_tasks=1)
    assert ledger.license(one, owner, guards=limit, now_wall_s=NOON_S) is not None
    with pytest.raises(GuardRefused, match="max_open_tasks: limit 1, used 1"):
        ledger.license(two, owner, guards=limit, now_wall_s=NOON_S)
    assert ledger.get(two.entry_id) == two


def test_each_end_of_a_send_keeps_what_was_said(ledger: MemoryLedger, owner: Owner) -> None:
    """Given back, refused or in doubt, an entry holds the words, the id and the time of what was said last."""
    back = ledger.give_back(sent(ledger, owner, "a"), not_before_wall_s=NOON_S + 60, said=SAID, now_wall_s=NOON_S + 5)
    no = ledger.refuse(sent(ledger, owner, "b"), said=SAID, now_wall_s=NOON_S + 5)
    doubt = ledger.doubt(sent(ledger, owner, "c"), "lost", said=SAID, now_wall_s=NOON_S + 5)
    for entry, phase, message in ((back, "NEW", "why"), (no, "REFUSED", "why"), (doubt, "IN_DOUBT", "lost")):
        assert (entry.phase, entry.message, entry.updated_wall_s) == (phase, message, NOON_S + 5)
        assert (entry.status, entry.request_id, entry.code, entry.snapshot) == ("S", "r-1", "E", "{}")
        assert entry == ledger.get(entry.entry_id)
    assert (back.not_before_wall_s, no.ended_wall_s, doubt.ended_wall_s) == (NOON_S + 60, NOON_S + 5, None)


def test_what_was_accepted_is_an_open_task(ledger: MemoryLedger, owner: Owner) -> None:
    """An accepted task is open, queued and not billed yet unless it is said otherwise, and is told once."""
    licence = sent(ledger, owner)
    for phase in set(Phase) - OPEN:
        with pytest.raises(EntryInvalid, match=f"an open phase, not {phase}"):
            ledger.accept(licence, "task-1", phase=phase, now_wall_s=NOON_S)
        with pytest.raises(EntryInvalid, match=f"an open phase, not {phase}"):
            ledger.adopt(licence, "task-1", phase=phase, now_wall_s=NOON_S)
    entry = ledger.accept(licence, "task-1", said=SAID, now_wall_s=NOON_S + 5)
    stands = replace(licence, task_id="task-1", phase=Phase.QUEUED, billing=Billing.NOT_YET, updated_wall_s=NOON_S + 5)
    assert entry == replace(stands, status="S", request_id="r-1", code="E", message="why", snapshot="{}")
    assert ledger.accept(licence, "task-1", now_wall_s=NOON_S + 9) == entry == ledger.get(entry.entry_id)
    runs = ledger.accept(
        sent(ledger, owner, "b"), "task-2", phase=Phase.RUNNING, billing=Billing.ON_SUCCESS, now_wall_s=NOON_S
    )
    assert (runs.phase, runs.billing) == (Phase.RUNNING, Billing.ON_SUCCESS)


def test_a_task_that_is_anothers_is_a_doubt_and_a_stray(ledger: MemoryLedger, owner: Owner) -> None:
    """An id that another entry holds is put beside it, and the sender's entry is in doubt, since nobody knows."""
    first = running(ledger, owner, "one")
    licence = sent(ledger, owner, "two")
    entry = ledger.accept(licence, "task-one", said=SAID, now_wall_s=NOON_S + 5)
    assert (entry.phase, entry.task_id, entry.billing) == (Phase.IN_DOUBT, None, Billing.UNDETERMINED)
    assert entry.message == "the service answered with task task-one, and entry 1 holds this task id already"
    assert (entry.request_id, entry.owner, entry.updated_wall_s) == ("r-1", None, NOON_S + 5)
    assert ledger.get(first.entry_id) == first
    assert ledger.strays() == (
        Stray(
            stray_id=1,
            namespace=HERE,
            entry_id=2,
            send=1,
            task_id="task-one",
            request_id="r-1",
            snapshot="{}",
            result=None,
            reason="entry 1 holds this task id already",
            seen_wall_s=NOON_S + 5,
        ),
    )


def test_what_came_late_is_put_beside_and_its_doubt_is_over(ledger: MemoryLedger, owner: Owner) -> None:
    """What an overruled send made stands beside its entry, once, and that send is in doubt no more."""
    late, licence = overtaken(ledger, owner)
    assert licence.doubtful_sends == (1,)
    entry = ledger.accept(late, "task-late", now_wall_s=NOON_S + 5)
    assert entry == replace(licence, doubtful_sends=(), updated_wall_s=NOON_S + 5) == ledger.get(licence.entry_id)
    assert ledger.accept(late, "task-late", now_wall_s=NOON_S + 6) == entry
    stray = ledger.strays()[0]
    assert ledger.strays() == (stray,)
    assert (stray.send, stray.reason, stray.seen_wall_s) == (1, "its entry had moved on to SUBMITTING", NOON_S + 5)
    assert ledger.accept(licence, "task-2", now_wall_s=NOON_S + 7).task_id == "task-2"
    assert ledger.strays(ELSEWHERE) == ()
    ledger.dismiss_stray(stray)
    assert ledger.strays() == ()


def test_a_result_that_came_late_is_kept_beside(ledger: MemoryLedger, owner: Owner) -> None:
    """A result of an overruled send stands beside its entry whole, with whose it is and why."""
    late, licence = overtaken(ledger, owner)
    ledger.answered(late, '{"made": 1}', said=SAID, now_wall_s=NOON_S + 5)
    stray = ledger.strays()[0]
    assert (stray.entry_id, stray.send, stray.task_id, stray.result) == (1, 1, None, '{"made": 1}')
    assert (stray.request_id, stray.reason) == ("r-1", "its entry had moved on to SUBMITTING")
    done = ledger.answered(licence, '{"made": 2}', charge=DEAR, said=SAID, now_wall_s=NOON_S + 6)
    assert (done.phase, done.billing, done.result, done.charge) == (
        Phase.SUCCEEDED, Billing.BILLED, '{"made": 2}', DEAR,
    )  # fmt: skip
    assert (done.ended_wall_s, done.request_id, done.message) == (NOON_S + 6, "r-1", "why")
    assert ledger.answered(licence, '{"made": 3}', now_wall_s=NOON_S + 7) == done == ledger.get(1)
    free = ledger.answered(sent(ledger, owner, "b", charge=PRICE), "{}", billing=Billing.NONE, now_wall_s=NOON_S)
    assert (free.billing, free.charge) == (Billing.NONE, PRICE)


@pytest.mark.parametrize("came", ["task", "result"])
def test_what_belongs_to_a_damaged_entry_is_kept_beside_it(ledger: MemoryLedger, owner: Owner, came: str) -> None:
    """Where the entry of what came cannot be read, what came is kept all the same, and says so."""
    licence = sent(ledger, owner)
    ledger._store.run(lambda rows: rows.update(ENTRIES, licence.entry_id, {"about": "?"}), Durability.QUICK)
    if came == "task":
        assert ledger.accept(licence, "task-1", now_wall_s=NOON_S) == licence
    else:
        assert ledger.answered(licence, "{}", now_wall_s=NOON_S) == licence
    stray = ledger.strays()[0]
    assert (stray.reason, stray.entry_id) == ("its entry cannot be read", licence.entry_id)
    assert (stray.task_id, stray.result) == (("task-1", None) if came == "task" else (None, "{}"))


@pytest.mark.parametrize("failures", [1, 2])
@pytest.mark.parametrize("came", ["task", "result"])
def test_what_only_the_sender_knows_is_written_twice_if_need_be(
    ledger: MemoryLedger, owner: Owner, came: str, failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that fails is tried once more; if that fails too, the error holds all that would be lost."""
    licence = sent(ledger, owner)
    real, left = ledger._store.run, [failures]

    def shaky(work: Callable[[Any], Any], durability: Durability) -> Any:
        assert durability is Durability.SYNCED
        left[0] -= 1
        if left[0] >= 0:
            raise LedgerUnavailable("out of order")
        return real(work, durability)

    monkeypatch.setattr(ledger._store, "run", shaky)

    def keep() -> Entry:
        if came == "task":
            return ledger.accept(licence, "task-1", now_wall_s=NOON_S)
        return ledger.answered(licence, "{}", now_wall_s=NOON_S)

    if failures == 1:
        assert keep().phase is (Phase.QUEUED if came == "task" else Phase.SUCCEEDED)
        return
    with pytest.raises(NotSaved) as caught:
        keep()
    error = caught.value
    assert (error.entry, error.why) == (licence, "out of order")
    assert (error.task_id, error.result) == (("task-1", None) if came == "task" else (None, "{}"))
    assert isinstance(error.__cause__, LedgerUnavailable)


def test_the_dead_leave_doubts(ledger: MemoryLedger, owner: Owner) -> None:
    """What a dead owner was sending is in doubt from then on, but for a damaged row; what the living send is not."""
    living = sent(ledger, owner, "living")
    assert ledger.settle_the_dead(now_wall_s=NOON_S) == ()
    with ledger.open_owner() as dying:
        theirs = [sent(ledger, dying, key) for key in ("a", "damaged", "b")]
    damage = theirs.pop(1)
    ledger._store.run(lambda rows: rows.update(ENTRIES, damage.entry_id, {"about": "?"}), Durability.QUICK)
    assert ledger.settle_the_dead(now_wall_s=NOON_S + 5) == tuple(entry.entry_id for entry in theirs)
    for entry in theirs:
        assert ledger.get(entry.entry_id) == replace(
            entry,
            phase=Phase.IN_DOUBT,
            message="the process that was sending it ended before it heard what became of it",
            updated_wall_s=NOON_S + 5,
        )
    assert ledger.get(living.entry_id) == living
    assert ledger.settle_the_dead(now_wall_s=NOON_S + 6) == ()


def test_a_doubt_is_settled_by_its_own_task_only(ledger: MemoryLedger, owner: Owner) -> None:
    """A doubt adopts a task that is nobody's or its own stray; everything else is refused and changes nothing."""
    doubt = doubtful(ledger, owner)
    taken = running(ledger, owner, "other")
    late, _ = overtaken(ledger, owner, "third")
    ledger.accept(late, "task-stray", now_wall_s=NOON_S)
    for task_id, whose in (("task-other", taken.entry_id), ("task-stray", late.entry_id)):
        with pytest.raises(ActRefused, match=f"task {task_id} belongs to entry {whose}; .* was not changed") as caught:
            ledger.adopt(doubt, task_id, now_wall_s=NOON_S)
        assert caught.value.entry == doubt == ledger.get(doubt.entry_id)
    with pytest.raises(ActRefused, match="is not in the doubt that a task could settle") as caught:
        ledger.adopt(taken, "task-new", now_wall_s=NOON_S)
    assert caught.value.entry == taken
    with pytest.raises(ActRefused, match="is not in the doubt"):
        ledger.adopt(replace(doubt, sends=2), "task-new", now_wall_s=NOON_S)
    adopted = ledger.adopt(doubt, "task-new", said=SAID, now_wall_s=NOON_S + 5)
    assert (adopted.task_id, adopted.phase, adopted.billing) == ("task-new", Phase.UNRECOGNIZED, Billing.UNDETERMINED)
    assert (adopted.code, adopted.message, adopted.updated_wall_s) == ("E", "why", NOON_S + 5)
    assert ledger.adopt(doubt, "task-new", now_wall_s=NOON_S + 6) == adopted == ledger.get(doubt.entry_id)


def test_an_own_stray_is_adopted_and_gone(ledger: MemoryLedger, owner: Owner) -> None:
    """A doubt whose earlier send left its task beside it takes that task, which then stands there no more."""
    late, licence = overtaken(ledger, owner)
    ledger.accept(late, "task-late", now_wall_s=NOON_S)
    doubt = ledger.doubt(licence, "?", now_wall_s=NOON_S)
    adopted = ledger.adopt(doubt, "task-late", phase=Phase.RUNNING, billing=Billing.ON_SUCCESS, now_wall_s=NOON_S)
    assert (adopted.task_id, adopted.phase, adopted.billing) == ("task-late", Phase.RUNNING, Billing.ON_SUCCESS)
    assert ledger.strays() == ()


def test_who_gives_up_says_why(ledger: MemoryLedger, owner: Owner) -> None:
    """What is neither being sent nor at its end can be given up, with a reason or the one it had."""
    doubt = doubtful(ledger, owner)
    for reason, message in (("", "?"), ("too late", "too late")):
        entry = ledger.abandon(doubtful(ledger, owner, f"k{reason}"), reason, now_wall_s=NOON_S + 5)
        assert (entry.phase, entry.message, entry.owner) == (Phase.ABANDONED, message, None)
        assert (entry.ended_wall_s, entry.delivered_wall_s, entry.billing) == (
            NOON_S + 5, NOON_S + 5, Billing.UNDETERMINED,
        )  # fmt: skip
        with pytest.raises(ActRefused, match="is at its end; nothing was changed") as caught:
            ledger.abandon(entry, now_wall_s=NOON_S + 6)
        assert caught.value.entry == entry
    out = sent(ledger, owner, "out")
    with pytest.raises(ActRefused, match="is being sent, so nobody can give it up yet") as caught:
        ledger.abandon(out, now_wall_s=NOON_S)
    assert caught.value.entry == out
    with pytest.raises(ActRefused, match="is not in the doubt that was decided upon") as caught:
        ledger.license_resubmit(out, now_wall_s=NOON_S)
    assert caught.value.entry == out
    with pytest.raises(ActRefused, match="is not in the doubt that was decided upon"):
        ledger.license_resubmit(replace(doubt, sends=2), now_wall_s=NOON_S)
    anew = ledger.license_resubmit(doubt, now_wall_s=NOON_S + 7)
    assert (anew.phase, anew.doubtful_sends, anew.updated_wall_s) == (Phase.NEW, (1,), NOON_S + 7)
    assert {Phase.ABANDONED} <= ENDS
