"""Where a task stands, as errors carry it and calls return it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from resilient_poll.error_kinds import ErrorKind, TryAgain

if TYPE_CHECKING:
    from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["Standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a task stood when an error was raised.

    Attributes:
        task_id: The service's id.
        phase: The machine's word for where it stands.
        status: The service's own last word.
        billing: What may be owed.
        request_id: The service's id of the last request, for its support desk.
        polls: How many times it was asked about.
        time_per_phase: Seconds in each phase.
        resume_token: What another process needs to go on; None where there is no client
            that could read it.
        code: The service's error code, if it gave one.
        message: Its explanation, if it gave one.
        kind: What sort of trouble the code means, where the task failed or was cancelled.
        try_again: Whether a new submit makes sense then; see :class:`TryAgain`.
        result: The last answer about the task, as it came.
    """

    task_id: str
    phase: Phase
    status: str | None
    billing: Billing
    request_id: str | None = None
    polls: int = 0
    time_per_phase: Mapping[Phase, float] = field(default_factory=dict)
    resume_token: str | None = None
    code: str | None = None
    message: str | None = None
    kind: ErrorKind | None = None
    try_again: TryAgain = TryAgain.NO
    result: Any = field(default=None, repr=False)
