"""What a wait returns, and what it raises instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic

from resilient_poll.error_kinds import Cause, Classify, ErrorKind, SafeToSubmitAgain, TryAgain, within
from resilient_poll.errors import (
    PollRefused,
    ResultUnreadable,
    Standing,
    StillGoing,
    StillQueued,
    StillRunning,
    StillUnknown,
    SubmitError,
    SubmitInDoubt,
    SubmitNotSent,
    SubmitRefused,
    SubmitThrottled,
    TaskCanceled,
    TaskEnded,
    TaskError,
    TaskExpired,
    TaskFailed,
)
from resilient_poll.machine.commands import Done, DoneReason
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Billing, Phase
from resilient_poll.machine.observations import LostAnswer, NoSlotFree, Refused, Throttled, Unreachable
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Result_co = TypeVar("Result_co", covariant=True, default=Any)
else:  # A type variable with a default needs Python 3.13; to run, it needs none.
    from typing import TypeVar

    Result_co = TypeVar("Result_co", covariant=True)

__all__ = ["Outcome", "cause_of", "standing_of", "submit_error", "task_error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[Result_co]):
    """A task that succeeded. ``Outcome[Result]`` says to a type checker what ``result`` is.

    Attributes:
        task_id: The service's id.
        status: The service's own word for success.
        billing: What is owed.
        polls: How many times it was asked about.
        time_per_phase: Seconds in each phase.
        request_id: The service's id of the last request.
        result: The answer that said so, as it came.
    """

    task_id: str
    status: str | None
    billing: Billing
    polls: int
    time_per_phase: Mapping[Phase, float]
    request_id: str | None
    result: Result_co = field(repr=False)


def standing_of(
    record: TaskRecord, now: Instant, resume_token: str | None, *, classify: Classify | None = None
) -> Standing:
    """Return what an error says of a task.

    Args:
        record: What is known of the task.
        now: When.
        resume_token: What another process needs to go on.
        classify: The service's table of error codes, if there is one.
    """
    kind, try_again = _why_it_ended(record, classify)
    return Standing(
        task_id=record.task_id,
        phase=record.phase,
        status=record.status,
        billing=record.billing,
        request_id=record.request_id,
        polls=record.polls,
        time_per_phase=record.time_per_phase(now),
        resume_token=resume_token,
        code=record.code,
        message=record.message,
        kind=kind,
        try_again=try_again,
        result=record.result,
    )


def _why_it_ended(record: TaskRecord, classify: Classify | None) -> tuple[ErrorKind | None, TryAgain]:
    """Return what the code of a failed or cancelled task means, and whether a new submit makes sense."""
    if record.phase not in _UNHAPPY:
        return None, TryAgain.NO
    if classify is None or (record.code is None and record.phase is not Phase.FAILED):
        return None, TryAgain.UNKNOWN
    kind, try_again = classify(record.code, record.message, None)
    is_free = record.phase is Phase.FAILED and record.billing is Billing.NONE
    return kind, within(SafeToSubmitAgain.YES if is_free else SafeToSubmitAgain.UNKNOWN, try_again)


def cause_of(complaint: Refused | Throttled | Unreachable | LostAnswer, classify: Classify | None) -> Cause:
    """Return what a service gave as its reason, and what that means.

    Args:
        complaint: What was heard.
        classify: The service's table of error codes, if there is one.
    """
    said = Cause(
        code=complaint.code,
        message=complaint.message,
        http_status=complaint.http_status,
        says_retryable=complaint.says_retryable,
    )
    if classify is None or (said.code is None and said.http_status is None):
        return said
    kind, try_again = classify(said.code, said.message, said.http_status)
    return replace(said, kind=kind, try_again=try_again)


_UNHAPPY = frozenset({Phase.FAILED, Phase.CANCELED, Phase.EXPIRED, Phase.ABANDONED})
_STILL: Mapping[Phase, tuple[type[StillGoing], str]] = {
    Phase.QUEUED: (StillQueued, "still queued"),
    Phase.RUNNING: (StillRunning, "still running"),
    Phase.UNRECOGNIZED: (StillUnknown, "not known to the service so far"),
    Phase.UNLISTED: (StillUnknown, "in a status that nobody listed"),
}
_ENDED: Mapping[Phase, tuple[type[TaskEnded], str]] = {
    Phase.FAILED: (TaskFailed, "failed"),
    Phase.CANCELED: (TaskCanceled, "canceled"),
    Phase.EXPIRED: (TaskExpired, "no longer, or never, known to the service"),
    Phase.ABANDONED: (TaskCanceled, "abandoned"),
}
_WHY = {
    DoneReason.DEADLINE: "when the wait's time was up",
    DoneReason.PHASE_LIMIT: "when the limit for this phase was reached",
    DoneReason.ERROR_BUDGET: "when too many polls in a row had failed",
    DoneReason.COME_BACK_LATER: "and the service asks to come back after the wait is over",
}


def task_error(
    record: TaskRecord,
    done: Done,
    now: Instant,
    *,
    resume_token: str | None,
    waited_s: float,
    last_trouble: str | None = None,
    refusal: Refused | None = None,
    classify: Classify | None = None,
) -> TaskError | None:
    """Return the error that a finished wait raises, or None if it ended well.

    Args:
        record: What is known of the task.
        done: Why the wait is over.
        now: When.
        resume_token: What another process needs to go on.
        waited_s: How long the wait was.
        last_trouble: Why the last poll brought nothing, if it did not.
        refusal: What the service said when it refused to answer, if it did.
        classify: The service's table of error codes, if there is one.
    """
    standing = standing_of(record, now, resume_token, classify=classify)
    if record.phase is Phase.SUCCEEDED:
        if record.result_readable:
            return None
        return ResultUnreadable("succeeded, and its answer holds no result that can be read", standing)
    if record.phase in _ENDED:
        kind, word = _ENDED[record.phase]
        said = ": ".join(part for part in (record.code, record.message) if part)
        return kind(f"{word}: {said}" if said else word, standing)
    trouble = f"; the last poll: {last_trouble}" if last_trouble else ""
    if done.reason is DoneReason.POLL_REFUSED:
        cause = None if refusal is None else cause_of(refusal, classify)
        return PollRefused(f"the service refuses to say how it is doing{trouble}", standing, cause=cause)
    still, word = _STILL[record.phase]
    if record.status is None:
        word = "not heard of: the service did not say where it stands"
    later_s = None if done.come_back_at_s is None else max(0.0, done.come_back_at_s - now.monotonic_s)
    when = "" if later_s is None else f" (in {later_s:.0f} s)"
    return still(f"{word} after {waited_s:.1f} s, {_WHY[done.reason]}{when}{trouble}", standing, come_back_in_s=later_s)


def submit_error(submission: Submission, done: Done, now: Instant, *, classify: Classify | None = None) -> SubmitError:
    """Return the error that a submit without acceptance raises.

    Args:
        submission: The submit.
        done: Why it is over.
        now: When.
        classify: The service's table of error codes, if there is one.
    """
    last, attempts = submission.last, submission.attempts
    if done.reason is DoneReason.IN_DOUBT:
        why = f": {last.reason}" if isinstance(last, LostAnswer) else ""
        return SubmitInDoubt(
            f"the submit was, or may have been, sent, and its answer is lost{why} (given up at "
            f"{datetime.fromtimestamp(now.wall_s, UTC):%Y-%m-%d %H:%M:%S} UTC); there may be a task that will be "
            "billed, and its id is not known here. Look for it at the service before anything is sent again",
            cause=cause_of(last, classify) if isinstance(last, LostAnswer) else None,
            request_id=last.request_id if last else None,
            attempts=attempts,
        )
    later_s = None if done.come_back_at_s is None else max(0.0, done.come_back_at_s - now.monotonic_s)
    match last:
        case Refused():
            return SubmitRefused(
                "the service refused the submit and would refuse it again as it is, nothing was accepted",
                cause=cause_of(last, classify),
                request_id=last.request_id,
                attempts=attempts,
            )
        case Unreachable():
            return SubmitNotSent(
                f"the service could not be reached, the submit surely never arrived: {last.reason}; "
                "check its address and the network",
                attempts=attempts,
                come_back_in_s=later_s,
            )
        case NoSlotFree():
            return SubmitNotSent(
                f"no slot came free before the submit's time was up, nothing was sent: {last.reason}",
                attempts=attempts,
                come_back_in_s=later_s or last.look_again_s,
            )
        case Throttled():
            when = "" if later_s is None else f" and asks to come back in {later_s:.0f} s"
            return SubmitThrottled(
                f"the service was too busy until the submit's time was up{when}, nothing was accepted",
                cause=cause_of(last, classify),
                request_id=last.request_id,
                attempts=attempts,
                come_back_in_s=later_s,
            )
        case _ if done.reason is DoneReason.DEADLINE:
            return SubmitNotSent("its turn did not come before its time was up, nothing was sent", attempts=attempts)
        case _:
            return SubmitThrottled(
                "the account is asked to stay away, or its own limits leave no turn, for longer than the submit's "
                "time, nothing was sent",
                attempts=attempts,
                come_back_in_s=later_s,
            )
