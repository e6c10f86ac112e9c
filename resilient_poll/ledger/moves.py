"""What an entry becomes by an act or by what was heard. Pure: no store, no clock.

Two rules run through all of it. Commands are fenced: only who holds the licence of the very last
send may give it back. Observations merge: what the world said changes the entry that it belongs
to, or is recorded beside it.
"""

from __future__ import annotations

from dataclasses import replace

from resilient_poll.ledger.checks import fitting
from resilient_poll.ledger.entry import Charge, Entry, Said
from resilient_poll.ledger.rows import Row
from resilient_poll.machine.lifecycle import ENDS, MOVES, Billing, Phase
from resilient_poll.machine.task_record import join

__all__ = [
    "LONGEST_LEASE_S",
    "LONGEST_NOT_BEFORE_S",
    "Said",
    "abandoned",
    "accepted",
    "answered",
    "claimed",
    "delivered",
    "doubted",
    "given_back",
    "holds_licence",
    "is_claimable",
    "lease_end",
    "licensed",
    "licensed_anew",
    "observed",
    "refused",
    "settled",
    "takes_what_came",
    "without_doubt_of",
]

LONGEST_NOT_BEFORE_S = 7 * 24 * 3600.0
"""Seconds. What lies further ahead than any hint that is honoured was written by another clock."""
LONGEST_SKEW_S = 60.0
"""Seconds by which the clocks of two machines may differ: a hint that lies further ahead than when it was written,
and by more than that, was written before a clock was set back."""
LONGEST_LEASE_S = 3600.0
"""Seconds. A lease only says who polls, so a lost poller should not keep others away for longer."""

_OUT = frozenset({Phase.SUBMITTING, Phase.IN_DOUBT})


def with_said(entry: Entry, said: Said) -> Entry:
    """Return an entry with what was said, cut to what can be kept."""
    return replace(
        entry,
        status=entry.status if said.status is None else fitting(said.status, "status"),
        request_id=entry.request_id if said.request_id is None else fitting(said.request_id, "request_id"),
        code=entry.code if said.code is None else fitting(said.code, "code"),
        message=entry.message if said.message is None else fitting(said.message, "message"),
        snapshot=entry.snapshot if said.snapshot is None else said.snapshot,
    )


def licensed(entry: Entry, owner: str, now_wall_s: float) -> Entry | None:
    """Return the entry with its licence given; None if there is none to give, or not yet."""
    if entry.phase is not Phase.NEW:
        return None
    if _is_too_soon(entry, now_wall_s):
        return None
    return replace(
        entry,
        phase=Phase.SUBMITTING,
        billing=Billing.UNDETERMINED,
        owner=owner,
        sends=entry.sends + 1,
        not_before_wall_s=None,
        licensed_wall_s=now_wall_s,
    )


def _is_too_soon(entry: Entry, now_wall_s: float) -> bool:
    """Return whether the service asked to be left alone for longer, by a clock that can be believed."""
    if entry.not_before_wall_s is None:
        return False
    ahead_s, asked_s = entry.not_before_wall_s - now_wall_s, entry.not_before_wall_s - entry.updated_wall_s
    return 0.0 < ahead_s <= min(LONGEST_NOT_BEFORE_S, asked_s + LONGEST_SKEW_S)


def holds_licence(entry: Entry, licence: Entry) -> bool:
    """Return whether a licence is the last one of an entry, and still nobody's word but its owner's.

    Also in a doubt that others concluded because the owner seemed dead: who then turns out to be alive
    knows what became of the send. An owner who doubted himself has given that up.

    Args:
        entry: The entry as it stands.
        licence: The entry as it was when the licence was given.
    """
    is_mine = entry.owner is not None and (entry.owner, entry.sends) == (licence.owner, licence.sends)
    return is_mine and entry.phase in _OUT


def given_back(entry: Entry, licence: Entry, not_before_wall_s: float | None, said: Said, now_wall_s: float) -> Entry:
    """Return the entry after a send that surely was not accepted and may be tried again; unchanged if it moved on."""
    if not holds_licence(entry, licence):
        return entry
    until = not_before_wall_s
    if until is not None:
        until = max(0.0, min(until, now_wall_s + LONGEST_NOT_BEFORE_S))
    return replace(with_said(entry, said), phase=Phase.NEW, billing=Billing.NONE, owner=None, not_before_wall_s=until)


def refused(entry: Entry, licence: Entry, said: Said, now_wall_s: float) -> Entry:
    """Return the entry after a send that the service declined for good; unchanged if it moved on."""
    if not holds_licence(entry, licence):
        return entry
    return replace(with_said(entry, said), phase=Phase.REFUSED, billing=Billing.NONE, ended_wall_s=now_wall_s)


def doubted(entry: Entry, licence: Entry, reason: str, said: Said) -> Entry:
    """Return the entry after a send whose answer is lost; unchanged if it moved on."""
    if not holds_licence(entry, licence):
        return entry
    told = with_said(entry, said)
    return replace(told, phase=Phase.IN_DOUBT, owner=None, message=fitting(reason, "message"))


def settled(entry: Entry) -> Entry:
    """Return the entry whose owner died while its send was out."""
    said = "the process that was sending it ended before it heard what became of it"
    return replace(entry, phase=Phase.IN_DOUBT, message=said)


def takes_what_came(entry: Entry, licence: Entry) -> bool:
    """Return whether what came of a send belongs into the entry, and not beside it.

    Not while a later send is out or in doubt: what may come of that one would be forgotten.
    """
    if entry.phase is Phase.NEW:
        return True  # Nothing is out, and nothing needs to be sent any more.
    return entry.phase in _OUT and entry.sends == licence.sends


def accepted(entry: Entry, licence: Entry, task_id: str, phase: Phase, billing: Billing, said: Said) -> Entry:
    """Return the entry with its task's id."""
    return replace(
        with_said(without_doubt_of(entry, licence), said),
        task_id=task_id,
        phase=phase,
        billing=billing,
        not_before_wall_s=None,
        owner=licence.owner,
        code=fitting(said.code, "code"),
        message=fitting(said.message, "message"),
    )


def answered(entry: Entry, licence: Entry, result: str, billing: Billing, said: Said, now_wall_s: float) -> Entry:
    """Return the entry of a send that was answered with the result itself."""
    return replace(
        with_said(without_doubt_of(entry, licence), said),
        phase=Phase.SUCCEEDED,
        billing=billing,
        result=result,
        owner=licence.owner,
        ended_wall_s=now_wall_s,
        not_before_wall_s=None,
        code=fitting(said.code, "code"),
        message=fitting(said.message, "message"),
    )


def without_doubt_of(entry: Entry, licence: Entry) -> Entry:
    """Return the entry after it is known what one of its overruled sends made."""
    return replace(entry, doubtful_sends=tuple(send for send in entry.doubtful_sends if send != licence.sends))


def licensed_anew(entry: Entry) -> Entry:
    """Return the entry in doubt after somebody decided to send it again: the doubtful send stays on the bill."""
    return replace(
        entry,
        phase=Phase.NEW,
        billing=Billing.NONE,
        owner=None,
        not_before_wall_s=None,
        doubtful_sends=(*entry.doubtful_sends, entry.sends),
    )


def abandoned(entry: Entry, reason: str, now_wall_s: float) -> Entry:
    """Return the entry that somebody gave up: what may be owed for it stays."""
    return replace(
        entry,
        phase=Phase.ABANDONED,
        owner=None,
        message=fitting(reason, "message") or entry.message,
        ended_wall_s=now_wall_s,
        delivered_wall_s=now_wall_s,  # Who gives something up knows of it.
    )


def observed(
    entry: Entry,
    phase: Phase,
    billing: Billing,
    said: Said,
    *,
    result: str | None,
    charge: Charge | None,
    now_wall_s: float,
) -> Entry:
    """Return the entry after somebody saw its task.

    Several may be looking, and an old look may be written after a newer one. So an end absorbs, and after
    one the bill may only rise; ``EXPIRED`` is reopened by an answer; an open task that ran once is not
    cheaper because it is said to be queued.

    Args:
        entry: As it stands.
        phase: Where the task was seen.
        billing: What may be owed by that.
        said: What else was said.
        result: The raw answer, if it is worth keeping.
        charge: A better price than the one known, if there is one.
        now_wall_s: When it is written.
    """
    if entry.is_ended and phase not in MOVES[entry.phase]:
        bill = join(entry.billing, billing) if phase in ENDS else entry.billing
        is_poorer = phase is not entry.phase or result is None
        kept = entry if is_poorer else replace(entry, result=result)
        return replace(kept, billing=bill, charge=charge or kept.charge)
    backwards = entry.phase is Phase.RUNNING and phase is Phase.QUEUED
    is_end = phase in ENDS
    return replace(
        with_said(entry, said),
        phase=phase,
        billing=join(entry.billing, billing) if backwards else billing,
        code=fitting(said.code, "code"),
        message=fitting(said.message, "message"),
        result=entry.result if result is None else result,
        charge=charge or entry.charge,
        ended_wall_s=now_wall_s if is_end else None,
        delivered_wall_s=None,  # A reopened end that was handed over is a new end to hand over.
    )


def delivered(entry: Entry, now_wall_s: float) -> Entry:
    """Return the ended entry that somebody was told of; nobody needs to hold it any more."""
    return replace(entry, delivered_wall_s=now_wall_s, worker=None, worker_until_wall_s=0.0)


def lease_end(row: Row) -> float:
    """Return until when a row is leased, 0 where it does not say."""
    until = row["worker_until_wall_s"]
    return float(until) if isinstance(until, int | float) else 0.0


def is_claimable(row: Row, worker: str, now_wall_s: float) -> bool:
    """Return whether a worker may take over a task or the telling of its end: it is free, its own, or time is up."""
    left_s = lease_end(row) - now_wall_s
    return row["worker"] in {None, worker} or not 0.0 < left_s <= LONGEST_LEASE_S


def claimed(entry: Entry, worker: str, for_s: float, now_wall_s: float) -> Entry:
    """Return the entry that a worker polls for some seconds."""
    until = now_wall_s + max(0.0, min(for_s, LONGEST_LEASE_S))
    return replace(entry, worker=worker, worker_until_wall_s=until)
