"""The tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll import ConfigurationError
from resilient_poll.machine import BILLING_BY_PHASE, ENDS, MOVES, OPEN, Billing, Lifecycle, Phase


def test_the_tables_are_total() -> None:
    """Every phase has a row of moves and a word for the bill."""
    assert set(MOVES) == set(Phase)
    assert set(BILLING_BY_PHASE) == set(Phase)


def test_ends_are_ends() -> None:
    """From an end nothing follows, except from EXPIRED, which an answer can reopen."""
    for phase in ENDS - {Phase.EXPIRED}:
        assert MOVES[phase] == frozenset(), phase
    assert MOVES[Phase.EXPIRED] == {
        Phase.QUEUED,
        Phase.RUNNING,
        Phase.UNLISTED,
        Phase.SUCCEEDED,
        Phase.FAILED,
        Phase.CANCELED,
    }


def test_every_phase_can_end() -> None:
    """From every phase some end can be reached."""
    can_end = set(ENDS)
    while more := {phase for phase in Phase if phase not in can_end and MOVES[phase] & can_end}:
        can_end |= more
    assert can_end == set(Phase)


def test_nothing_goes_back_to_being_sent() -> None:
    """Once accepted, or in doubt, no row leads back to NEW or SUBMITTING: the licence to send is used once."""
    for phase in (OPEN | ENDS | {Phase.IN_DOUBT}) - {Phase.ABANDONED}:
        assert not MOVES[phase] & {Phase.NEW, Phase.SUBMITTING}, phase


def test_running_does_not_become_queued() -> None:
    """Running that is queued again is no legal move."""
    assert Phase.QUEUED not in MOVES[Phase.RUNNING]


@pytest.mark.parametrize(
    ("phase", "billing"),
    [
        (Phase.QUEUED, Billing.NOT_YET),
        (Phase.RUNNING, Billing.ON_SUCCESS),
        (Phase.SUCCEEDED, Billing.BILLED),
        (Phase.FAILED, Billing.NONE),
        (Phase.CANCELED, Billing.PARTIAL_POSSIBLE),
        (Phase.UNRECOGNIZED, Billing.UNDETERMINED),
        (Phase.EXPIRED, Billing.UNDETERMINED),
        (Phase.IN_DOUBT, Billing.UNDETERMINED),
        (Phase.REFUSED, Billing.NONE),
    ],
)
def test_the_bill_is_as_the_page_says(phase: Phase, billing: Billing) -> None:
    """Each phase says of the bill what the service's page says of its status."""
    assert BILLING_BY_PHASE[phase] is billing


def test_a_lifecycle_may_bill_otherwise() -> None:
    """A lifecycle overrides single rows of the billing table and keeps the others."""
    lifecycle = Lifecycle.of(succeeded=["ok"], failed=["no"], billing={Phase.FAILED: Billing.BILLED})
    assert lifecycle.billing_of(Phase.FAILED) is Billing.BILLED
    assert lifecycle.billing_of(Phase.SUCCEEDED) is Billing.BILLED


@given(st.text())
def test_any_word_has_a_phase(word: str) -> None:
    """A word that nobody listed is UNLISTED, whatever it is."""
    lifecycle = Lifecycle(name="test", statuses={"ok": Phase.SUCCEEDED})
    assert lifecycle.phase_of(word) is (Phase.SUCCEEDED if word == "ok" else Phase.UNLISTED)


def test_case_folds_only_where_it_is_declared() -> None:
    """A lifecycle written by hand ignores letter case; one made of a table does not."""
    assert Lifecycle.of(succeeded=["Succeeded"]).phase_of("SUCCEEDED") is Phase.SUCCEEDED
    assert Lifecycle(name="t", statuses={"Ok": Phase.SUCCEEDED}).phase_of("OK") is Phase.UNLISTED


@pytest.mark.parametrize(
    ("declare", "complaint"),
    [
        (lambda: Lifecycle.of(succeeded=[]), "no status means success"),
        (lambda: Lifecycle.of(succeeded="done"), "single string"),
        (lambda: Lifecycle.of(succeeded=["a"], failed=["a"]), "two phases"),
        (lambda: Lifecycle.of(succeeded=["a"], failed=["A"]), "two phases"),
        (lambda: Lifecycle(name="t", statuses={"a": Phase.SUCCEEDED, "b": Phase.NEW}), "cannot stand for NEW"),
        (lambda: Lifecycle(name="t", statuses={"a": Phase.SUCCEEDED, "b": Phase.ABANDONED}), "cannot stand for"),
    ],
)
def test_a_broken_lifecycle_is_refused(declare: object, complaint: str) -> None:
    """A table that could not work is refused where it is declared, with what is wrong."""
    with pytest.raises(ConfigurationError, match=complaint):
        declare()  # type: ignore[operator]
