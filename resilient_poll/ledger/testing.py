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
from resilient_poll.ledger.entry import Charge, Entry, Namespace, SavedFile
from resilient_poll.ledger.errors import ActRefused, EntryInvalid, GuardRefused, IdempotencyConflict, NotSaved
from resilient_poll.ledger.guards import Guards, SpendLimit
from resilient_poll.ledger.moves import Said
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.ledger.rows import Owner
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["CHECKS", "Check"]

Check = Callable[[Ledger], None]
HERE = Namespace("https://api.test/v1", "generic", "main")
ELSEWHERE = Namespace("http://127.0.0.1:8080/v1", "generic", "main")
NOON_S = 1_700_000_000.0
PRICE = Charge(Decimal("0.50"), "USD", "second", Decimal(5))
CHECKS: tuple[Check, ...] = ()


def _check(function: Check) -> Check:
    global CHECKS  # noqa: PLW0603  # filled while the module is read, never after
    CHECKS += (function,)
    return function


def _must(condition: object, said: str) -> None:
    if not condition:
        raise AssertionError(said)


def _refused(kind: type[ResilientPollError], act: Callable[[], object]) -> ResilientPollError:
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"it should raise {kind.__name__}")


def _begun(ledger: Ledger, key: str = "key", **more: Charge | Guards | None) -> Entry:
    return ledger.begin(HERE, key, "digest", {"model": "m"}, now_wall_s=NOON_S, **more)  # type: ignore[arg-type]  # a charge or guards


def _sent(ledger: Ledger, owner: Owner, key: str = "key", **more: Charge | None) -> Entry:
    licence = ledger.license(_begun(ledger, key, **more), owner, now_wall_s=NOON_S)
    _must(licence is not None, "a new entry can be licensed")
    return licence or _begun(ledger, key)


def _running(ledger: Ledger, owner: Owner, key: str, **more: Charge | None) -> Entry:
    return ledger.accept(_sent(ledger, owner, key, **more), f"task-{key}", now_wall_s=NOON_S)


def _ended(ledger: Ledger, entry: Entry, phase: Phase, billing: Billing, result: str | None = None) -> Entry:
    return ledger.observe(entry, phase=phase, billing=billing, result=result, now_wall_s=NOON_S + 9)


@_check
def an_intent_is_written_down_once(ledger: Ledger) -> None:
    """The same key brings the same entry; another origin another one; another request a conflict."""
    first = _begun(ledger, charge=PRICE)
    _must((first.phase, first.attempt, first.sends, first.charge) == (Phase.NEW, 1, 0, PRICE), "it begins as NEW")
    _must(ledger.get(first.entry_id) == first == _begun(ledger), "a key is one entry, kept as it was returned")
    other = ledger.begin(ELSEWHERE, "key", "another", now_wall_s=NOON_S)
    _must(other.entry_id > first.entry_id, "another origin is another namespace, and newer is larger")
    _refused(IdempotencyConflict, lambda: ledger.begin(HERE, "key", "another", now_wall_s=NOON_S))


@_check
def what_cannot_be_kept_is_refused(ledger: Ledger) -> None:
    """What is too long, of the wrong type or cannot be stored is refused, and nothing is written."""
    for key in ("", "x" * 10_000, "a\0b", "\ud800", None):
        _refused(EntryInvalid, lambda key=key: ledger.begin(HERE, key, "digest", now_wall_s=NOON_S))  # type: ignore[misc]  # on purpose
    _refused(EntryInvalid, lambda: ledger.begin(HERE, "key", "digest", {"model": "x" * 5000}, now_wall_s=NOON_S))
    _refused(EntryInvalid, lambda: _begun(ledger, charge=Charge(Decimal(-1), "USD")))
    _must(len(ledger.entries()) == 0, "nothing was written")
    _must(ledger.find(HERE, "a\0b") is None, "what cannot be kept is not found")


@_check
def what_the_world_said_is_made_to_fit(ledger: Ledger) -> None:
    """A message of any length and with any characters never keeps an id from being written."""
    with ledger.open_owner() as owner:
        said = Said(message="\0\ud800" + "x" * 100_000, code="c" * 9999, request_id="r" * 9999)
        kept = ledger.accept(_sent(ledger, owner), "task-1", said=said, now_wall_s=NOON_S)
    _must(kept.task_id == "task-1" and kept == ledger.get(kept.entry_id), "the id is kept")


@_check
def a_licence_is_given_once(ledger: Ledger) -> None:
    """Of many who want to send one entry at once, one may."""
    entry = _begun(ledger)
    owners = [ledger.open_owner() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        given = list(threads.map(lambda owner: ledger.license(entry, owner, now_wall_s=NOON_S), owners))
    licences = [licence for licence in given if licence is not None]
    _must(len(licences) == 1, f"one licence, not {len(licences)}")
    _must((licences[0].phase, licences[0].sends) == (Phase.SUBMITTING, 1), "it is being sent")
    _must(licences[0].billing is Billing.UNDETERMINED, "what is being sent may be owed")
    for owner in owners:
        owner.close()


@_check
def a_licence_that_was_not_used_can_be_given_back(ledger: Ledger) -> None:
    """It can be given back once, by its holder only, and is given again when its time has come."""
    with ledger.open_owner() as owner:
        licence = _sent(ledger, owner)
        later_s = NOON_S + 60
        back = ledger.give_back(licence, not_before_wall_s=later_s, said=Said(code="busy"), now_wall_s=NOON_S)
        _must((back.phase, back.not_before_wall_s, back.code) == (Phase.NEW, later_s, "busy"), "it is new again")
        _must(back.billing is Billing.NONE, "nothing is owed for it")
        _must(ledger.license(back, owner, now_wall_s=NOON_S + 59) is None, "not before its time")
        again = ledger.license(back, owner, now_wall_s=later_s)
        _must(again is not None and again.sends == 2, "then it is given again")
        _must(ledger.give_back(licence, now_wall_s=later_s) == again, "an old licence gives nothing back")
        _must(ledger.refuse(licence, now_wall_s=later_s) == again, "nor does it refuse")
        _must(ledger.doubt(licence, "?", now_wall_s=later_s) == again, "nor doubt")
        far = ledger.give_back(again or licence, not_before_wall_s=9e14, now_wall_s=later_s)
        _must((far.not_before_wall_s or 0) < later_s + 8 * 86400, "a date of another clock is cut")


@_check
def an_id_is_never_lost(ledger: Ledger) -> None:
    """An id goes into its entry, or beside it if the entry moved on; a repeated one changes nothing."""
    with ledger.open_owner() as owner:
        first = _sent(ledger, owner)
        doubt = ledger.doubt(first, "no answer", now_wall_s=NOON_S)
        _must((doubt.phase, doubt.billing, doubt.message) == (Phase.IN_DOUBT, Billing.UNDETERMINED, "no answer"), "?")
        _must(ledger.give_back(first, now_wall_s=NOON_S) == doubt, "who doubted cannot take it back")
        second = ledger.license(ledger.license_resubmit(doubt, now_wall_s=NOON_S), owner, now_wall_s=NOON_S)
        _must(second is not None and second.doubtful_sends == (1,), "the overruled doubt is remembered")
        after = ledger.accept(first, "task-1", now_wall_s=NOON_S)
        _must(after.phase is Phase.SUBMITTING, "the later send is still out")
        _must(after.doubtful_sends == (), "what came of the doubtful send is known now")
        _must([(one.task_id, one.send) for one in ledger.strays()] == [("task-1", 1)], "the id is beside")
        ledger.accept(first, "task-1", now_wall_s=NOON_S)
        _must(len(ledger.strays()) == 1, "once")
        kept = ledger.accept(second or first, "task-2", said=Said(status="WAITING"), now_wall_s=NOON_S)
        _must((kept.task_id, kept.phase, kept.status) == ("task-2", Phase.QUEUED, "WAITING"), "the later id is inside")
        _must(ledger.accept(second or first, "task-2", now_wall_s=NOON_S) == kept, "repeated, it changes nothing")
        _must(ledger.by_task(HERE, "task-2") == kept, "it is found by its task")


@_check
def an_id_belongs_to_one_entry(ledger: Ledger) -> None:
    """An id that another entry holds makes a doubt, and cannot be adopted."""
    with ledger.open_owner() as owner:
        one = _running(ledger, owner, "one")
        licence = _sent(ledger, owner, "two")
        two = ledger.accept(licence, "task-one", now_wall_s=NOON_S)
        _must((two.phase, two.task_id) == (Phase.IN_DOUBT, None), "nobody knows what the second send made")
        _must(len(ledger.strays()) == 1, "what was said is kept")
        _refused(ActRefused, lambda: ledger.adopt(two, "task-one", now_wall_s=NOON_S))
        found = ledger.adopt(two, "task-two", now_wall_s=NOON_S)
        _must((found.phase, found.task_id) == (Phase.UNRECOGNIZED, "task-two"), "a task that was found settles it")
        _must(ledger.get(one.entry_id) == one, "the first is as it was")
        _refused(ActRefused, lambda: ledger.adopt(two, "task-three", now_wall_s=NOON_S))


@_check
def an_id_that_cannot_be_kept_is_told(ledger: Ledger) -> None:
    """What cannot be written although it was accepted is an error that names the id, and the licence stays used."""
    with ledger.open_owner() as owner:
        licence = _sent(ledger, owner)
        error = _refused(NotSaved, lambda: ledger.accept(licence, "not an id", now_wall_s=NOON_S))
        _must("not an id" in str(error), "the error names the id")
        _must(ledger.license(licence, owner, now_wall_s=NOON_S) is None, "the licence is used")


@_check
def a_dead_sender_leaves_a_doubt(ledger: Ledger) -> None:
    """What a dead owner had out is in doubt, what a living one has out is not; a late id settles it."""
    dying, living = ledger.open_owner(), ledger.open_owner()
    lost, held = _sent(ledger, dying, "lost"), _sent(ledger, living, "held")
    _must(ledger.settle_the_dead(now_wall_s=NOON_S) == (), "nobody is dead")
    dying.close()
    _must(ledger.settle_the_dead(now_wall_s=NOON_S) == (lost.entry_id,), "the dead one's entry is settled")
    _must(ledger.get(lost.entry_id).phase is Phase.IN_DOUBT, "as a doubt")
    _must(ledger.get(held.entry_id) == held, "the living one's is left alone")
    _must(ledger.license(lost, living, now_wall_s=NOON_S) is None, "a doubt is never licensed by itself")
    late = ledger.accept(lost, "task-1", now_wall_s=NOON_S)
    _must((late.phase, late.task_id) == (Phase.QUEUED, "task-1"), "an id that turns up late settles it")
    living.close()
    _refused(ResilientPollError, lambda: ledger.license(_begun(ledger, "new"), living, now_wall_s=NOON_S))


@_check
def who_seemed_dead_still_knows(ledger: Ledger) -> None:
    """An owner whose lock was lost, but who knows that its send was refused, takes back the doubt that others made."""
    owner = ledger.open_owner()
    licence = _sent(ledger, owner)
    owner.close()
    ledger.settle_the_dead(now_wall_s=NOON_S)
    back = ledger.give_back(licence, now_wall_s=NOON_S)
    _must((back.phase, back.sends) == (Phase.NEW, 1), "it was surely not accepted")


@_check
def a_refusal_ends_it_and_an_attempt_follows(ledger: Ledger) -> None:
    """After a free end there is another attempt; after one that may be billed only if that is accepted."""
    with ledger.open_owner() as owner:
        entry = _sent(ledger, owner)
        _refused(ActRefused, lambda: ledger.begin_attempt(entry, now_wall_s=NOON_S))
        refused = ledger.refuse(entry, said=Said(code="bad", message="no"), now_wall_s=NOON_S)
        _must((refused.phase, refused.billing, refused.code) == (Phase.REFUSED, Billing.NONE, "bad"), "it is refused")
        second = ledger.begin_attempt(refused, now_wall_s=NOON_S)
        _must((second.attempt, second.phase, second.digest) == (2, Phase.NEW, "digest"), "the next attempt")
        _must(ledger.begin_attempt(refused, now_wall_s=NOON_S) == second, "written down once")
        _must(ledger.find(HERE, "key") == second == _begun(ledger), "the key brings the latest")
        licence = ledger.license(second, owner, now_wall_s=NOON_S) or second
        task = ledger.accept(licence, "task-1", now_wall_s=NOON_S)
        paid = _ended(ledger, task, Phase.SUCCEEDED, Billing.BILLED)
        _refused(ActRefused, lambda: ledger.begin_attempt(paid, now_wall_s=NOON_S))
        third = ledger.begin_attempt(paid, accept_second_charge=True, now_wall_s=NOON_S)
        _must(third.attempt == 3, "unless both charges are accepted")


@_check
def a_result_at_once_is_kept(ledger: Ledger) -> None:
    """A result without a task ends the entry; of a send whose entry moved on it is kept beside it."""
    with ledger.open_owner() as owner:
        licence = _sent(ledger, owner)
        paid = ledger.answered(licence, '{"url": "x"}', charge=PRICE, now_wall_s=NOON_S)
        _must((paid.phase, paid.billing, paid.charge) == (Phase.SUCCEEDED, Billing.BILLED, PRICE), "it is paid")
        _must(ledger.get(paid.entry_id).result == '{"url": "x"}', "the result is kept")
        _must(ledger.answered(licence, "{}", now_wall_s=NOON_S) == paid, "once")
        other = _sent(ledger, owner, "other")
        ledger.abandon(ledger.doubt(other, "?", now_wall_s=NOON_S), now_wall_s=NOON_S)
        ledger.answered(other, '{"url": "y"}', now_wall_s=NOON_S)
        _must([one.result for one in ledger.strays()] == ['{"url": "y"}'], "a late result is beside")


@_check
def ends_absorb(ledger: Ledger) -> None:
    """After an end the phase stays, the bill may only rise, and EXPIRED is reopened by an answer."""
    with ledger.open_owner() as owner:
        failed = _ended(ledger, _running(ledger, owner, "a"), Phase.FAILED, Billing.NONE)
        _must(failed.ended_wall_s is not None, "an end has a time")
        stale = ledger.observe(failed, phase=Phase.RUNNING, billing=Billing.ON_SUCCESS, now_wall_s=NOON_S)
        _must(stale == failed, "an old look changes nothing")
        dearer = _ended(ledger, failed, Phase.SUCCEEDED, Billing.BILLED)
        _must((dearer.phase, dearer.billing) == (Phase.FAILED, Billing.BILLED), "the bill rises")
        _must(_ended(ledger, dearer, Phase.FAILED, Billing.NONE).billing is Billing.BILLED, "and never falls")
        expired = _ended(ledger, _running(ledger, owner, "b"), Phase.EXPIRED, Billing.UNDETERMINED)
        expired = ledger.delivered(expired, now_wall_s=NOON_S)
        opened = _ended(ledger, expired, Phase.RUNNING, Billing.ON_SUCCESS)
        _must((opened.phase, opened.ended_wall_s) == (Phase.RUNNING, None), "an answer reopens it")
        _must(opened.delivered_wall_s is None, "and its end will be told again")
        back = _ended(ledger, opened, Phase.QUEUED, Billing.NOT_YET)
        _must((back.phase, back.billing) == (Phase.QUEUED, Billing.ON_SUCCESS), "what ran is not cheaper")
        stranger = replace(back, task_id="another")
        _refused(ActRefused, lambda: _ended(ledger, stranger, Phase.FAILED, Billing.NONE))


@_check
def leases_choose_who_polls(ledger: Ledger) -> None:
    """A task is polled by one worker for a time; then another may; who ended is polled by nobody."""
    with ledger.open_owner() as owner:
        entries = [_running(ledger, owner, key) for key in "abc"]
    mine = ledger.claim(HERE, "me", for_s=60, limit=2, now_wall_s=NOON_S)
    _must([entry.task_id for entry in mine] == ["task-a", "task-b"], "those that waited longest")
    theirs = ledger.claim(None, "you", for_s=60, now_wall_s=NOON_S)
    none = ledger.claim(ELSEWHERE, "them", for_s=60, now_wall_s=NOON_S)
    _must([entry.task_id for entry in theirs] == ["task-c"] and len(none) == 0, "what is left, and only here")
    _must(ledger.renew(mine.entries[0], "me", for_s=60, now_wall_s=NOON_S + 50), "it can be lengthened")
    _must(not ledger.renew(mine.entries[0], "you", for_s=60, now_wall_s=NOON_S + 50), "by its holder")
    ledger.release(mine.entries[1], "you", now_wall_s=NOON_S)
    late = ledger.claim(HERE, "you", for_s=60, now_wall_s=NOON_S + 70)
    _must({entry.task_id for entry in late} == {"task-b", "task-c"}, "what is over goes to the next")
    ledger.release(mine.entries[0], "me", now_wall_s=NOON_S + 71)
    _ended(ledger, entries[1], Phase.FAILED, Billing.NONE)
    last = ledger.claim(HERE, "them", for_s=60, now_wall_s=NOON_S + 72)
    _must([entry.task_id for entry in last] == ["task-a"], "what was let go")
    _must(not ledger.renew(entries[1], "you", for_s=60, now_wall_s=NOON_S + 73), "an end is polled by nobody")
    past = ledger.claim(HERE, "back", for_s=60, now_wall_s=NOON_S - 10**6)
    _must(len(past) == 2, "a clock that was set back locks nobody out")


@_check
def guards_count_everybody(ledger: Ledger) -> None:
    """Limits count what is open, sent today, or may be owed; a price that is not known fits into no limit."""
    open_two, day_three = Guards(max_open_tasks=2), Guards(max_tasks_per_day=3)
    with ledger.open_owner() as owner:
        _running(ledger, owner, "a")
        ledger.doubt(_sent(ledger, owner, "b"), "?", now_wall_s=NOON_S)
        error = _refused(GuardRefused, lambda: _begun(ledger, "c", guards=open_two))
        _must("max_open_tasks: limit 2, used 2" in str(error), "the error says the figures")
        _must(ledger.find(HERE, "c") is None, "nothing was written")
        _must(_begun(ledger, "a", guards=open_two).task_id == "task-a", "what is there already is returned")
        ledger.begin(ELSEWHERE, "c", "digest", guards=open_two, now_wall_s=NOON_S)
        _begun(ledger, "c", guards=day_three)
        _refused(GuardRefused, lambda: _begun(ledger, "d", guards=day_three))
        tomorrow_s = NOON_S + 86400 + 1
        late = ledger.begin(HERE, "d", "digest", guards=day_three, now_wall_s=tomorrow_s)
        _refused(GuardRefused, lambda: ledger.license(late, owner, guards=open_two, now_wall_s=tomorrow_s))
        _must(ledger.get(late.entry_id).phase is Phase.NEW, "a licence that is refused leaves it new")


@_check
def spending_is_limited(ledger: Ledger) -> None:
    """What is billed, may yet be billed or is in doubt counts as spent; what is free does not."""
    one_dollar = Guards(max_spend=(SpendLimit(Decimal("1.00"), "USD"),))
    with ledger.open_owner() as owner:
        _ended(ledger, _running(ledger, owner, "free", charge=PRICE), Phase.FAILED, Billing.NONE)
        _ended(ledger, _running(ledger, owner, "paid", charge=PRICE), Phase.SUCCEEDED, Billing.BILLED)
        ledger.doubt(_sent(ledger, owner, "doubt", charge=PRICE), "?", now_wall_s=NOON_S)
    error = _refused(GuardRefused, lambda: _begun(ledger, "more", charge=PRICE, guards=one_dollar))
    _must("used 1.00 USD, asked 0.50 USD" in str(error), "the error says the figures")
    _refused(GuardRefused, lambda: _begun(ledger, "more", guards=one_dollar))
    _refused(GuardRefused, lambda: _begun(ledger, "more", charge=replace(PRICE, currency="EUR"), guards=one_dollar))
    bill = ledger.bill(HERE).rows
    _must(len(bill) == 1 and bill[0].day == "2023-11-14" and bill[0].model == "m", "one model, one day")
    _must((bill[0].billed, bill[0].in_doubt) == (Decimal("0.50"), Decimal("0.50")), "as exact as it is known")
    _must(ledger.bill(ELSEWHERE).rows == () == ledger.bill(HERE, since_wall_s=NOON_S + 1).rows, "and nothing else")


@_check
def ends_are_handed_over(ledger: Ledger) -> None:
    """An end is undelivered until somebody says otherwise, with its result; a file is remembered."""
    with ledger.open_owner() as owner:
        entry = _running(ledger, owner, "a")
        _must(len(ledger.undelivered()) == 0, "it goes on")
        _ended(ledger, entry, Phase.SUCCEEDED, Billing.BILLED, '{"url": "x"}')
    _must([one.result for one in ledger.undelivered(HERE)] == ['{"url": "x"}'], "its end is to be told")
    _must([one.result for one in ledger.entries()] == [None], "lists leave results out")
    told = ledger.delivered(entry, now_wall_s=NOON_S)
    _must((told.delivered_wall_s, len(ledger.undelivered())) == (NOON_S, 0), "told")
    file = SavedFile("a.bin", 3, "0" * 64)
    ledger.saved(entry, replace(file, size_bytes=9), now_wall_s=NOON_S)
    kept = ledger.saved(entry, file, now_wall_s=NOON_S)
    _must(kept.files == (file,), "one file for a path")
    _must(not kept.is_paid_and_not_saved, "it is on disk")


@_check
def what_may_be_owed_is_not_cleared_away(ledger: Ledger) -> None:
    """Archiving takes what is over and handed over; a vacuum takes what was archived; the rest is counted and kept."""
    with ledger.open_owner() as owner:
        _running(ledger, owner, "open")
        ledger.doubt(_sent(ledger, owner, "doubt"), "?", now_wall_s=NOON_S)
        paid = _ended(ledger, _running(ledger, owner, "paid"), Phase.SUCCEEDED, Billing.BILLED, "{}")
        ledger.delivered(paid, now_wall_s=NOON_S)
        _ended(ledger, _running(ledger, owner, "untold"), Phase.FAILED, Billing.NONE)
        over = _ended(ledger, _running(ledger, owner, "over"), Phase.FAILED, Billing.NONE, "{}")
        ledger.delivered(over, now_wall_s=NOON_S)
        ledger.accept(_sent(ledger, owner, "twice"), "task-over", now_wall_s=NOON_S)
        ledger.abandon(ledger.entries(key="twice").entries[0], now_wall_s=NOON_S)
    late_s = NOON_S + 10**6
    done = ledger.archive(late_s, now_wall_s=late_s)
    kept = {"unfinished": 1, "in doubt": 1, "not downloaded": 1, "not delivered": 1}
    _must((done.count, dict(done.kept)) == (2, kept), f"two go, four stay: {done}")
    light = ledger.get(over.entry_id)
    _must((light.result, light.task_id) == (None, "task-over"), "the light part stays")
    _must(_begun(ledger, "over") == light, "its key still stands for it")
    _must(len(ledger.entries()) == 4 and len(ledger.entries(with_archived=True)) == 6, "lists leave it out")
    gone = ledger.vacuum(late_s + 1)
    _must((gone.count, dict(gone.kept)) == (1, {"a stray": 1}), "then it can go, but what has a stray")
    ledger.dismiss_stray(ledger.strays()[0])
    _must(ledger.strays() == () and ledger.vacuum(late_s + 1).count == 1, "until somebody looked at it")
    _must(ledger.find(HERE, "over") is None, "and is unknown")
    _must(ledger.archive(late_s, including_not_downloaded=True, now_wall_s=late_s).count == 1, "the paid one, if told")


@_check
def lists_are_filtered_and_paged(ledger: Ledger) -> None:
    """Entries come newest first, by phase, key and time, a page at a time; counts and settings are kept."""
    with ledger.open_owner() as owner:
        for key in "abcd":
            _running(ledger, owner, key)
    ledger.begin(ELSEWHERE, "e", "digest", now_wall_s=NOON_S + 60)
    page = ledger.entries(namespace=HERE, limit=3)
    rest = ledger.entries(namespace=HERE, before_entry_id=page.entries[-1].entry_id)
    _must([[entry.key for entry in one] for one in (page, rest)] == [["d", "c", "b"], ["a"]], "newest first, in pages")
    _must([entry.key for entry in ledger.entries(phases=[Phase.NEW])] == ["e"], "by phase")
    _must([entry.key for entry in ledger.entries(key="b")] == ["b"] and not ledger.entries(phases=[]).entries, "by key")
    times = len(ledger.entries(since_wall_s=NOON_S + 1)), len(ledger.entries(until_wall_s=NOON_S + 1))
    _must(times == (1, 4), "by time")
    _must(dict(ledger.counts()) == {Phase.NEW: 1, Phase.QUEUED: 4}, "counted by phase")
    ledger.set_setting("sole_submitter", "no")
    ledger.set_setting("sole_submitter", "yes")
    _must((ledger.setting("sole_submitter"), ledger.setting("other")) == ("yes", None), "the last one counts")
