"""A submit that is answered with the result itself: paid, over, and never sent again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll.machine import (
    Accepted,
    Done,
    DoneReason,
    Instant,
    LostAnswer,
    Observation,
    Phase,
    Refused,
    SleepUntil,
    Submission,
    Submit,
    SubmitPolicy,
    Throttled,
    Unreachable,
)
from resilient_poll.machine.observations import AnsweredAtOnce, SubmitStarted

NOW = Instant(0.0, 1_750_000_000.0)
RESULT = AnsweredAtOnce(request_id="r", result={"output": {"text": "hello"}})


def submission() -> Submission:
    return Submission(SubmitPolicy(), NOW, seed="seed")


def test_a_result_ends_the_submit() -> None:
    """A result is the end of its submit: no task, no further sending, and the answer is kept as it came."""
    machine = submission()
    assert isinstance(machine.next_command(NOW), Submit)
    machine.receive(SubmitStarted(), NOW)
    assert machine.receive(RESULT, NOW) == ()
    assert machine.next_command(NOW) == Done(DoneReason.ANSWERED)
    assert machine.answered is RESULT
    assert (machine.accepted, machine.task_id, machine.attempts) == (None, None, 1)


def test_a_result_that_turns_up_late_is_kept() -> None:
    """A result that comes after the doubt settles it, since it is paid."""
    machine = submission()
    machine.receive(SubmitStarted(), NOW)
    machine.receive(LostAnswer(reason="gone"), NOW)
    assert machine.next_command(NOW) == Done(DoneReason.IN_DOUBT)
    machine.receive(RESULT, NOW)
    assert machine.next_command(NOW) == Done(DoneReason.ANSWERED)


def test_a_result_without_a_sending_is_a_fault_of_the_driver() -> None:
    """A result can only come of a sending."""
    with pytest.raises(RuntimeError, match="no answer to come"):
        submission().receive(RESULT, NOW)


observations: st.SearchStrategy[Observation] = st.sampled_from(
    [
        RESULT,
        Accepted(task_id="t"),
        LostAnswer(reason="gone"),
        Refused(http_status=400),
        Throttled(retry_after_s=2.0),
        Throttled(),
        Unreachable(reason="refused"),
    ]
)


@given(st.lists(observations, min_size=1, max_size=8))
def test_nothing_is_sent_after_a_result_or_a_doubt(heard: list[Observation]) -> None:
    """Whatever is heard in whatever order, after an answer or a doubt nothing is sent again."""
    machine, now_s = submission(), 0.0
    left, over = list(heard), False
    while True:
        command = machine.next_command(Instant(now_s, NOW.wall_s + now_s))
        if isinstance(command, Done):
            break
        if isinstance(command, SleepUntil):
            now_s = max(command.at_s, now_s)
            continue
        assert isinstance(command, Submit)
        assert not over, "sent again after it was settled or in doubt"
        machine.receive(SubmitStarted(), Instant(now_s, NOW.wall_s + now_s))
        said = left.pop(0) if left else Refused(http_status=400)
        over = isinstance(said, AnsweredAtOnce | Accepted | LostAnswer | Refused)
        machine.receive(said, Instant(now_s, NOW.wall_s + now_s))
    assert machine.phase is not Phase.SUBMITTING or machine.answered or machine.accepted
