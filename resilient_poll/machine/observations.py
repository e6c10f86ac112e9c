"""What can be heard: the machine's input.

A driver turns whatever the world did into one of these. They carry plain values only,
so that any service and any HTTP library can speak to the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from resilient_poll.machine.lifecycle import Billing

__all__ = [
    "Accepted",
    "AnsweredAtOnce",
    "LostAnswer",
    "NoSlotFree",
    "Observation",
    "Refused",
    "StatusSeen",
    "SubmitStarted",
    "Throttled",
    "Unreachable",
    "Unreadable",
]


@dataclass(frozen=True, slots=True)
class Observation:
    """What every observation may carry.

    Attributes:
        request_id: The service's id of the request, for its support desk.
    """

    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitStarted(Observation):
    """The driver is about to send the submit: the licence is used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered(Observation):
    """An answer with what was asked for.

    Attributes:
        retry_after_s: How long the service asks to be left alone, though it answered.
        retry_after_ignored: Why a ``Retry-After`` that was there is not in ``retry_after_s``.
    """

    retry_after_s: float | None = None
    retry_after_ignored: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(_Answered):
    """The service accepted the submit.

    Attributes:
        task_id: The service's id.
        status: The first status, if the answer had one.
    """

    task_id: str
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredAtOnce(_Answered):
    """The service answered with the result itself: there is no task, and nothing to wait for.

    Attributes:
        result: The whole answer, kept as it came.
    """

    result: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSeen(Observation):
    """The service answered with the task's status.

    Attributes:
        status: The service's own word.
        code: Its error code, if it gave one.
        message: Its explanation, if it gave one.
        result: The whole answer, kept as it came.
        result_readable: False if the status says success but the answer lacks what a
            success must have; the machine then asks again, a few times.
        made_nothing: Whether the answer itself says that a success made nothing, so that
            nothing is charged for it.
        ended_ago_s: How many seconds before this answer the task ended, if the service says when. It may be
            anything: its clock may be wrong.
        billing: What this word says of the bill, where it says something else than its phase.
        retry_after_s: How long the service asks to be left alone, though it answered.
        retry_after_ignored: Why a ``Retry-After`` that was there is not in ``retry_after_s``.
    """

    status: str
    code: str | None = None
    message: str | None = None
    result: Any = None
    result_readable: bool = True
    made_nothing: bool = False
    ended_ago_s: float | None = None
    billing: Billing | None = None
    retry_after_s: float | None = None
    retry_after_ignored: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Complaint(Observation):
    """An answer that may give a reason.

    Attributes:
        http_status: The HTTP status, if the service speaks HTTP and answered.
        code: The service's error code, if it gave one.
        message: Its explanation, if it gave one.
        says_retryable: Whether it calls this retryable itself, if it says so. Nothing here follows it.
    """

    http_status: int | None = None
    code: str | None = None
    message: str | None = None
    says_retryable: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deferring(_Complaint):
    """A complaint that may say when to come back.

    Attributes:
        retry_after_s: The readable ``Retry-After``, in seconds from the answer.
        retry_after_ignored: Why a ``Retry-After`` that was there is not in ``retry_after_s``.
    """

    retry_after_s: float | None = None
    retry_after_ignored: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttled(_Deferring):
    """The service refused for now: too many requests, or no capacity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable(_Deferring):
    """The request failed, and that says nothing about the task.

    For a submit it is said only if the request surely did not arrive.

    Attributes:
        reason: What went wrong, in one clause.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSlotFree(Observation):
    """A submit was not sent: as many tasks are open as may be, by what all who share the account know.

    Attributes:
        reason: What stands in its way, in one clause.
        look_again_s: After how many seconds it makes sense to ask again.
    """

    reason: str
    look_again_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable(Observation):
    """An answer came and cannot be read as the service's.

    Attributes:
        reason: What is wrong with it, in one clause.
        retry_after_s: The ``Retry-After`` beside it, in seconds from the answer: a cut body takes nothing from it.
        retry_after_ignored: Why a ``Retry-After`` that was there is not in ``retry_after_s``.
    """

    reason: str
    retry_after_s: float | None = None
    retry_after_ignored: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(_Deferring):
    """The service said no, and would say no again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LostAnswer(_Deferring):
    """A submit was, or may have been, sent, and what became of it is not known.

    Attributes:
        reason: What went wrong, in one clause.
    """

    reason: str
