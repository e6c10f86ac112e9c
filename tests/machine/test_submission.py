"""A submit's own rules, beside property 1."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilient_poll.events import AttemptFailed, HintIgnored
from resilient_poll.events import Throttled as ThrottledEvent
from resilient_poll.machine import (
    Accepted,
    AnsweredAtOnce,
    Done,
    DoneReason,
    Floor,
    Instant,
    LostAnswer,
    Observation,
    Phase,
    Refused,
    SleepReason,
    SleepUntil,
    StatusSeen,
    Submission,
    Submit,
    SubmitPolicy,
    SubmitStarted,
    Throttled,
    Unreachable,
)

START = Instant(100.0, 1_750_000_000.0)


def at(seconds: float) -> Instant:
    return Instant(START.monotonic_s + seconds, START.wall_s + seconds)


def sent(observation: Observation, policy: SubmitPolicy | None = None, floor: Floor | None = None) -> Submission:
    """A submit that was sent once and heard this."""
    submission = Submission(policy or SubmitPolicy(), START, seed="seed", floor=floor)
    submission.receive(SubmitStarted(), START)
    submission.receive(observation, START)
    return submission


def test_a_submit_is_sent_at_once_and_never_cut_by_the_caller() -> None:
    """The first command is to send, with the create's own time, however short the caller's."""
    submission = Submission(SubmitPolicy(timeout_s=2.0), START, seed="seed")
    assert submission.next_command(START) == Submit(1, 60.0)


@pytest.mark.parametrize(
    ("observation", "reason", "phase"),
    [
        (Accepted(task_id="t"), DoneReason.ACCEPTED, Phase.SUBMITTING),
        (Refused(http_status=400), DoneReason.REFUSED, Phase.REFUSED),
        (LostAnswer(reason="gone"), DoneReason.IN_DOUBT, Phase.IN_DOUBT),
    ],
)
def test_answers_that_settle(observation: Observation, reason: DoneReason, phase: Phase) -> None:
    """Accepted, refused and lost each end the submit at once."""
    submission = sent(observation)
    assert submission.next_command(at(1)) == Done(reason)
    assert submission.phase is phase


def test_a_throttle_is_waited_out() -> None:
    """After a throttle with a hint the submit sleeps until then, says it is the server, and is sent again."""
    submission = sent(Throttled(retry_after_s=7.0))
    assert submission.next_command(at(0)) == SleepUntil(107.0, SleepReason.SERVER)
    assert submission.next_command(at(7)) == Submit(2, 60.0)


def test_a_throttle_without_a_hint_backs_off() -> None:
    """Without a hint the pause is a second, spread, and doubles with each sending."""
    submission = sent(Throttled())
    command = submission.next_command(at(0))
    assert isinstance(command, SleepUntil)
    assert command.reason is SleepReason.BACKOFF
    assert 100.75 <= command.at_s <= 101.25
    submission.receive(SubmitStarted(), at(2))
    submission.receive(Throttled(), at(2))
    command = submission.next_command(at(2))
    assert isinstance(command, SleepUntil)
    assert 103.5 <= command.at_s <= 104.5


def test_a_small_hint_does_not_shorten_the_backoff() -> None:
    """A Retry-After of zero is honoured as "no floor", and the backoff stays."""
    command = sent(Throttled(retry_after_s=0.0)).next_command(at(0))
    assert isinstance(command, SleepUntil)
    assert command.at_s >= 100.75


def test_a_hint_beyond_the_time_ends_it_at_once() -> None:
    """A Retry-After that the submit cannot wait for ends it now, with the time to come back."""
    submission = sent(Throttled(retry_after_s=60.0), SubmitPolicy(timeout_s=30.0))
    assert submission.next_command(at(0)) == Done(DoneReason.COME_BACK_LATER, 160.0)


def test_nothing_starts_with_too_little_left() -> None:
    """A sending is not started when less than its minimum is left."""
    submission = sent(Unreachable(reason="refused"), SubmitPolicy(timeout_s=10.0, minimum_s=1.0))
    assert submission.next_command(at(8.9)) == Submit(2, 60.0)
    assert submission.next_command(at(9.1)) == Done(DoneReason.DEADLINE)


def test_the_accounts_floor_holds_before_the_first_sending() -> None:
    """What another submit of the account was told holds for this one too."""
    floor = Floor()
    sent(Throttled(retry_after_s=20.0), floor=floor)
    other = Submission(SubmitPolicy(), START, seed="other", floor=floor)
    assert other.next_command(at(1)) == SleepUntil(120.0, SleepReason.SERVER)
    hurried = Submission(SubmitPolicy(timeout_s=5.0), START, seed="other", floor=floor)
    assert hurried.next_command(at(1)) == Done(DoneReason.COME_BACK_LATER, 120.0)


def test_events_tell_what_happened() -> None:
    """Throttles, failures and ignored hints are each told."""
    submission = Submission(SubmitPolicy(), START, seed="seed")
    submission.receive(SubmitStarted(), START)
    events = submission.receive(Throttled(code="slow", retry_after_ignored="junk"), START)
    assert any(isinstance(event, HintIgnored) and event.reason == "junk" for event in events)
    assert any(isinstance(event, ThrottledEvent) and event.code == "slow" for event in events)
    submission.receive(SubmitStarted(), at(5))
    events = submission.receive(Unreachable(reason="refused"), at(5))
    assert any(isinstance(event, AttemptFailed) and event.reason == "refused" for event in events)


def test_an_id_settles_a_doubt() -> None:
    """An acceptance that turns up after the doubt is taken, never thrown away."""
    submission = sent(LostAnswer(reason="gone"))
    submission.receive(Accepted(task_id="late"), at(1))
    assert submission.next_command(at(1)) == Done(DoneReason.ACCEPTED)


@pytest.mark.parametrize("doubt", [[], [LostAnswer(reason="gone")]], ids=["at once", "out of a doubt"])
@pytest.mark.parametrize("kind", [Accepted(task_id="t"), AnsweredAtOnce(result={})], ids=["a task", "a result"])
def test_what_follows_an_answer_keeps_to_its_hint(kind: Accepted | AnsweredAtOnce, doubt: list[Observation]) -> None:
    """The hint of what came holds for submits and queries, without making those who wait go one after the other."""
    floor, query_floor = Floor(), Floor()
    submission = Submission(SubmitPolicy(), START, seed="seed", floor=floor, query_floor=query_floor)
    for heard in (SubmitStarted(), *doubt):
        submission.receive(heard, START)
    assert submission.receive(replace(kind, retry_after_s=20.0), at(1)) == ()
    assert floor == query_floor == Floor(not_before_s=START.monotonic_s + 21.0)


@pytest.mark.parametrize(
    "kind",
    [Accepted(task_id="t"), AnsweredAtOnce(result={}), Refused(http_status=400), LostAnswer(reason="gone")],
    ids=lambda kind: type(kind).__name__,
)
def test_an_ignored_hint_is_told_whatever_came(
    kind: Accepted | AnsweredAtOnce | Refused | LostAnswer,
) -> None:
    """An answer that ends the submit tells of a hint that is ignored, and of which submit, as a throttle does."""
    floor, query_floor = Floor(), Floor()
    submission = Submission(SubmitPolicy(), START, seed="seed", floor=floor, query_floor=query_floor)
    submission.receive(SubmitStarted(), START)
    events = submission.receive(replace(kind, retry_after_ignored="junk"), at(1))
    assert events[-1] == HintIgnored(None, at(1).monotonic_s, "junk", submit_id="seed")
    assert floor == query_floor == Floor()


def test_a_submit_of_its_own_needs_no_floors() -> None:
    """A submit that shares no floors takes a hint beside its acceptance as any other does."""
    submission = sent(Accepted(task_id="t-1", retry_after_s=20.0))
    assert submission.next_command(at(1)) == Done(DoneReason.ACCEPTED)


def test_a_broken_driver_is_stopped() -> None:
    """Sending twice, answering what was not sent, and a poll's observation are faults of the driver."""
    fresh = Submission(SubmitPolicy(), START, seed="seed")
    with pytest.raises(RuntimeError, match="no answer to come"):
        fresh.receive(Accepted(task_id="t"), START)
    with pytest.raises(RuntimeError, match="must not be sent"):
        sent(LostAnswer(reason="gone")).receive(SubmitStarted(), START)
    submission = Submission(SubmitPolicy(), START, seed="seed")
    submission.receive(SubmitStarted(), START)
    with pytest.raises(TypeError, match="belongs to a poll"):
        submission.receive(StatusSeen(status="x"), START)


def test_those_who_waited_together_go_one_after_the_other() -> None:
    """When a Retry-After that many wait for is over, one submit is sent and the others follow with a gap."""
    floor = Floor()
    sent(Throttled(retry_after_s=20.0), floor=floor)
    waiting = [Submission(SubmitPolicy(), START, seed=str(number), floor=floor) for number in range(5)]
    now, sent_at = at(20), []
    for submission in waiting:
        while not isinstance(command := submission.next_command(now), Submit):
            assert isinstance(command, SleepUntil)
            now = at(command.at_s - START.monotonic_s)
        submission.receive(SubmitStarted(), now)
        submission.receive(Accepted(task_id="t"), now)
        sent_at.append(now.monotonic_s)
    assert sent_at == [120.0, 121.0, 122.0, 123.0, 124.0]
    later = Submission(SubmitPolicy(), at(200), seed="later", floor=floor)
    later.receive(SubmitStarted(), at(200))
    assert floor.not_before_s < at(200).monotonic_s, "long after the throttle nobody has to wait"
