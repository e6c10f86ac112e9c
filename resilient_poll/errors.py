"""The exception tree. The type says what the caller can do; the text says it in words.

::

    ResilientPollError
    ├── ConfigurationError (ValueError)   nothing was sent: mend the call
    ├── SnapshotError (ValueError)        nothing was sent: the token or snapshot cannot be used
    ├── SubmitError                       no task id is held
    │   ├── SubmitRefused                 the service said no: mend the request
    │   ├── SubmitThrottled               nothing was accepted: come back later
    │   ├── SubmitNotSent                 it surely never arrived: try again
    │   ├── SubmitInDoubt                 there may be a task: never send again unread
    │   └── ResultAtOnce                  no task was made: the result itself came, and is in ``outcome``
    ├── ListingFailed                     nothing was changed: ask again later
    └── TaskError                         a task id is held
        ├── StillGoing                    the task goes on: resume it, never submit again
        │   ├── StillQueued
        │   ├── StillRunning
        │   └── StillUnknown              the service does not say where it stands
        ├── TaskEnded
        │   ├── TaskFailed                read ``code`` and decide
        │   ├── TaskCanceled
        │   └── TaskExpired               the service no longer, or never, knew the id
        ├── PollRefused                   the service refuses to say: mend key or access, then resume
        ├── CancelRefused                 the service did not cancel
        ├── RetryRefused                  it was not created once more: both might be charged
        ├── ResultUnreadable              paid, and the answer makes no sense: the raw answer is kept
        └── DownloadFailed                paid, and not on disk: download again

None of these is a ``TimeoutError``, an ``OSError`` or an HTTP library's error: people
wrap calls in "retry on time-out", and that is how a task is paid twice.

Where the service gave a reason, ``kind`` says what sort it is and ``try_again`` whether trying again makes sense.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from resilient_poll.error_kinds import Cause, ErrorKind, Portable, SafeToSubmitAgain, TryAgain, advice, within
from resilient_poll.standing import Standing

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "CancelRefused",
    "ConfigurationError",
    "DownloadFailed",
    "ErrorKind",
    "ListingFailed",
    "PollRefused",
    "ResilientPollError",
    "ResultAtOnce",
    "ResultUnreadable",
    "RetryRefused",
    "SafeToSubmitAgain",
    "SnapshotError",
    "Standing",
    "StillGoing",
    "StillQueued",
    "StillRunning",
    "StillUnknown",
    "SubmitError",
    "SubmitInDoubt",
    "SubmitNotSent",
    "SubmitRefused",
    "SubmitThrottled",
    "TaskCanceled",
    "TaskEnded",
    "TaskError",
    "TaskExpired",
    "TaskFailed",
    "TryAgain",
]


_OWED = {
    "NOT_YET": "not billed so far, and it may still be billed",
    "ON_SUCCESS": "it will be billed if it succeeds",
    "BILLED": "it is billed",
    "NONE": "it is not billed",
    "PARTIAL_POSSIBLE": "a part of it may be billed",
    "UNDETERMINED": "whether it is billed is not known",
}
_AGAIN = {
    "yes": "Nothing is owed for it.",
    "no": "Do not submit again: that would pay twice.",
    "unknown": "Submitting again may pay twice.",
}


class ResilientPollError(Portable):
    """The root of every error that this package raises on purpose.

    Attributes:
        safe_to_submit_again: ``yes``, ``no`` or ``unknown``; only ``yes`` is true in an ``if``.
        kind: What sort of trouble the service reports; None where it reports none.
        try_again: Whether trying again makes sense; only ``yes`` is true in an ``if``.
    """

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.UNKNOWN
    kind: ErrorKind | None = None
    try_again: TryAgain = TryAgain.UNKNOWN
    _again: ClassVar[str] = "submit again"
    _is_about_the_submit: ClassVar[bool] = True

    def _explain(self, cause: Cause) -> str:
        """Take over what the service gave as its reason, and return what to do as a sentence with a space before it."""
        self.code = cause.code
        self.message = cause.message
        self.http_status = cause.http_status
        self.says_retryable = cause.says_retryable
        if cause.kind is None:
            return ""
        self.kind = cause.kind
        self.try_again = cause.try_again
        if self._is_about_the_submit:
            self.try_again = within(self.safe_to_submit_again, cause.try_again)
        return f" {advice(self.kind, self.try_again, self._again)}"


class ConfigurationError(ResilientPollError, ValueError):
    """The call makes no sense as it stands; nothing was sent.

    Args:
        summary: What is wrong, and what to do.
        safe_to_submit_again: Given where a submit was refused before it was sent. A call about
            a task that exists says nothing about that.
    """

    try_again: TryAgain = TryAgain.AFTER_A_CHANGE
    _is_about_the_submit: ClassVar[bool] = False

    def __init__(self, summary: str, *, safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.UNKNOWN) -> None:
        self.safe_to_submit_again = safe_to_submit_again
        super().__init__(summary)


class SnapshotError(ResilientPollError, ValueError):
    """A snapshot or resume token cannot be used; nothing was sent."""

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.NO
    try_again: TryAgain = TryAgain.AFTER_A_CHANGE
    _is_about_the_submit: ClassVar[bool] = False


class SubmitError(ResilientPollError):
    """A submit ended without a task id.

    Args:
        summary: What happened, in one sentence.
        cause: Why, as the service says it.
        request_id: The service's id of the request.
        attempts: How often it was sent.
        come_back_in_s: How many seconds from now asking again makes sense, if known.

    Attributes:
        code, message, http_status, says_retryable: see :class:`.Cause`.
    """

    def __init__(
        self,
        summary: str,
        *,
        cause: Cause | None = None,
        request_id: str | None = None,
        attempts: int = 0,
        come_back_in_s: float | None = None,
    ) -> None:
        cause = cause or Cause()
        what_to_do = self._explain(cause)
        self.request_id = request_id
        self.attempts = attempts
        self.come_back_in_s = come_back_in_s
        said = f" ({cause})" if str(cause) not in summary else ""
        asked = f" [request {request_id}]" if request_id else ""
        super().__init__(f"{summary}{said}. {_AGAIN[self.safe_to_submit_again]}{what_to_do}{asked}")


class SubmitRefused(SubmitError):
    """The service declined; nothing was accepted, and the same request would be declined again."""

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.YES
    try_again: TryAgain = TryAgain.AFTER_A_CHANGE


class SubmitThrottled(SubmitError):
    """The service was too busy until the submit's time was up; nothing was accepted."""

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.YES
    try_again: TryAgain = TryAgain.LATER


class SubmitNotSent(SubmitError):
    """The service could not be reached, or no slot came free in time; the request surely never arrived."""

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.YES
    try_again: TryAgain = TryAgain.LATER


class SubmitInDoubt(SubmitError):
    """The request was, or may have been, sent, and its answer is lost: there may be a task.

    Look for it at the service before anything is sent again.
    """

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.UNKNOWN


class ResultAtOnce(SubmitError):
    """The service made no task and answered with the result itself: it is paid, and it is in ``outcome``.

    Args:
        summary: What happened, in one sentence.
        outcome: What was made.
        request_id: The service's id of the request.
        attempts: How often it was sent.
    """

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.NO
    try_again: TryAgain = TryAgain.NO

    def __init__(self, summary: str, outcome: Any = None, *, request_id: str | None = None, attempts: int = 0) -> None:
        self.outcome = outcome
        super().__init__(summary, request_id=request_id, attempts=attempts)


class ListingFailed(ResilientPollError):
    """The service's list of tasks could not be read; nothing was changed.

    Args:
        summary: What happened, in one sentence without its full stop.
        cause: Why, as the service says it.
        request_id: The service's id of the last request.
        come_back_in_s: How many seconds from now asking again makes sense, if the service said.

    Attributes:
        code, message, http_status, says_retryable: see :class:`.Cause`.
    """

    try_again: TryAgain = TryAgain.LATER
    _again: ClassVar[str] = "ask again"
    _is_about_the_submit: ClassVar[bool] = False

    def __init__(
        self,
        summary: str,
        *,
        cause: Cause | None = None,
        request_id: str | None = None,
        come_back_in_s: float | None = None,
    ) -> None:
        cause = cause or Cause()
        what_to_do = self._explain(cause)
        self.request_id = request_id
        self.come_back_in_s = come_back_in_s
        said = f" ({cause})" if str(cause) not in summary else ""
        asked = f" [request {request_id}]" if request_id else ""
        super().__init__(f"{summary}{said}. Nothing was changed by asking.{what_to_do}{asked}")


class TaskError(ResilientPollError):
    """Something about one accepted task. Everything that is known of it comes along.

    Args:
        summary: What happened, in one sentence without its full stop.
        standing: Where the task stood.
        come_back_in_s: How many seconds from now asking again makes sense, if the service said.
        cause: Why the service refused to answer; what it said of the task itself, unless given.

    Attributes:
        task_id, phase, status, billing, request_id, polls, time_per_phase, resume_token,
        code, message, result: see :class:`Standing`.
        http_status, says_retryable: see :class:`.Cause`.
    """

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.NO
    try_again: TryAgain = TryAgain.NO

    def __init__(
        self, summary: str, standing: Standing, *, come_back_in_s: float | None = None, cause: Cause | None = None
    ) -> None:
        self.standing = standing
        self.task_id = standing.task_id
        self.phase = standing.phase
        self.status = standing.status
        self.billing = standing.billing
        self.request_id = standing.request_id
        self.polls = standing.polls
        self.time_per_phase = standing.time_per_phase
        self.resume_token = standing.resume_token
        self.result = standing.result
        self.come_back_in_s = come_back_in_s
        own = Cause(code=standing.code, message=standing.message, kind=standing.kind, try_again=standing.try_again)
        super().__init__(self._text(summary, standing, self._explain(cause or own)))

    def _text(self, summary: str, standing: Standing, what_to_do: str) -> str:
        # A status is a few letters; what is longer is no word, and would bury the sentence.
        word = f"last status {standing.status:.80}" if standing.status else "no status seen"
        spent = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in standing.time_per_phase.items() if seconds)
        parts = [
            f"task {standing.task_id}: {summary}",
            f" ({word}, {standing.polls} {'poll' if standing.polls == 1 else 'polls'}{', ' + spent if spent else ''})",
            f"; {_OWED[standing.billing.value]}. {_AGAIN[self.safe_to_submit_again]}{what_to_do}",
        ]
        if standing.resume_token is not None:
            parts.append(f" [resume token {standing.resume_token}]")
        if standing.request_id is not None:
            parts.append(f" [request {standing.request_id}]")
        return "".join(parts)


class StillGoing(TaskError):
    """The wait is over and the task is not. Resume it; never submit it again."""


class StillQueued(StillGoing):
    """The task had not started when the wait ended."""


class StillRunning(StillGoing):
    """The task was being made when the wait ended."""


class StillUnknown(StillGoing):
    """When the wait ended, the service did not say where the task stands."""


class TaskEnded(TaskError):
    """The task came to an end that is no success."""


class TaskFailed(TaskEnded):
    """The service tried and gave up; ``code`` and ``message`` say why."""

    try_again: TryAgain = TryAgain.UNKNOWN

    def __init__(
        self, summary: str, standing: Standing, *, come_back_in_s: float | None = None, cause: Cause | None = None
    ) -> None:
        # A failure is free in most tables, but a lifecycle may say otherwise, and a bill may be revised.
        is_free = standing.billing.value == "NONE"
        self.safe_to_submit_again = SafeToSubmitAgain.YES if is_free else SafeToSubmitAgain.UNKNOWN
        super().__init__(summary, standing, come_back_in_s=come_back_in_s, cause=cause)


class TaskCanceled(TaskEnded):
    """Someone, or the service's policy, stopped the task."""

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.UNKNOWN
    try_again: TryAgain = TryAgain.UNKNOWN


class TaskExpired(TaskEnded):
    """The service no longer, or never, knew the id."""

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.UNKNOWN
    try_again: TryAgain = TryAgain.UNKNOWN


class PollRefused(TaskError):
    """The service refuses to say how the task is doing. The task itself goes on."""

    try_again: TryAgain = TryAgain.UNKNOWN
    _again: ClassVar[str] = "wait again"
    _is_about_the_submit: ClassVar[bool] = False


class CancelRefused(TaskError):
    """The service did not cancel the task, or it is not known whether it did."""

    try_again: TryAgain = TryAgain.UNKNOWN
    _again: ClassVar[str] = "cancel it again"
    _is_about_the_submit: ClassVar[bool] = False


class RetryRefused(TaskError):
    """The task was not created once more: it is not at an end, or both may be charged; nothing was sent."""

    safe_to_submit_again: SafeToSubmitAgain = SafeToSubmitAgain.UNKNOWN
    try_again: TryAgain = TryAgain.UNKNOWN


class ResultUnreadable(TaskError):
    """The task succeeded and is paid, and its answer lacks a result; ``result`` keeps the answer."""


class DownloadFailed(TaskError):
    """The task succeeded and is paid, and not all of what it made is on disk.

    Attributes:
        saved, missing: The files that are on disk, whole, and those that are not and stay as they were.
    """

    def __init__(
        self, summary: str, standing: Standing, *, saved: tuple[Path, ...] = (), missing: tuple[Path, ...] = ()
    ) -> None:
        self.saved, self.missing = saved, missing
        super().__init__(summary, standing)
