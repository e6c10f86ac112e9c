"""The client of a batch: no create leaves before its licence is on disk, and what is heard is on disk at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from resilient_poll.cli.batch.jobs import Line
from resilient_poll.cli.batch.state import StateFile, StateLost, Step
from resilient_poll.cli.keys import absolute, derived_key
from resilient_poll.cli.made import made_of
from resilient_poll.cli.watched_client import LONGEST_OUTPUT, OUTPUT
from resilient_poll.dashscope.client import DashScope
from resilient_poll.dashscope.client_core import Create
from resilient_poll.dashscope.keeping.filing import Filing
from resilient_poll.dashscope.many_core import Job
from resilient_poll.dashscope.settings import Settings
from resilient_poll.dashscope.wire.dialects import Dialect
from resilient_poll.ledger.entry import Entry as LedgerEntry
from resilient_poll.ledger.protocol import Ledger
from resilient_poll.machine.commands import Query, Submit
from resilient_poll.machine.lifecycle import Billing, Phase
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

    def target_of(self, key: str) -> str:
        """Return where a job's results go."""
        return self._lines[key].target

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

    def __init__(self, *, ledger: Ledger | None = None, **options: Any) -> None:
        super().__init__(ledger=ledger, **options)
        self._ledger = ledger

    def close(self) -> None:
        """Close the connections, as soon as creates that are out are answered or given up, and the ledger."""
        if self.is_forced_out:
            self._exchange.close()
            return  # What is out may still write into the ledger, until the process ends.
        try:
            super().close()
        finally:
            if self._ledger is not None:
                self._ledger.close()

    def idempotency_key_of(self, line: Line, state: str) -> str | None:
        """Return what the ledger calls a job: of the service, the account, the request, and the state that has it.

        Args:
            line: The job.
            state: Where the batch keeps its state.
        """
        if self._ledger is None or self._core.books is None:
            return None
        return derived_key(self._core.books.namespace, f"{line.key}\n{line.digest}", state, kind="batch")

    def entry_of(self, idempotency_key: str | None) -> LedgerEntry | None:
        """Return what the ledger has of a job, whatever happened since."""
        if self._ledger is None or self._core.books is None or idempotency_key is None:
            return None
        entry = self._ledger.find(self._core.books.namespace, idempotency_key)
        if entry is not None and entry.phase is Phase.SUBMITTING:
            self._ledger.settle_the_dead(now_wall_s=time.time())
            entry = self._ledger.get(entry.entry_id)
        return entry

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
        if create.filing is not None:
            self._file(create.filing, create, key)
        observation = super()._send_create(submission, create, command)
        self.recorder.heard(key, observation, lambda task_id: self.task(task_id).resume_token)
        return observation

    def _file(self, filing: Filing, create: Create, key: str) -> None:
        """Say in the ledger what it is about, and that a job which cost nothing is tried again."""
        output = absolute(self.recorder.target_of(key))
        kept = {OUTPUT: output} if len(output) <= LONGEST_OUTPUT else {}
        filing.about = {**filing.about, "endpoint": create.endpoint.path[:200], **kept}
        entry = None if filing.after is not None else self.entry_of(filing.key)
        # That it is sent at all is what the state and the options decided.
        if entry is not None and entry.phase is Phase.FAILED and entry.billing is Billing.NONE:
            filing.after = entry


def _what_came(observation: Observation) -> str:
    match observation:
        case Accepted():
            return f"its task {observation.task_id}, which may be billed: do not submit it again,"
        case AnsweredAtOnce():
            return f"its paid result ({', '.join(made_of(observation.result).urls) or 'without a URL'})"
        case _:
            return "that nothing was accepted for it"
