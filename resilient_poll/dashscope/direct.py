"""Creates that are answered with the result itself: no task, so nothing that could be asked for again. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from resilient_poll.dashscope.checking import shown
from resilient_poll.dashscope.keeping.filing import Filing
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.wire.endpoints import Endpoint
from resilient_poll.dashscope.wire.error_bodies import read_any_error_body, read_object, request_id_of
from resilient_poll.dashscope.wire.results import assets_of, made_nothing
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
from resilient_poll.http.messages import Answer
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Billing, Phase
from resilient_poll.machine.observations import AnsweredAtOnce, LostAnswer, Observation
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord

__all__ = [
    "checked_kind",
    "doubt",
    "file_name_of",
    "kept_result",
    "news_of_result",
    "outcome_of",
    "result_at_once",
    "standing_of_result",
    "task_instead",
]

LONGEST_LOGGED = 64 * 1024
"""A result without a URL is the thing itself: a text, a table of numbers. More than this fills a log."""
_NO_RESULT = frozenset({"request_id", "usage", "code", "message", "error", "status_code", "output", "id", "model"})
"""What stands beside a result, at the top of an answer."""
_OF_A_TASK = frozenset({"task_id", "task_status", "submit_time", "scheduled_time", "end_time", "code", "message"})
_EMPTY: tuple[object, ...] = (None, "", [], {})


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


def kept_result(answer: Answer, understood: Observation) -> Observation:
    """Return what the answer of a synchronous endpoint means: one of an unknown shape is a paid result, kept raw.

    What is no JSON object, gives an error as its reason, or speaks of a task stays in doubt.

    Args:
        answer: What came.
        understood: What it would mean where a task is made.
    """
    if not isinstance(understood, LostAnswer) or not 200 <= answer.status < 300:
        return understood
    body, error = read_object(answer.body), read_any_error_body(answer.body)
    if body is None or error.code is not None or error.message is not None or not _holds_something(body):
        return understood
    return AnsweredAtOnce(
        request_id=request_id_of(body),
        result=body,
        retry_after_s=understood.retry_after_s,
        retry_after_ignored=understood.retry_after_ignored,
    )


def _holds_something(body: Mapping[str, Any]) -> bool:
    output = body.get("output")
    if not isinstance(output, Mapping):
        return bool(output) or any(body[name] not in _EMPTY for name in body.keys() - _NO_RESULT)
    if output.get("task_id") is not None:
        return False  # Its id cannot be read, but there is a task.
    return any(output[name] not in _EMPTY for name in output.keys() - _OF_A_TASK)


def outcome_of(submission: Submission, endpoint: Endpoint, filing: Filing | None = None) -> DirectOutcome:
    """Return the outcome of a submit that was answered with a result.

    Args:
        submission: The submit.
        endpoint: Where it went.
        filing: What it is called in the ledger, where there is one.

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
        extension=endpoint.extension,
        entry_id=None if filing is None or filing.entry is None else filing.entry.entry_id,
    )


def news_of_result(answered: AnsweredAtOnce) -> str:
    """Return what a log must hold of a paid result that nobody may be left to take: its URLs, or else all of it."""
    urls = [asset.url for asset in assets_of(answered.result)]
    try:
        held = ", ".join(urls) if urls else json.dumps(answered.result)
    except RecursionError:
        held = "nested too deeply to be shown"
    cut = held if len(held) <= LONGEST_LOGGED else f"{held[:LONGEST_LOGGED]}… (cut here)"
    return f"request {answered.request_id or 'without an id'}: {cut}"


def result_at_once(submission: Submission, endpoint: Endpoint, filing: Filing | None = None) -> ResultAtOnce | None:
    """Return the error for a result where a task was asked for, or None if there is none."""
    if submission.answered is None:
        return None
    return ResultAtOnce(
        "the service made no task and answered with the result itself, which is in .outcome of this error",
        outcome_of(submission, endpoint, filing),
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


def file_name_of(outcome: DirectOutcome) -> str:
    """Return what the files of a result are named after: its request, or else what tells it from other results.

    Raises:
        ConfigurationError: It is no such result.
    """
    if not isinstance(outcome, DirectOutcome):
        raise ConfigurationError(
            f"what generate() returned can be saved here, not {shown(outcome)}; a task saves its own results"
        )
    mark = blake2b("\n".join(outcome.urls).encode(), digest_size=6).hexdigest()
    return outcome.request_id or f"result-{mark}"


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
