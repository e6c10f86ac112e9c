"""What any ledger must do, as functions without a test framework: put your own store through them.

    from resilient_poll.ledger.testing import CHECKS

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_ledger(check, tmp_path):
        check(MyLedger(tmp_path))

Each check wants a new, empty ledger and raises ``AssertionError`` where it does not conform. What one
process cannot show (kills, pauses, power cuts) is not in here.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

from resilient_poll.errors import ResilientPollError
from resilient_poll.ledger.entry import Charge, Said, SavedFile
from resilient_poll.ledger.errors import ActRefused, EntryInvalid, IdempotencyConflict, NotSaved
from resilient_poll.ledger.guards import Guards, SpendLimit
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.ledger.testing_money import MONEY_CHECKS
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

__all__ = ["CHECKS", "Check"]

Check = Callable[[Ledger], None]
CHECKS: tuple[Check, ...] = ()


def _check(function: Check) -> Check:
    global CHECKS  # noqa: PLW0603  # filled while the module is read, never after
    CHECKS += (function,)
    return function


@_check
def an_intent_is_written_down_once(ledger: Ledger) -> None:
    """The same key brings the same entry; another origin another one; another request a conflict."""
    first = begun(ledger, charge=PRICE)
    must((first.phase, first.attempt, first.sends, first.charge) == (Phase.NEW, 1, 0, PRICE), "it begins as NEW")
    must(ledger.get(first.entry_id) == first == begun(ledger), "a key is one entry, kept as it was returned")
    other = ledger.begin(ELSEWHERE, "key", "another", now_wall_s=NOON_S)
    must(other.entry_id > first.entry_id, "another origin is another namespace, and newer is larger")
    refused(IdempotencyConflict, lambda: ledger.begin(HERE, "key", "another", now_wall_s=NOON_S))


@_check
def what_cannot_be_kept_is_refused(ledger: Ledger) -> None:
    """What is too long, of the wrong type or cannot be stored is refused, and nothing is written."""
    for key in ("", "x" * 10_000, "a\0b", "\ud800", None):
        refused(EntryInvalid, lambda key=key: ledger.begin(HERE, key, "digest", now_wall_s=NOON_S))  # type: ignore[misc]  # on purpose
    refused(EntryInvalid, lambda: ledger.begin(HERE, "key", "digest", {"model": "x" * 5000}, now_wall_s=NOON_S))
    refused(EntryInvalid, lambda: begun(ledger, charge=Charge(Decimal(-1), "USD")))
    must(len(ledger.entries()) == 0, "nothing was written")
    must(ledger.find(HERE, "a\0b") is None, "what cannot be kept is not found")


@_check
def what_the_world_said_is_made_to_fit(ledger: Ledger) -> None:
    """A message of any length and with any characters never keeps an id from being written."""
    with ledger.open_owner() as owner:
        said = Said(message="\0\ud800" + "x" * 100_000, code="c" * 9999, request_id="r" * 9999)
        kept = ledger.accept(sent(ledger, owner), "task-1", said=said, now_wall_s=NOON_S)
    must(kept.task_id == "task-1" and kept == ledger.get(kept.entry_id), "the id is kept")


@_check
def a_licence_is_given_once(ledger: Ledger) -> None:
    """Of many who want to send one entry at once, one may."""
    entry = begun(ledger)
    owners = [ledger.open_owner() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        given = list(threads.map(lambda owner: ledger.license(entry, owner, now_wall_s=NOON_S), owners))
    licences = [licence for licence in given if licence is not None]
    must(len(licences) == 1, f"one licence, not {len(licences)}")
    must((licences[0].phase, licences[0].sends) == (Phase.SUBMITTING, 1), "it is being sent")
    must(licences[0].billing is Billing.UNDETERMINED, "what is being sent may be owed")
    for owner in owners:
        owner.close()


@_check
def a_licence_that_was_not_used_can_be_given_back(ledger: Ledger) -> None:
    """It can be given back once, by its holder only, and is given again when its time has come."""
    with ledger.open_owner() as owner:
        licence = sent(ledger, owner)
        later_s = NOON_S + 60
        back = ledger.give_back(licence, not_before_wall_s=later_s, said=Said(code="busy"), now_wall_s=NOON_S)
        must((back.phase, back.not_before_wall_s, back.code) == (Phase.NEW, later_s, "busy"), "it is new again")
        must(back.billing is Billing.NONE, "nothing is owed for it")
        must(ledger.license(back, owner, now_wall_s=NOON_S + 59) is None, "not before its time")
        again = ledger.license(back, owner, now_wall_s=later_s)
        must(again is not None and again.sends == 2, "then it is given again")
        must(ledger.give_back(licence, now_wall_s=later_s) == again, "an old licence gives nothing back")
        must(ledger.refuse(licence, now_wall_s=later_s) == again, "nor does it refuse")
        must(ledger.doubt(licence, "?", now_wall_s=later_s) == again, "nor doubt")
        far = ledger.give_back(again or licence, not_before_wall_s=9e14, now_wall_s=later_s)
        must((far.not_before_wall_s or 0) < later_s + 8 * 86400, "a date of another clock is cut")


@_check
def an_id_is_never_lost(ledger: Ledger) -> None:
    """An id goes into its entry, or beside it if the entry moved on; a repeated one changes nothing."""
    with ledger.open_owner() as owner:
        first = sent(ledger, owner)
        doubt = ledger.doubt(first, "no answer", now_wall_s=NOON_S)
        must((doubt.phase, doubt.billing, doubt.message) == (Phase.IN_DOUBT, Billing.UNDETERMINED, "no answer"), "?")
        must(ledger.give_back(first, now_wall_s=NOON_S) == doubt, "who doubted cannot take it back")
        second = ledger.license(ledger.license_resubmit(doubt, now_wall_s=NOON_S), owner, now_wall_s=NOON_S)
        must(second is not None and second.doubtful_sends == (1,), "the overruled doubt is remembered")
        after = ledger.accept(first, "task-1", now_wall_s=NOON_S)
        must(after.phase is Phase.SUBMITTING, "the later send is still out")
        must(after.doubtful_sends == (), "what came of the doubtful send is known now")
        must([(one.task_id, one.send) for one in ledger.strays()] == [("task-1", 1)], "the id is beside")
        ledger.accept(first, "task-1", now_wall_s=NOON_S)
        must(len(ledger.strays()) == 1, "once")
        kept = ledger.accept(second or first, "task-2", said=Said(status="WAITING"), now_wall_s=NOON_S)
        must((kept.task_id, kept.phase, kept.status) == ("task-2", Phase.QUEUED, "WAITING"), "the later id is inside")
        must(ledger.accept(second or first, "task-2", now_wall_s=NOON_S) == kept, "repeated, it changes nothing")
        must(ledger.by_task(HERE, "task-2") == kept, "it is found by its task")


@_check
def an_id_belongs_to_one_entry(ledger: Ledger) -> None:
    """An id that another entry holds makes a doubt, and cannot be adopted."""
    with ledger.open_owner() as owner:
        one = running(ledger, owner, "one")
        licence = sent(ledger, owner, "two")
        two = ledger.accept(licence, "task-one", now_wall_s=NOON_S)
        must((two.phase, two.task_id) == (Phase.IN_DOUBT, None), "nobody knows what the second send made")
        must(len(ledger.strays()) == 1, "what was said is kept")
        refused(ActRefused, lambda: ledger.adopt(two, "task-one", now_wall_s=NOON_S))
        found = ledger.adopt(two, "task-two", now_wall_s=NOON_S)
        must((found.phase, found.task_id) == (Phase.UNRECOGNIZED, "task-two"), "a task that was found settles it")
        must(ledger.get(one.entry_id) == one, "the first is as it was")
        refused(ActRefused, lambda: ledger.adopt(two, "task-three", now_wall_s=NOON_S))
        licence = sent(ledger, owner, "three")
        doubt = ledger.accept(licence, "task-one", now_wall_s=NOON_S)
        ledger.license_resubmit(doubt, now_wall_s=NOON_S)
        again = ledger.accept(licence, "task-one", now_wall_s=NOON_S)
        must(again.doubtful_sends == (1,), "said again, it does not tell what the overruled send made")


@_check
def each_account_is_its_own(ledger: Ledger) -> None:
    """A key, a task id and a limit mean something within one origin, one dialect and one account only."""
    one_task = Guards(max_open_tasks=1, max_tasks_per_day=1, max_spend=(SpendLimit(PRICE.amount, PRICE.currency),))
    with ledger.open_owner() as owner:
        for place in (HERE, ELSEWHERE, replace(HERE, dialect="another"), replace(HERE, account="another")):
            entry = ledger.begin(place, "key", "digest", guards=one_task, charge=PRICE, now_wall_s=NOON_S)
            licence = ledger.license(entry, owner, guards=one_task, now_wall_s=NOON_S)
            must(licence is not None, "each has its own licence")
            ledger.abandon(ledger.doubt(licence or entry, "?", now_wall_s=NOON_S), now_wall_s=NOON_S)
            ledger.accept(licence or entry, "task-late", now_wall_s=NOON_S)
            must([one.task_id for one in ledger.strays(place)] == ["task-late"], "each has its own strays")
            other = ledger.license(ledger.begin(place, "more", "digest", now_wall_s=NOON_S), owner, now_wall_s=NOON_S)
            must(ledger.by_task(place, "task-1") is None, "nobody here holds it yet")
            kept = ledger.accept(other or entry, "task-1", now_wall_s=NOON_S)
            must(ledger.by_task(place, "task-1") == kept == ledger.find(place, "more"), "each has its own ids")
            must(kept.namespace == place, "and knows whose it is")
    refused(ActRefused, lambda: ledger.get(1_000_000))


@_check
def what_came_beside_is_kept_once(ledger: Ledger) -> None:
    """Each id that came late is one stray, and each result of a send is one, however often they are told."""
    with ledger.open_owner() as owner:
        first, other = sent(ledger, owner, "first"), sent(ledger, owner, "other")
        doubt = ledger.doubt(first, "?", now_wall_s=NOON_S)
        again = ledger.license(ledger.license_resubmit(doubt, now_wall_s=NOON_S), owner, now_wall_s=NOON_S) or first
        for licence in (again, other):
            ledger.abandon(ledger.doubt(licence, "?", now_wall_s=NOON_S), now_wall_s=NOON_S)
        for _ in range(2):
            ledger.accept(first, "task-1", now_wall_s=NOON_S)
            for number, licence in enumerate((first, again, other)):
                ledger.answered(licence, str(number), now_wall_s=NOON_S)
    told = [(one.entry_id, one.send, one.task_id, one.result) for one in ledger.strays()]
    here, there = first.entry_id, other.entry_id
    kept = [(here, 1, "task-1", None), (here, 1, None, "0"), (here, 2, None, "1"), (there, 1, None, "2")]
    must(told == kept, f"one for each: {told}")


@_check
def an_id_that_cannot_be_kept_is_told(ledger: Ledger) -> None:
    """What cannot be written although it was accepted is an error that names the id, and the licence stays used."""
    with ledger.open_owner() as owner:
        licence = sent(ledger, owner)
        error = refused(NotSaved, lambda: ledger.accept(licence, "not an id", now_wall_s=NOON_S))
        must("not an id" in str(error), "the error names the id")
        must(ledger.license(licence, owner, now_wall_s=NOON_S) is None, "the licence is used")


@_check
def a_dead_sender_leaves_a_doubt(ledger: Ledger) -> None:
    """What a dead owner had out is in doubt, what a living one has out is not; a late id settles it."""
    dying, living = ledger.open_owner(), ledger.open_owner()
    lost, held = sent(ledger, dying, "lost"), sent(ledger, living, "held")
    must(ledger.settle_the_dead(now_wall_s=NOON_S) == (), "nobody is dead")
    dying.close()
    must(ledger.settle_the_dead(now_wall_s=NOON_S) == (lost.entry_id,), "the dead one's entry is settled")
    must(ledger.get(lost.entry_id).phase is Phase.IN_DOUBT, "as a doubt")
    must(ledger.get(held.entry_id) == held, "the living one's is left alone")
    must(ledger.license(lost, living, now_wall_s=NOON_S) is None, "a doubt is never licensed by itself")
    late = ledger.accept(lost, "task-1", now_wall_s=NOON_S)
    must((late.phase, late.task_id) == (Phase.QUEUED, "task-1"), "an id that turns up late settles it")
    living.close()
    refused(ResilientPollError, lambda: ledger.license(begun(ledger, "new"), living, now_wall_s=NOON_S))


@_check
def who_seemed_dead_still_knows(ledger: Ledger) -> None:
    """An owner whose lock was lost, but who knows that its send was refused, takes back the doubt that others made."""
    owner = ledger.open_owner()
    licence = sent(ledger, owner)
    owner.close()
    ledger.settle_the_dead(now_wall_s=NOON_S)
    back = ledger.give_back(licence, now_wall_s=NOON_S)
    must((back.phase, back.sends) == (Phase.NEW, 1), "it was surely not accepted")


@_check
def a_refusal_ends_it_and_an_attempt_follows(ledger: Ledger) -> None:
    """After a free end there is another attempt; after one that may be billed only if that is accepted."""
    with ledger.open_owner() as owner:
        entry = sent(ledger, owner)
        refused(ActRefused, lambda: ledger.begin_attempt(entry, now_wall_s=NOON_S))
        denied = ledger.refuse(entry, said=Said(code="bad", message="no"), now_wall_s=NOON_S)
        must((denied.phase, denied.billing, denied.code) == (Phase.REFUSED, Billing.NONE, "bad"), "it is refused")
        second = ledger.begin_attempt(denied, now_wall_s=NOON_S)
        must((second.attempt, second.phase, second.digest) == (2, Phase.NEW, "digest"), "the next attempt")
        must(ledger.begin_attempt(denied, now_wall_s=NOON_S) == second, "written down once")
        must(ledger.find(HERE, "key") == second == begun(ledger), "the key brings the latest")
        licence = ledger.license(second, owner, now_wall_s=NOON_S) or second
        task = ledger.accept(licence, "task-1", now_wall_s=NOON_S)
        paid = ended(ledger, task, Phase.SUCCEEDED, Billing.BILLED)
        refused(ActRefused, lambda: ledger.begin_attempt(paid, now_wall_s=NOON_S))
        third = ledger.begin_attempt(paid, accept_second_charge=True, now_wall_s=NOON_S)
        must(third.attempt == 3, "unless both charges are accepted")


@_check
def a_result_at_once_is_kept(ledger: Ledger) -> None:
    """A result without a task ends the entry; of a send whose entry moved on it is kept beside it."""
    with ledger.open_owner() as owner:
        licence = sent(ledger, owner)
        paid = ledger.answered(licence, '{"url": "x"}', charge=PRICE, now_wall_s=NOON_S)
        must((paid.phase, paid.billing, paid.charge) == (Phase.SUCCEEDED, Billing.BILLED, PRICE), "it is paid")
        must(ledger.get(paid.entry_id).result == '{"url": "x"}', "the result is kept")
        must(ledger.answered(licence, "{}", now_wall_s=NOON_S) == paid, "once")
        other = sent(ledger, owner, "other")
        ledger.abandon(ledger.doubt(other, "?", now_wall_s=NOON_S), now_wall_s=NOON_S)
        ledger.answered(other, '{"url": "y"}', now_wall_s=NOON_S)
        must([one.result for one in ledger.strays()] == ['{"url": "y"}'], "a late result is beside")


@_check
def ends_absorb(ledger: Ledger) -> None:
    """After an end the phase stays, the bill may only rise, and EXPIRED is reopened by an answer."""
    with ledger.open_owner() as owner:
        failed = ended(ledger, running(ledger, owner, "a"), Phase.FAILED, Billing.NONE)
        must(failed.ended_wall_s is not None, "an end has a time")
        stale = ledger.observe(failed, phase=Phase.RUNNING, billing=Billing.ON_SUCCESS, now_wall_s=NOON_S)
        must(stale == failed, "an old look changes nothing")
        dearer = ended(ledger, failed, Phase.SUCCEEDED, Billing.BILLED)
        must((dearer.phase, dearer.billing) == (Phase.FAILED, Billing.BILLED), "the bill rises")
        must(ended(ledger, dearer, Phase.FAILED, Billing.NONE).billing is Billing.BILLED, "and never falls")
        expired = ended(ledger, running(ledger, owner, "b"), Phase.EXPIRED, Billing.UNDETERMINED)
        expired = ledger.delivered(expired, now_wall_s=NOON_S)
        opened = ended(ledger, expired, Phase.RUNNING, Billing.ON_SUCCESS)
        must((opened.phase, opened.ended_wall_s) == (Phase.RUNNING, None), "an answer reopens it")
        must(opened.delivered_wall_s is None, "and its end will be told again")
        back = ended(ledger, opened, Phase.QUEUED, Billing.NOT_YET)
        must((back.phase, back.billing) == (Phase.QUEUED, Billing.ON_SUCCESS), "what ran is not cheaper")
        stranger = replace(back, task_id="another")
        refused(ActRefused, lambda: ended(ledger, stranger, Phase.FAILED, Billing.NONE))


@_check
def leases_choose_who_polls(ledger: Ledger) -> None:
    """A task is polled by one worker for a time; then another may; who ended is polled by nobody."""
    with ledger.open_owner() as owner:
        entries = [running(ledger, owner, key) for key in "abc"]
    mine = ledger.claim(HERE, "me", for_s=60, limit=2, now_wall_s=NOON_S)
    must([entry.task_id for entry in mine] == ["task-a", "task-b"], "those that waited longest")
    theirs = ledger.claim(None, "you", for_s=60, now_wall_s=NOON_S)
    none = ledger.claim(ELSEWHERE, "them", for_s=60, now_wall_s=NOON_S)
    must([entry.task_id for entry in theirs] == ["task-c"] and len(none) == 0, "what is left, and only here")
    must(ledger.renew(mine.entries[0], "me", for_s=60, now_wall_s=NOON_S + 50), "it can be lengthened")
    must(not ledger.renew(mine.entries[0], "you", for_s=60, now_wall_s=NOON_S + 50), "by its holder")
    ledger.release(mine.entries[1], "you", now_wall_s=NOON_S)
    late = ledger.claim(HERE, "you", for_s=60, now_wall_s=NOON_S + 70)
    must({entry.task_id for entry in late} == {"task-b", "task-c"}, "what is over goes to the next")
    ledger.release(mine.entries[0], "me", now_wall_s=NOON_S + 71)
    ended(ledger, entries[1], Phase.FAILED, Billing.NONE)
    last = ledger.claim(HERE, "them", for_s=60, now_wall_s=NOON_S + 72)
    must([entry.task_id for entry in last] == ["task-a"], "what was let go")
    ledger.delivered(entries[1], now_wall_s=NOON_S + 73)
    must(not ledger.renew(entries[1], "you", for_s=60, now_wall_s=NOON_S + 73), "an end that was told is nobody's")
    past = ledger.claim(HERE, "back", for_s=60, now_wall_s=NOON_S - 10**6)
    must(len(past) == 2, "a clock that was set back locks nobody out")


@_check
def leases_choose_who_hands_over(ledger: Ledger) -> None:
    """Whoever polled a task hands its end over; another may when the lease is over, and nobody once it was told."""
    with ledger.open_owner() as owner:
        mine, free = (running(ledger, owner, key) for key in "ab")
    ledger.claim(HERE, "me", for_s=60, limit=1, now_wall_s=NOON_S)
    for entry in (mine, free):
        ended(ledger, entry, Phase.SUCCEEDED, Billing.BILLED, '{"url": "x"}')
    theirs = ledger.claim_ends(None, "you", for_s=60, now_wall_s=NOON_S + 10)
    must([(one.task_id, one.result) for one in theirs] == [("task-b", '{"url": "x"}')], "what nobody polled, whole")
    must(len(ledger.claim_ends(ELSEWHERE, "you", for_s=60, now_wall_s=NOON_S + 10)) == 0, "and only here")
    must(ledger.renew(mine, "me", for_s=60, now_wall_s=NOON_S + 50), "a slow handler keeps its end")
    must(len(ledger.claim_ends(HERE, "them", for_s=60, now_wall_s=NOON_S + 65)) == 0, "nothing is free")
    late = ledger.claim_ends(HERE, "them", for_s=60, limit=1, now_wall_s=NOON_S + 115)
    must([one.task_id for one in late] == ["task-a"], "when both leases are over, the oldest comes first")
    must(not ledger.renew(mine, "me", for_s=60, now_wall_s=NOON_S + 116), "who was late has lost it")
    ledger.release(late.entries[0], "them", now_wall_s=NOON_S + 117)
    told = ledger.delivered(free, now_wall_s=NOON_S + 117)
    must((told.worker, told.worker_until_wall_s) == (None, 0.0), "an end that was told is nobody's")
    last = ledger.claim_ends(HERE, "me", for_s=60, now_wall_s=NOON_S + 118)
    must([one.task_id for one in last] == ["task-a"], "what was told is over, what was let go is free")


@_check
def ends_are_handed_over(ledger: Ledger) -> None:
    """An end is undelivered until somebody says otherwise, with its result; a file is remembered."""
    with ledger.open_owner() as owner:
        entry = running(ledger, owner, "a")
        must(len(ledger.undelivered()) == 0, "it goes on")
        ended(ledger, entry, Phase.SUCCEEDED, Billing.BILLED, '{"url": "x"}')
    must([one.result for one in ledger.undelivered(HERE)] == ['{"url": "x"}'], "its end is to be told")
    must([one.result for one in ledger.entries()] == [None], "lists leave results out")
    told = ledger.delivered(entry, now_wall_s=NOON_S)
    must((told.delivered_wall_s, len(ledger.undelivered())) == (NOON_S, 0), "told")
    file = SavedFile("a.bin", 3, "0" * 64)
    ledger.saved(entry, replace(file, size_bytes=9), now_wall_s=NOON_S)
    kept = ledger.saved(entry, file, now_wall_s=NOON_S)
    must(kept.files == (file,), "one file for a path")
    must(not kept.is_paid_and_not_saved, "it is on disk")


@_check
def lists_are_filtered_and_paged(ledger: Ledger) -> None:
    """Entries come newest first, by phase, key and time, a page at a time; counts and settings are kept."""
    with ledger.open_owner() as owner:
        for key in "abcd":
            running(ledger, owner, key)
    ledger.begin(ELSEWHERE, "e", "digest", now_wall_s=NOON_S + 60)
    page = ledger.entries(namespace=HERE, limit=3)
    rest = ledger.entries(namespace=HERE, before_entry_id=page.entries[-1].entry_id)
    must([[entry.key for entry in one] for one in (page, rest)] == [["d", "c", "b"], ["a"]], "newest first, in pages")
    must([entry.key for entry in ledger.entries(phases=[Phase.NEW])] == ["e"], "by phase")
    must([entry.key for entry in ledger.entries(key="b")] == ["b"] and not ledger.entries(phases=[]).entries, "by key")
    times = len(ledger.entries(since_wall_s=NOON_S + 1)), len(ledger.entries(until_wall_s=NOON_S + 1))
    must(times == (1, 4), "by time")
    must(dict(ledger.counts()) == {Phase.NEW: 1, Phase.QUEUED: 4}, "counted by phase")
    ledger.set_setting("sole_submitter", "no")
    ledger.set_setting("sole_submitter", "yes")
    must((ledger.setting("sole_submitter"), ledger.setting("other")) == ("yes", None), "the last one counts")


CHECKS += MONEY_CHECKS
