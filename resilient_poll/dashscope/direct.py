"""Creates that are answered with the result itself: no task, so nothing that could be asked for again. Pure."""

from __future__ import annotations

from dataclasses import replace

from resilient_poll.dashscope.endpoints import Endpoint
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.results import made_nothing
from resilient_poll.drive.outcome import cause_of, standing_of
from resilient_poll.error_kinds import Classify
from resilient_poll.errors import (
    ConfigurationError,
    ResultAtOnce,
    SafeToSubmitAgain,
    Standing,
    StillGoing,
    StillQueued,
    StillRunning,
    SubmitInDoubt,
)
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Billing, Phase
from resilient_poll.machine.observations import LostAnswer
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord

__all__ = ["checked_kind", "doubt", "outcome_of", "result_at_once", "standing_of_result", "task_instead"]


def checked_kind(endpoint: Endpoint, *, is_synchronous: bool) -> Endpoint:
    """Return an endpoint that answers in the way that was asked for.

    Raises:
        ConfigurationError: It answers in the other way; nothing was sent.
    """
    if not endpoint.dialects:
        return replace(endpoint, is_synchronous=is_synchronous)  # A path of the caller's, who knows.
    if endpoint.is_synchronous is not is_synchronous:
        how = "with the result itself: use generate()" if endpoint.is_synchronous else "with a task: use submit()"
        raise ConfigurationError(
            f"the endpoint {endpoint.name!r} answers {how}; nothing was sent",
            safe_to_submit_again=SafeToSubmitAgain.YES,
        )
    return endpoint


def outcome_of(submission: Submission) -> DirectOutcome:
    """Return the outcome of a submit that was answered with a result.

    Raises:
        ValueError: It was not.
    """
    if submission.answered is None:
        raise ValueError("the submit was not answered with a result")
    result = submission.answered.result
    return DirectOutcome(
        request_id=submission.answered.request_id,
        billing=Billing.NONE if made_nothing(result) else Billing.BILLED,
        attempts=submission.attempts,
        result=result,
    )


def result_at_once(submission: Submission) -> ResultAtOnce | None:
    """Return the error for a result where a task was asked for, or None if there is none."""
    if submission.answered is None:
        return None
    return ResultAtOnce(
        "the service made no task and answered with the result itself, which is in .outcome of this error",
        outcome_of(submission),
        request_id=submission.answered.request_id,
        attempts=submission.attempts,
    )


def task_instead(record: TaskRecord, now: Instant, resume_token: str) -> StillGoing:
    """Return the error for a task where a result was asked for."""
    kind = StillRunning if record.phase is Phase.RUNNING else StillQueued
    said = "accepted, and the service made a task of it instead of answering with the result: wait for it"
    return kind(said, standing_of(record, now, resume_token))


def doubt(submission: Submission, classify: Classify) -> SubmitInDoubt:
    """Return the error for a synchronous create whose answer is lost."""
    last = submission.last
    why = f": {last.reason}" if isinstance(last, LostAnswer) else ""
    return SubmitInDoubt(
        f"the request was, or may have been, sent, and its answer is lost{why}; it may be billed, and there is no task "
        "by which the result could be found. It is not sent again by itself",
        cause=cause_of(last, classify) if isinstance(last, LostAnswer) else None,
        request_id=last.request_id if last else None,
        attempts=submission.attempts,
    )


def standing_of_result(outcome: DirectOutcome) -> Standing:
    """Return what an error says of a result without a task: the request's id stands in the place of a task's."""
    return Standing(
        task_id=outcome.request_id or "without an id",
        phase=Phase.SUCCEEDED,
        status=None,
        billing=outcome.billing,
        request_id=outcome.request_id,
        result=outcome.result,
    )
