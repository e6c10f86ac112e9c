"""What the errors of a ledger carry for a program, and say to a person."""

from __future__ import annotations

import pytest

from resilient_poll.errors import ErrorKind, SafeToSubmitAgain, TryAgain
from resilient_poll.ledger.errors import (
    ActRefused,
    EntryCorrupt,
    EntryInvalid,
    GuardRefused,
    IdempotencyConflict,
    LedgerForked,
    NotSaved,
    SlotsTaken,
)
from tests.ledger.test_checks import LICENCE, NEW


def test_errors_carry_the_entry_that_they_are_about() -> None:
    """Who catches an error of an entry has the entry as it stands."""
    assert IdempotencyConflict(NEW).entry is NEW
    assert ActRefused("no", NEW).entry is NEW
    assert ActRefused("no").entry is None


def test_what_was_paid_and_not_saved_is_in_the_error() -> None:
    """The error is the only record then: entry, id, result and reason are in it, for programs and for people."""
    error = NotSaved(LICENCE, task_id="task-1", result=None, why="the disk is full")
    assert (error.entry, error.task_id, error.result, error.why) == (LICENCE, "task-1", None, "the disk is full")
    assert str(error).startswith("task task-1 was accepted for key 'key' and the ledger could not write it down: the d")
    error = NotSaved(LICENCE, task_id=None, result="{}", why="the disk is full")
    assert (error.task_id, error.result) == (None, "{}")
    assert str(error).startswith("a result came for key 'key'")
    assert (error.safe_to_submit_again, error.try_again) == (SafeToSubmitAgain.NO, TryAgain.NO)


@pytest.mark.parametrize(
    ("guard", "kind"),
    [("max_spend", ErrorKind.MONEY), ("max_open_tasks", ErrorKind.QUOTA), ("max_tasks_per_day", ErrorKind.QUOTA)],
)
def test_a_refusal_says_its_figures(guard: str, kind: ErrorKind) -> None:
    """Limit, what is used and what was asked are in the error, and whether it is about money."""
    error = GuardRefused("too much", guard=guard, limit="3", used="2", asked="1", try_again=TryAgain.LATER)
    assert (error.guard, error.limit, error.used, error.asked) == (guard, "3", "2", "1")
    assert (error.kind, error.try_again) == (kind, TryAgain.LATER)
    assert str(error) == f"too much; nothing was sent [{guard}: limit 3, used 2, asked 1]"
    unknown = GuardRefused("too much", guard=guard, limit="3", used="2", asked=None, try_again=TryAgain.LATER)
    assert unknown.asked is None
    assert str(unknown).endswith("asked ?]")


def test_every_problem_is_told() -> None:
    """What should be what is told in one sentence, one thing after the other, and kept apart for programs."""
    problems = ["key should be a text", "sends should be a number"]
    invalid, corrupt = EntryInvalid(problems), EntryCorrupt(7, problems)
    assert invalid.problems == corrupt.problems == tuple(problems)
    assert corrupt.entry_id == 7
    for error in (invalid, corrupt):
        assert "key should be a text; sends should be a number" in str(error)


def test_who_finds_no_slot_is_told_why() -> None:
    """Either all slots are taken, or those that are free belong to who asked before."""
    full, queued = SlotsTaken(3, 3), SlotsTaken(3, 2)
    assert [(error.slots, error.taken) for error in (full, queued)] == [(3, 3), (3, 2)]
    assert full.reason == "3 of at most 3 tasks of the account are open, being sent or in doubt in the ledger"
    assert queued.reason == (
        "2 of at most 3 tasks of the account are open, being sent or in doubt in the ledger, "
        "and what is free is for those who asked before"
    )


def test_a_child_is_told_to_open_its_own() -> None:
    """The error after a fork says what to do."""
    assert "open it again in the child" in str(LedgerForked())
