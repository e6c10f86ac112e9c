"""What an entry becomes by each act: the tables, at their edges."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilient_poll.ledger import moves
from resilient_poll.ledger.checks import row_of
from resilient_poll.ledger.entry import Entry, Said
from resilient_poll.machine.lifecycle import Billing, Phase
from tests.ledger.test_checks import LICENCE, NEW

AT_S = 1_000_000.0
WEEK_S = 604_800.0


@pytest.mark.parametrize("word", ["status", "request_id", "code", "message"])
def test_what_was_not_said_stays(word: str) -> None:
    """What the service says replaces what it said before, and what it does not say stays as it was."""
    before = replace(LICENCE, status="a", request_id="b", code="c", message="d", snapshot="{}")
    assert moves.with_said(before, Said()) == before
    assert moves.with_said(before, Said(**{word: "new"})) == replace(before, **{word: "new"})  # type: ignore[arg-type]  # a text each


def asked_to_wait(for_s: float) -> Entry:
    """Return an entry that the service asked at ``AT_S`` to wait with."""
    return replace(NEW, updated_wall_s=AT_S, not_before_wall_s=AT_S + for_s)


@pytest.mark.parametrize(
    ("for_s", "now_s", "is_given"),
    [
        (100.0, AT_S + 99.9, False),
        (100.0, AT_S + 100.0, True),
        (100.0, AT_S - 60.0, False),
        (100.0, AT_S - 60.1, True),
        (WEEK_S, AT_S, False),
        (WEEK_S + 0.5, AT_S, True),
        (WEEK_S, AT_S - 0.5, True),
    ],
)
def test_a_hint_is_believed_by_its_own_clock(for_s: float, now_s: float, is_given: bool) -> None:
    """A licence waits for what the service asked, unless more than a week or a clock set back by a minute is in it."""
    assert (moves.licensed(asked_to_wait(for_s), "me", now_s) is not None) is is_given


@pytest.mark.parametrize(
    ("asked_s", "kept_s"), [(None, None), (-5.0, 0.0), (AT_S + 9, AT_S + 9), (9e14, AT_S + WEEK_S)]
)
def test_a_hint_is_cut_to_a_week(asked_s: float | None, kept_s: float | None) -> None:
    """What the service asks is kept within 1970 and a week from now, whatever its clock says."""
    assert moves.given_back(LICENCE, LICENCE, asked_s, Said(), AT_S).not_before_wall_s == kept_s


def test_a_late_answer_finds_an_entry_that_is_new_again() -> None:
    """What came for a send goes into an entry that nobody sends now, with its sender, and clears doubt and hint."""
    first = replace(LICENCE, owner="first")
    overruled = replace(moves.licensed_anew(moves.settled(first)), not_before_wall_s=AT_S)
    task = moves.accepted(overruled, first, "task-1", Phase.QUEUED, Billing.NOT_YET, Said())
    paid = moves.answered(overruled, first, "{}", Billing.BILLED, Said(), AT_S)
    for came in (task, paid):
        assert (came.owner, came.doubtful_sends, came.not_before_wall_s) == ("first", (), None)
        assert row_of(came)


def test_each_doubt_that_is_overruled_is_remembered() -> None:
    """Who decides to send again gets an entry that may be sent at once, is nobody's, and keeps every doubt."""
    doubt = moves.settled(replace(LICENCE, sends=3, doubtful_sends=(1,), not_before_wall_s=AT_S))
    again = moves.licensed_anew(doubt)
    assert again.doubtful_sends == (1, 3)
    assert (again.phase, again.owner, again.billing) == (Phase.NEW, None, Billing.NONE)
    assert again.not_before_wall_s is None
    assert row_of(again)


@pytest.mark.parametrize(
    ("worker", "left_s", "is_free"),
    [
        ("another", 0.5, False),
        ("another", 3600.0, False),
        ("another", 0.0, True),
        ("another", -1.0, True),
        ("another", 3600.5, True),
        ("me", 60.0, True),
        (None, 60.0, True),
    ],
)
def test_a_lease_keeps_others_away_while_it_lasts(worker: str | None, left_s: float, is_free: bool) -> None:
    """A lease is another's until its last moment, and none that lasts for more than an hour is believed."""
    row = {"worker": worker, "worker_until_wall_s": AT_S + left_s}
    assert moves.is_claimable(row, "me", AT_S) is is_free


@pytest.mark.parametrize(
    ("for_s", "until_s"), [(60.0, AT_S + 60), (0.25, AT_S + 0.25), (1e6, AT_S + 3600), (-5.0, AT_S)]
)
def test_a_lease_lasts_an_hour_at_most(for_s: float, until_s: float) -> None:
    """A worker that is lost keeps nobody away for more than an hour."""
    leased = moves.claimed(NEW, "me", for_s, AT_S)
    assert (leased.worker, leased.worker_until_wall_s) == ("me", until_s)


def test_a_lease_that_cannot_be_read_is_over() -> None:
    """A damaged lease keeps nobody away."""
    assert moves.lease_end({"worker_until_wall_s": "soon"}) == 0.0
    assert moves.lease_end({"worker_until_wall_s": 7}) == 7.0
