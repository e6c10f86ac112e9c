"""The tables, written a second time: every single row is meant."""

from __future__ import annotations

import enum
from itertools import combinations_with_replacement

import pytest

from resilient_poll import ConfigurationError
from resilient_poll.machine import (
    BILLING_BY_PHASE,
    ENDS,
    MOVES,
    OPEN,
    Billing,
    DoneReason,
    Lifecycle,
    Phase,
    SleepReason,
)
from resilient_poll.machine.task_record import join

ACCEPTED = "QUEUED RUNNING UNRECOGNIZED UNLISTED"
MAY_END = "SUCCEEDED FAILED CANCELED EXPIRED"
SECOND_WRITING = {
    "NEW": "SUBMITTING ABANDONED",
    "SUBMITTING": f"{ACCEPTED} NEW IN_DOUBT REFUSED",
    "IN_DOUBT": f"{ACCEPTED} {MAY_END} ABANDONED",
    "QUEUED": f"RUNNING UNRECOGNIZED UNLISTED {MAY_END} ABANDONED",
    "RUNNING": f"UNRECOGNIZED UNLISTED {MAY_END} ABANDONED",
    "UNRECOGNIZED": f"QUEUED RUNNING UNLISTED {MAY_END} ABANDONED",
    "UNLISTED": f"QUEUED RUNNING UNRECOGNIZED {MAY_END} ABANDONED",
    "SUCCEEDED": "",
    "FAILED": "",
    "CANCELED": "",
    "REFUSED": "",
    "EXPIRED": "QUEUED RUNNING UNLISTED SUCCEEDED FAILED CANCELED",
    "ABANDONED": "",
}


def test_the_moves_are_these_and_no_others() -> None:
    """From each phase exactly these phases may follow."""
    assert {phase.name: {to.name for to in moves} for phase, moves in MOVES.items()} == {
        name: set(words.split()) for name, words in SECOND_WRITING.items()
    }


def test_the_bills_of_all_phases() -> None:
    """Each phase says exactly this of the bill."""
    assert {phase.name: billing.name for phase, billing in BILLING_BY_PHASE.items()} == {
        "NEW": "NONE",
        "SUBMITTING": "UNDETERMINED",
        "IN_DOUBT": "UNDETERMINED",
        "QUEUED": "NOT_YET",
        "RUNNING": "ON_SUCCESS",
        "UNRECOGNIZED": "UNDETERMINED",
        "UNLISTED": "UNDETERMINED",
        "SUCCEEDED": "BILLED",
        "FAILED": "NONE",
        "CANCELED": "PARTIAL_POSSIBLE",
        "REFUSED": "NONE",
        "EXPIRED": "UNDETERMINED",
        "ABANDONED": "UNDETERMINED",
    }


def test_of_two_words_for_the_bill_the_one_that_says_more_is_owed_is_believed() -> None:
    """From surely nothing to surely owed, in this order and whichever is heard first."""
    words = ["NONE", "NOT_YET", "ON_SUCCESS", "PARTIAL_POSSIBLE", "UNDETERMINED", "BILLED"]
    for less, more in combinations_with_replacement([Billing[word] for word in words], 2):
        assert join(less, more) is join(more, less) is more


def test_open_and_ended() -> None:
    """These phases are open, these are ends, and no phase is both."""
    assert {phase.name for phase in OPEN} == set(ACCEPTED.split())
    assert {phase.name for phase in ENDS} == {"REFUSED", "ABANDONED", *MAY_END.split()}


@pytest.mark.parametrize("phase", Phase)
def test_what_a_service_can_report(phase: Phase) -> None:
    """A service's word stands for a phase that the service can know of, never for one of ours."""
    ours = {"NEW", "SUBMITTING", "IN_DOUBT", "UNLISTED", "REFUSED", "ABANDONED"}
    words = {"ok": Phase.SUCCEEDED, "word": phase}
    if phase.name in ours:
        with pytest.raises(ConfigurationError, match=phase.name):
            Lifecycle("by hand", words)
    else:
        assert Lifecycle("by hand", words).phase_of("word") is phase


@pytest.mark.parametrize("kind", [Phase, Billing, DoneReason, SleepReason])
def test_every_enumeration_says_its_own_name(kind: type[enum.Enum]) -> None:
    """What the machine's enumerations put into logs and snapshots is the name that the code says."""
    assert [member.name for member in kind] == [str(member.value) for member in kind]


def test_each_list_of_words_stands_for_its_phase() -> None:
    """What is declared by lists of words stands for what each list is called."""
    lists = ["succeeded", "failed", "canceled", "queued", "running", "unrecognized", "expired"]
    made = Lifecycle.of(**{name: [f"{name}-word"] for name in lists})  # type: ignore[arg-type]  # a list for each
    assert {name: made.phase_of(f"{name}-word").name.lower() for name in lists} == {name: name for name in lists}
    assert made.name == "hand-declared"


def test_a_phase_that_no_service_can_report_is_refused_with_those_that_it_can() -> None:
    """Whoever declares a word for a phase of ours is told which phases a word can stand for."""
    can = "CANCELED, EXPIRED, FAILED, QUEUED, RUNNING, SUCCEEDED, UNRECOGNIZED"
    with pytest.raises(ConfigurationError, match=f"; one of {can} can"):
        Lifecycle("theirs", {"ok": Phase.SUCCEEDED, "given up": Phase.ABANDONED})


def test_a_hand_declared_lifecycle_keeps_its_name() -> None:
    """What declares a lifecycle by its words keeps the name that messages use, and folds case unless told."""
    made = Lifecycle.of("theirs", succeeded=["OK"])
    assert made.name == "theirs"
    assert made.phase_of("ok") is Phase.SUCCEEDED
    assert Lifecycle.of("theirs", succeeded=["OK"], fold_case=False).phase_of("ok") is Phase.UNLISTED
    assert Lifecycle("exact", {"OK": Phase.SUCCEEDED}).phase_of("ok") is Phase.UNLISTED
