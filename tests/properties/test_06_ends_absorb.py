"""Property 6: ends absorb, the bill only rises after one, and what should not be is reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume
from hypothesis import strategies as st

from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.events import IllegalMove, UnlistedStatus
from resilient_poll.machine import ENDS, Billing, Phase, StatusSeen, TaskRecord, WaitPolicy, task_record
from tests.support.machine_strategies import END_WORDS, LIFECYCLE, UNLISTED_WORD, Reply, statuses, words
from tests.support.polling_world import new_poller, watch
from tests.support.properties import Property

# What is surely owed at least: written anew here, as the judge's own table.
OWED_AT_LEAST = {Billing.NONE: 0, Billing.PARTIAL_POSSIBLE: 1, Billing.UNDETERMINED: 2, Billing.BILLED: 3}


def absorb(end: str, later: Sequence[StatusSeen]) -> None:
    clock = VirtualClock()
    poller = new_poller(WaitPolicy(), clock)
    poller.receive(StatusSeen(status=end), clock.now())
    phase = poller.phase
    assert phase in ENDS
    for seen in later:
        clock.advance(1)
        bill = poller.billing
        events = poller.receive(seen, clock.now())
        assert poller.phase is phase
        assert OWED_AT_LEAST[poller.billing] >= OWED_AT_LEAST[bill]
        said = LIFECYCLE.phase_of(seen.status)
        if said not in {phase, Phase.UNRECOGNIZED}:
            assert any(isinstance(event, IllegalMove) and not event.believed for event in events)


def expiry_is_reopened(word: str) -> None:
    assume(LIFECYCLE.phase_of(word) is not Phase.UNRECOGNIZED)
    clock = VirtualClock()
    poller = new_poller(WaitPolicy(timeout_s=10_000.0), clock)
    watch(poller, [Reply(0.0, StatusSeen(status="who?"))], clock)
    assert poller.phase is Phase.EXPIRED
    poller.receive(StatusSeen(status=word), clock.now())
    assert poller.phase is LIFECYCLE.phase_of(word)


def reported(before: Sequence[str]) -> None:
    clock = VirtualClock()
    poller = new_poller(WaitPolicy(timeout_s=10_000.0), clock)
    ran = False
    last = "waiting"
    for word in before:
        clock.advance(1)
        events = poller.receive(StatusSeen(status=word), clock.now())
        backwards = word == "waiting" and ran and last != "waiting"
        assert any(isinstance(event, IllegalMove) for event in events) == backwards
        assert any(isinstance(event, UnlistedStatus) for event in events) == (word == UNLISTED_WORD != last)
        ran, last = ran or word == "working", word


def bounded(timeout_s: float) -> None:
    clock = VirtualClock()
    seen = watch(new_poller(WaitPolicy(timeout_s=timeout_s), clock), [Reply(0.0, StatusSeen(status="novel"))], clock)
    assert seen.ended is not None
    # 120 s is the documented patience with a word that nobody listed; it is first seen after 3 s.
    assert seen.ended.monotonic_s - seen.began.monotonic_s <= min(timeout_s, 3 + 120) + 0.25


ABSORB = Property(absorb, end=st.sampled_from(END_WORDS), later=st.lists(statuses(words), max_size=8))
REOPENED = Property(expiry_is_reopened, word=words)
REPORTED = Property(reported, before=st.lists(st.sampled_from(["waiting", "working", "who?", "novel"]), max_size=12))
BOUNDED = Property(bounded, timeout_s=st.floats(1, 100_000))


def test_ends_absorb() -> None:
    """After an end no answer moves the task, none lowers the bill, and each that contradicts is reported."""
    ABSORB.holds()


def test_expired_is_reopened_by_an_answer() -> None:
    """EXPIRED is a conclusion of ours, and any word about the task overturns it."""
    REOPENED.holds()


def test_backwards_and_unlisted_are_reported() -> None:
    """Running that becomes queued again, and a word that nobody listed, are each reported when they are new."""
    REPORTED.holds()


def test_an_unlisted_status_is_not_believed_for_ever() -> None:
    """A wait on a word that nobody listed ends within its own bound, however long the caller would wait."""
    BOUNDED.holds()


def test_an_end_that_moves_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: SUCCEEDED may become FAILED."""
    moves = {**task_record.MOVES, Phase.SUCCEEDED: frozenset({Phase.FAILED})}
    monkeypatch.setattr(task_record, "MOVES", moves)
    ABSORB.catches_the_planted_fault()


def test_a_bill_that_falls_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the last word decides the bill, so "failed" after "done" makes it free."""
    monkeypatch.setattr(task_record, "join", lambda left, right: right)  # noqa: ARG005
    ABSORB.catches_the_planted_fault()


def test_silence_about_a_step_back_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: running may become queued again as if that were normal."""
    monkeypatch.setattr(task_record, "MOVES", {**task_record.MOVES, Phase.RUNNING: frozenset(Phase)})

    def forgetful(**fields: Any) -> TaskRecord:
        return TaskRecord(**{**fields, "has_run": False})

    monkeypatch.setattr(task_record, "TaskRecord", forgetful)
    REPORTED.catches_the_planted_fault()


def test_an_endless_unlisted_status_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: an unlisted status is waited on as if it were running."""
    monkeypatch.setattr("resilient_poll.machine.policy.DEFAULT_UNLISTED_LIMIT_S", 1e9)
    BOUNDED.catches_the_planted_fault()
