"""What a worker's handler is given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Generic, TypeVar

from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.dashscope.outcome import DirectOutcome, GenerationOutcome
from resilient_poll.dashscope.task_core import TaskCore
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS
from resilient_poll.dashscope.workers.duty import Parcel
from resilient_poll.drive.outcome import cause_of
from resilient_poll.errors import SubmitError, SubmitRefused, TaskError
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.lifecycle import Billing, Phase
from resilient_poll.machine.observations import Refused

__all__ = ["HandedOver", "handed_over"]

AnyTask = TypeVar("AnyTask", bound=TaskCore)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver(Generic[AnyTask]):
    """What became of one submit, as a worker hands it to the application. Of ``outcome`` and ``error`` one is set.

    Attributes:
        idempotency_key: The key of its submit; of a submit without one, the key that was made up.
        attempt: Which attempt of that key, from 1.
        task_id: The service's id; None where no task was made.
        phase: The end that it came to.
        billing: What is owed.
        model: What made it.
        outcome: What was made.
        error: What :meth:`.Task.wait` or the submit would have raised.
        task: The task, to download what was made; None where no task was made.
    """

    idempotency_key: str
    attempt: int
    task_id: str | None
    phase: Phase
    billing: Billing
    model: str
    outcome: GenerationOutcome | DirectOutcome | None
    error: TaskError | SubmitError | None
    task: AnyTask | None

    def result(self) -> GenerationOutcome | DirectOutcome:
        """Return the outcome, or raise the error."""
        if self.outcome is None:
            assert self.error is not None  # noqa: S101  # one of the two is always there
            raise self.error
        return self.outcome


def handed_over(parcel: Parcel[AnyTask], core: ClientCore) -> HandedOver[AnyTask]:
    """Return what the handler is given of an end; it is said in the log and to the listener, too.

    Args:
        parcel: The end.
        core: The client's account.
    """
    entry, task = parcel.entry, parcel.task
    outcome: GenerationOutcome | DirectOutcome | None = None
    error: TaskError | SubmitError | None = None
    if task is not None:
        try:
            outcome = task._conclude(parcel.done)  # noqa: SLF001  # a task is a part of its client
        except TaskError as mistake:
            error = mistake
    elif entry.phase is Phase.SUCCEEDED:
        outcome = _result_at_once(entry)
    else:
        error = _refusal(entry, core)
    return HandedOver(
        idempotency_key=entry.key,
        attempt=entry.attempt,
        task_id=entry.task_id,
        phase=entry.phase if task is None else task.phase,
        billing=entry.billing if task is None else task.billing,
        model=entry.about.get("model", ""),
        outcome=outcome,
        error=error,
        task=task,
    )


def _result_at_once(entry: Entry) -> DirectOutcome:
    endpoint = ENDPOINTS.get(entry.about.get("endpoint", ""))
    return DirectOutcome(
        request_id=entry.request_id,
        billing=entry.billing,
        attempts=entry.sends,
        result=json.loads(entry.result or "null"),
        extension="bin" if endpoint is None else endpoint.extension,
    )


def _refusal(entry: Entry, core: ClientCore) -> SubmitRefused:
    said = Refused(request_id=entry.request_id, code=entry.code, message=entry.message)
    return SubmitRefused(
        "the service refused the submit and would refuse it again as it is, nothing was accepted",
        cause=cause_of(said, core.classify),
        request_id=entry.request_id,
        attempts=entry.sends,
    )
