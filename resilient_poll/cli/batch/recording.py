"""The client of a batch: no create leaves before its licence is on disk, and what is heard is on disk at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from resilient_poll.cli.batch.jobs import Line
from resilient_poll.cli.batch.state import StateFile, StateLost, Step
from resilient_poll.cli.made import made_of
from resilient_poll.dashscope.client import DashScope
from resilient_poll.dashscope.client_core import Create
from resilient_poll.dashscope.many_core import Job
from resilient_poll.dashscope.settings import Settings
from resilient_poll.dashscope.wire.dialects import Dialect
from resilient_poll.machine.commands import Query, Submit
from resilient_poll.machine.observations import (
    Accepted,
    AnsweredAtOnce,
    Observation,
    Refused,
    Throttled,
    Unreachable,
)
from resilient_poll.machine.submission import Submission

__all__ = ["Recorder", "RecordingClient"]


class Recorder:
    """Writes what happens to each job into the state, from whichever thread it happens in.

    Args:
        state: The state.
        lines: The jobs, by their keys.
        known_tasks: The tasks of those that were accepted in an earlier run, by their keys.
        tell: Is told what the user must know at once: an id that could not be written.

    Attributes:
        trouble: Why the state could not be written, once that happened; nothing more is sent then.
    """

    def __init__(
        self,
        state: StateFile,
        lines: Mapping[str, Line],
        known_tasks: Mapping[str, str],
        tell: Callable[[str], None],
    ) -> None:
        self._state = state
        self._lines = lines
        self._known_tasks = known_tasks
        self._tell = tell
        self._is_stopped = threading.Event()
        self.trouble: str | None = None

    def stop(self) -> None:
        """Give no more licences."""
        self._is_stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Whether no more licences are given."""
        return self._is_stopped.is_set()

    def task_of(self, key: str) -> str | None:
        """Return the task that a job was accepted as in an earlier run."""
        return self._known_tasks.get(key)

    def license(self, key: str) -> None:
        """Take the one licence to send a job's create.

        Raises:
            StateLost: It could not be written, so the create must not leave.
        """
        if self._is_stopped.is_set():
            raise StateLost(self.trouble or "the batch was stopped")
        line = self._lines[key]
        try:
            self._state.note(key, Step.SUBMITTING, digest=line.digest, line=line.number)
        except StateLost as error:
            self._lose(error)
            raise

    def heard(self, key: str, observation: Observation, resume_token: Callable[[str], str]) -> None:
        """Write down what came of a create. What cannot be written is told, and never lost on the way."""
        try:
            match observation:
                case Accepted():
                    task_id = observation.task_id
                    self._state.note(key, Step.ACCEPTED, task_id=task_id, resume_token=resume_token(task_id))
                case AnsweredAtOnce():
                    self._state.note(key, Step.ANSWERED, result=observation.result, request_id=observation.request_id)
                case Throttled() | Refused() | Unreachable():
                    self._state.note(key, Step.FREE)
                case _:
                    pass  # The licence is used up, and nobody knows: that is what the state says already.
        except StateLost as error:
            self._lose(error)
            self._tell(f"{self._lines[key].label}: {_what_came(observation)} is not in the state file")

    def ended(self, key: str, report: Mapping[str, Any], exit_code: int) -> None:
        """Write down that all is done. If that cannot be written, a later run does the end of it again."""
        try:
            self._state.note(key, Step.ENDED, report={**report, "result": None}, exit_code=exit_code)
        except StateLost as error:
            self._lose(error)

    def _lose(self, error: StateLost) -> None:
        if self.trouble is None:
            self.trouble = str(error)
            self._tell(f"{error}; nothing more is sent")
        self.stop()


class RecordingClient(DashScope):
    """A client whose creates are licensed by a recorder. A job's key is the name of its create's endpoint.

    Attributes:
        recorder: Who keeps the state; set before anything is sent.
        is_forced_out: Whether creates that are out are not awaited any more: the state has them as sent.
    """

    recorder: Recorder
    is_forced_out: bool = False

    def close(self) -> None:
        """Close the connections, as soon as creates that are out are answered or given up."""
        if self.is_forced_out:
            self._exchange.close()
        else:
            super().close()

    @property
    def settings(self) -> Settings:
        """The service."""
        return self._core.settings

    @property
    def dialect(self) -> Dialect:
        """How the service speaks."""
        return self._core.settings.dialect

    def check(self, job: Job) -> None:
        """Find out whether a job can be sent.

        Raises:
            ConfigurationError: It cannot; nothing was sent.
        """
        self._core.new_create(job.endpoint, job.model, job.input, job.parameters, is_synchronous=False)

    def _send_create(self, submission: Submission, create: Create, command: Submit | Query) -> Observation:
        key = create.endpoint.name
        if (task_id := self.recorder.task_of(key)) is not None:
            # Accepted in an earlier run: its answer is known, it only takes its place among the others.
            return Accepted(request_id=None, task_id=task_id)
        self.recorder.license(key)
        observation = super()._send_create(submission, create, command)
        self.recorder.heard(key, observation, lambda task_id: self.task(task_id).resume_token)
        return observation


def _what_came(observation: Observation) -> str:
    match observation:
        case Accepted():
            return f"its task {observation.task_id}, which may be billed: do not submit it again,"
        case AnsweredAtOnce():
            return f"its paid result ({', '.join(made_of(observation.result).urls) or 'without a URL'})"
        case _:
            return "that nothing was accepted for it"
