"""The tables, written a second time: every single row is meant."""

from __future__ import annotations

import enum

import pytest

from resilient_poll import ConfigurationError
from resilient_poll.machine import BILLING_BY_PHASE, ENDS, MOVES, OPEN, Lifecycle, Phase, lifecycle

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


def test_every_enumeration_says_its_own_name() -> None:
    """What the machine's enumerations put into logs and snapshots is the name that the code says."""
    from resilient_poll.machine import commands, observations, snapshot, watch  # noqa: PLC0415  # looked through whole

    seen = 0
    for module in (lifecycle, commands, observations, snapshot, watch):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, enum.Enum) and kind.__module__ == module.__name__:
                seen += 1
                assert {member.name for member in kind} == {str(member.value) for member in kind}, kind
    assert seen


def test_a_hand_declared_lifecycle_keeps_its_name() -> None:
    """What declares a lifecycle by its words keeps the name that messages use, and folds case unless told."""
    made = Lifecycle.of("theirs", succeeded=["OK"])
    assert made.name == "theirs"
    assert made.phase_of("ok") is Phase.SUCCEEDED
    assert Lifecycle.of("theirs", succeeded=["OK"], fold_case=False).phase_of("ok") is Phase.UNLISTED
    assert Lifecycle("exact", {"OK": Phase.SUCCEEDED}).phase_of("ok") is Phase.UNLISTED
