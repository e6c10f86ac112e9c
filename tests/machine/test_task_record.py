"""A record after an answer: what the answer says is taken over, and the rest is kept."""

from __future__ import annotations

from dataclasses import fields
from types import MappingProxyType

import pytest

from resilient_poll.events import BillingChanged, IllegalMove, PhaseChanged
from resilient_poll.machine import Billing, Instant, Phase, StatusSeen, TaskRecord
from resilient_poll.machine.task_record import after_expiry, after_status
from tests.support.machine_strategies import LIFECYCLE

NOW = Instant(100.0, 1_750_000_100.0)
SPOKEN_OF = {"status", "seen", "has_run", "polls", "code", "message", "request_id", "result", "result_readable"}
# Each value differs from the field's default, so that a field that is forgotten shows.
KNOWN = {
    "task_id": "t-1",
    "seed": "s-1",
    "accepted_at": Instant(1.0, 1_750_000_001.0),
    "phase": Phase.RUNNING,
    "phase_since": Instant(2.0, 1_750_000_002.0),
    "billing": Billing.ON_SUCCESS,
    "status": "working",
    "seen": True,
    "has_run": True,
    "polls": 7,
    "earlier_s": MappingProxyType({Phase.QUEUED: 3.0}),
    "code": "c",
    "message": "m",
    "request_id": "r",
    "result": {"a": 1},
    "result_readable": False,
    "not_before": Instant(3.0, 1_750_000_003.0),
}


@pytest.mark.parametrize(("asked_s", "until"), [(None, None), (0.0, NOW), (20.0, Instant(120.0, 1_750_000_120.0))])
def test_what_an_accepted_create_asks_for_is_kept(asked_s: float | None, until: Instant | None) -> None:
    """A record of an accepted task keeps until when the service asked to be left alone beside it."""
    assert TaskRecord.accepted("t-1", LIFECYCLE, NOW, retry_after_s=asked_s).not_before == until
    assert TaskRecord.accepted("t-1", LIFECYCLE, NOW).not_before is None


def test_every_field_is_in_the_example() -> None:
    """The example names every field of a record, so a new field is looked after here too."""
    assert set(KNOWN) == {field.name for field in fields(TaskRecord)}


@pytest.mark.parametrize("name", sorted(set(KNOWN) - SPOKEN_OF))
def test_an_answer_keeps_what_it_does_not_speak_of(name: str) -> None:
    """An answer that moves nothing leaves every field that it does not speak of as it was."""
    record, events = after_status(TaskRecord(**KNOWN), StatusSeen(status="working"), LIFECYCLE, NOW)  # type: ignore[arg-type]  # a mapping of all fields
    assert getattr(record, name) is KNOWN[name]
    assert events == ()


@pytest.mark.parametrize("status", ["working", "done", "waiting", "who?", "novel"])
@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.FAILED, Phase.EXPIRED])
def test_every_answer_is_counted(status: str, phase: Phase) -> None:
    """Whatever an answer says, before an end or after one, it counts as one poll and brings its request id."""
    record = TaskRecord(**{**KNOWN, "phase": phase})  # type: ignore[arg-type]  # as above
    after, _ = after_status(record, StatusSeen(status=status, request_id="r-2"), LIFECYCLE, NOW)
    assert (after.polls, after.request_id) == (8, "r-2")


def test_an_acceptance_keeps_what_it_was_given() -> None:
    """An accepted task has its request's id and its submit's draws, or those of its own id."""
    given = TaskRecord.accepted("t", LIFECYCLE, NOW, request_id="r", seed="s")
    assert (given.request_id, given.seed) == ("r", "s")
    assert TaskRecord.accepted("t", LIFECYCLE, NOW).seed == "t"


def test_a_task_picked_up_by_its_id_did_nothing_yet_that_is_known() -> None:
    """A task of which only the id is known may be queued as any other, owes nothing then, and lacks no result."""
    record = TaskRecord.known_by_id("t", NOW)
    assert record.result_readable
    after, events = after_status(record, StatusSeen(status="waiting"), LIFECYCLE, NOW)
    assert (after.has_run, after.billing) == (False, Billing.NOT_YET)
    assert not any(isinstance(event, IllegalMove) for event in events)


def test_what_the_table_forbids_is_told() -> None:
    """A running task that is queued again is told of, though nobody wrote down that it ran, and is believed."""
    record = TaskRecord(**{**KNOWN, "has_run": False})  # type: ignore[arg-type]  # as above
    after, events = after_status(record, StatusSeen(status="waiting"), LIFECYCLE, NOW)
    assert [type(event) for event in events][:1] == [IllegalMove]
    assert after.phase is Phase.QUEUED


def test_a_success_that_made_nothing_is_free_and_says_why() -> None:
    """Where the answer says that nothing was made, nothing is owed, and its code and words are kept."""
    seen = StatusSeen(status="done", made_nothing=True, code="E1", message="none fit")
    after, _ = after_status(TaskRecord.accepted("t", LIFECYCLE, NOW), seen, LIFECYCLE, NOW)
    assert (after.billing, after.code, after.message) == (Billing.NONE, "E1", "none fit")


@pytest.mark.parametrize(
    ("phase", "billing", "word", "told", "owed"),
    [
        (Phase.SUCCEEDED, Billing.BILLED, "broken", Phase.FAILED, Billing.BILLED),
        (Phase.SUCCEEDED, Billing.BILLED, "stopped", Phase.CANCELED, Billing.BILLED),
        (Phase.SUCCEEDED, Billing.BILLED, "working", Phase.RUNNING, Billing.BILLED),
        (Phase.FAILED, Billing.NONE, "done", Phase.SUCCEEDED, Billing.BILLED),
        (Phase.FAILED, Billing.NONE, "stopped", Phase.CANCELED, Billing.PARTIAL_POSSIBLE),
        (Phase.FAILED, Billing.NONE, "working", Phase.RUNNING, Billing.NONE),
        (Phase.FAILED, Billing.NONE, "waiting", Phase.QUEUED, Billing.NONE),
        (Phase.FAILED, Billing.NONE, "who?", None, Billing.NONE),
        (Phase.CANCELED, Billing.PARTIAL_POSSIBLE, "done", Phase.SUCCEEDED, Billing.BILLED),
        (Phase.CANCELED, Billing.PARTIAL_POSSIBLE, "broken", Phase.FAILED, Billing.PARTIAL_POSSIBLE),
    ],
)
def test_after_an_end_only_another_end_raises_the_bill(
    phase: Phase, billing: Billing, word: str, told: Phase | None, owed: Billing
) -> None:
    """An end stays, what contradicts it is told and not believed, and of two ends the one that owes more is owed."""
    record = TaskRecord(**{**KNOWN, "phase": phase, "billing": billing})  # type: ignore[arg-type]  # as above
    after, events = after_status(record, StatusSeen(status=word), LIFECYCLE, NOW)
    assert (after.phase, after.billing, after.status) == (phase, owed, "working")
    expected: list[object] = []
    if told is not None:
        expected.append(IllegalMove("t-1", 100.0, phase, told, word, believed=False))
    if owed is not billing:
        expected.append(BillingChanged("t-1", 100.0, billing, owed))
    assert list(events) == expected


def test_an_expiry_says_the_word_that_it_came_of() -> None:
    """A task that expires tells so with the service's last word, and nobody knows what is owed for it."""
    record = TaskRecord(**{**KNOWN, "phase": Phase.UNRECOGNIZED, "status": "who?"})  # type: ignore[arg-type]  # as above
    after, events = after_expiry(record, LIFECYCLE, NOW)
    assert (after.phase, after.billing, after.status) == (Phase.EXPIRED, Billing.UNDETERMINED, "who?")
    assert events == (
        PhaseChanged("t-1", 100.0, Phase.UNRECOGNIZED, Phase.EXPIRED, "who?"),
        BillingChanged("t-1", 100.0, Billing.ON_SUCCESS, Billing.UNDETERMINED),
    )


@pytest.mark.parametrize(("word", "found"), [("who?", False), ("novel", False), ("waiting", True), ("done", True)])
def test_only_a_word_that_is_known_says_that_a_task_was_found(word: str, found: bool) -> None:
    """An id that the service does not know, and a word that nobody listed, prove no task."""
    after, _ = after_status(TaskRecord.known_by_id("t", NOW), StatusSeen(status=word), LIFECYCLE, NOW)
    assert after.seen is found
