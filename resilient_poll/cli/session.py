"""What every command does around its own work: connect, watch, and turn whatever happens into a report."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path
from types import MappingProxyType
from typing import Self

from resilient_poll.cli.accidents import report_of_interruption, report_of_surprise
from resilient_poll.cli.connecting import WatchedClock, connect
from resilient_poll.cli.consent import check_consent
from resilient_poll.cli.error_reports import report_of_error
from resilient_poll.cli.exit_codes import ExitCode, verdict_on_phase
from resilient_poll.cli.interrupts import Interrupted, Interrupts
from resilient_poll.cli.plan import PROGRAM, Plan, Wanted
from resilient_poll.cli.progress import HELD_RESULT, LISTING, Progress
from resilient_poll.cli.report import Report, report_of_direct
from resilient_poll.cli.saving import IfThere, save_direct, save_task
from resilient_poll.cli.watched_client import WatchedClient
from resilient_poll.dashscope.client import DashScope
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.task import Task
from resilient_poll.dashscope.wire.endpoints import ENDPOINTS
from resilient_poll.dashscope.wire.listing import ListedTask
from resilient_poll.errors import (
    ConfigurationError,
    DownloadFailed,
    ResilientPollError,
    ResultAtOnce,
    Standing,
    StillGoing,
    SubmitInDoubt,
    TaskError,
)
from resilient_poll.ledger.errors import NotSaved
from resilient_poll.machine.lifecycle import OPEN, Phase

__all__ = ["PROGRAM", "Plan", "Session", "Wanted", "check_makes_task", "is_synchronous"]


class _Stage(Enum):
    NOTHING_SENT = auto()
    CREATING = auto()
    GENERATING = auto()
    ASKING = auto()
    CANCELING = auto()
    SAVING = auto()


class Session:
    """One run of one command.

    Args:
        plan: What the options say.
        interrupts: Who hears Ctrl-C and SIGTERM.
    """

    def __init__(self, plan: Plan, interrupts: Interrupts) -> None:
        self._plan = plan
        self._interrupts = interrupts
        self._progress = Progress()
        self._stage = _Stage.NOTHING_SENT
        self._task: Task | None = None
        self._direct: DirectOutcome | None = None
        self._client: WatchedClient | None = None
        self._task_id = plan.task_id
        self._key: str | None = None
        interrupts.on_deferred = self._progress.on_deferred

    @classmethod
    def perform(cls, plan: Plan, interrupts: Interrupts, work: Callable[[Self, WatchedClient], Report]) -> Report:
        """Do a command's work.

        Args:
            plan: What the options say.
            interrupts: Who hears Ctrl-C and SIGTERM.
            work: The command's own part.

        Returns:
            What came of it, whatever that was.
        """
        session = cls(plan, interrupts)
        try:
            report = session._carry_out(work)
        finally:
            interrupts.finish()
        return replace(report, key=report.key or session._known_key)

    @property
    def _known_key(self) -> str | None:
        return self._key or (None if self._client is None else self._client.key)

    def _carry_out(self, work: Callable[[Self, WatchedClient], Report]) -> Report:
        try:
            with self._progress, self._connect() as client:
                return work(self, client)
        except ResilientPollError as error:
            return self._report_error(error)
        except Interrupted as interruption:
            return self._report_interruption(interruption)
        except Exception as error:  # noqa: BLE001  # the last one who knows that there is a task, and which
            if os.environ.get("RESILIENT_POLL_TRACEBACK") == "1":
                traceback.print_exc()
            return self._report_surprise(error)

    @property
    def progress(self) -> Progress:
        """What is shown meanwhile."""
        return self._progress

    def check_consent(self, risk: str, is_given: bool) -> None:  # the flag --yes
        """Ask before something that cannot be taken back; see :func:`.consent.check_consent`."""
        with self._progress.paused():
            check_consent(risk, is_given)

    def tell(self, line: str) -> None:
        """Tell something that stays on the terminal."""
        self._progress.tell(line)

    def submit(
        self, client: DashScope, wanted: Wanted, timeout_s: float, key: str | None = None
    ) -> Task | DirectOutcome:
        """Create a task; a signal waits until its id is in hand. What came at once instead is returned as well."""
        check_makes_task(wanted)
        self._tell_on_create("submitting")
        self._stage, self._key = _Stage.CREATING, key
        with self._interrupts.deferred():
            try:
                task = client.submit(
                    wanted.model,
                    wanted.what,
                    wanted.how,
                    endpoint=wanted.endpoint,
                    idempotency_key=key,
                    timeout=timeout_s,
                )
            except ResultAtOnce as error:
                made: DirectOutcome = error.outcome
                self._direct = made
                return made
            self._take(task, is_new=True)
        return task

    def make(self, client: DashScope, wanted: Wanted, timeout_s: float, key: str | None = None) -> Task | DirectOutcome:
        """Create a task, or ask for a result where the endpoint makes no tasks; see :meth:`submit`."""
        if not is_synchronous(wanted.endpoint):
            return self.submit(client, wanted, timeout_s, key)
        self._tell_on_create("asking for the result")
        self._progress.held_note = HELD_RESULT
        self._stage, self._key = _Stage.GENERATING, key
        with self._interrupts.deferred():
            try:
                self._direct = client.generate(
                    wanted.model,
                    wanted.what,
                    wanted.how,
                    endpoint=wanted.endpoint,
                    idempotency_key=key,
                    timeout=timeout_s,
                )
            except StillGoing as error:  # It made a task of it after all.
                task = client.task(error.resume_token or error.task_id)
                self._take(task, is_new=True)
                return task
        return self._direct

    def take_up(self, task: Task) -> Task:
        """Follow a task that the ledger knows."""
        self._take(task)
        return task

    def take_up_result(self, outcome: DirectOutcome) -> DirectOutcome:
        """Go on with a result that the ledger has."""
        self._direct = outcome
        return outcome

    def note_key(self, key: str) -> None:
        """Take in under what key the task is, for the report."""
        self._key = key

    def retry(self, client: DashScope, wanted: Wanted, timeout_s: float, key: str) -> Task:
        """Create a task once more, under the key of one that cost nothing; see :meth:`submit`."""
        self._tell_on_create("submitting")
        self._stage, self._key = _Stage.CREATING, key
        with self._interrupts.deferred():
            task = client.retry(key, wanted.model, wanted.what, wanted.how, endpoint=wanted.endpoint, timeout=timeout_s)
            self._take(task, is_new=True)
        return task

    def listing(self, tasks: Iterator[ListedTask]) -> Iterator[ListedTask]:
        """Read the service's list, page by page."""
        self._progress.begin(LISTING)
        yield from tasks

    def pick_up(self, client: DashScope) -> Task:
        """Take up the task that was typed."""
        assert self._plan.task_id is not None  # noqa: S101  # every command that calls this has the argument
        task = client.task(self._plan.task_id)
        self._take(task)
        return task

    def wait(self, task: Task, timeout_s: float) -> Standing:
        """Wait for success, and return where the task then stands."""
        self._progress.begin("waiting")
        task.wait(timeout_s)
        return task.standing

    def look(self, task: Task) -> Standing:
        """Ask once where a task stands."""
        self._progress.begin("asking")
        return task.refresh()

    def cancel(self, task: Task) -> Standing:
        """Cancel a task, and return where it then stands."""
        self._progress.begin("canceling")
        self._stage = _Stage.CANCELING
        return task.cancel()

    def save(
        self, client: DashScope, made: Task | DirectOutcome, target: str, if_there: IfThere | None = None
    ) -> tuple[Path, ...]:
        """Write everything that was made. What this command did not pay for can be asked for again."""
        if_there = if_there or (IfThere.BESIDE if self._plan.creates else IfThere.REFUSE)
        if self._plan.overwrite:
            if_there = IfThere.REPLACE
        self._progress.begin(f"saving to {target}")
        self._stage = _Stage.SAVING
        if isinstance(made, DirectOutcome):
            return save_direct(client, made, target, if_there)
        return save_task(made, target, if_there)

    def _take(self, task: Task, *, is_new: bool = False) -> None:
        self._task, self._task_id = task, task.id
        self._stage = _Stage.ASKING
        if is_new:
            self._progress.accepted(task)
        else:
            self._progress.watch(task)

    def _connect(self) -> WatchedClient:
        clock = WatchedClock(self._interrupts, self._progress)
        self._client = connect(self._plan, clock, self._progress.on_event, self._progress.tell)
        return self._client

    def _tell_on_create(self, doing: str) -> None:
        """Tell what is done once it is: a call that makes no sense never gets there."""
        assert self._client is not None  # noqa: S101  # whoever is here was given it
        self._client.on_create = lambda: self._progress.begin(doing)

    def _where_to_look(self) -> str | None:
        """Return what shows a task whose id was never heard, where the service can list."""
        client = self._client
        if client is None or client.created_after is None or self._task is not None:
            return None
        if client.key is not None and self._stage in _DOUBTS:
            return self._plan.reconcile_command(client.key)
        if not client.can_list:
            return None
        return self._plan.list_command(client.created_after) if self._stage is _Stage.CREATING else None

    def _report_error(self, error: ResilientPollError) -> Report:
        if self._direct is not None:
            return report_of_direct(self._direct, problem=_about_a_request(error, self._direct))
        task_id = error.task_id if isinstance(error, TaskError | NotSaved) else None
        verb = None
        if isinstance(error, DownloadFailed):
            verb = "download"
        elif isinstance(error, NotSaved) or (isinstance(error, TaskError) and error.phase in OPEN | {Phase.SUCCEEDED}):
            verb = "wait"
        next_command = self._plan.command(verb, task_id) if verb and task_id else None
        verdict, aside = self._unheard(error)
        return report_of_error(
            error,
            task_id=self._task_id,
            creates=self._plan.creates and self._task_id is None,
            next_command=self._where_to_look() if isinstance(error, SubmitInDoubt) else next_command,
            verdict=verdict,
            aside=aside,
        )

    def _unheard(self, error: ResilientPollError) -> tuple[tuple[ExitCode, str] | None, str | None]:
        """Return the verdict on a question that reached nobody, and what became of a cancel."""
        client = self._client
        if client is None or not isinstance(error, StillGoing):
            return None, None
        is_unheard = not (self._plan.creates or client.was_answered or client.may_have_canceled)
        aside = client.fate_of_cancel if self._stage is _Stage.CANCELING else None
        return ((ExitCode.THROTTLED, "not_reached") if is_unheard else None), aside

    def _report_surprise(self, error: Exception) -> Report:
        if self._direct is not None:
            name = f"unexpected {type(error).__name__} (RESILIENT_POLL_TRACEBACK=1 shows more)"
            return report_of_direct(self._direct, problem=f"{name}: {_RESULT_IN_HAND}")
        standing = None if self._task is None else self._task.standing
        verb = "download" if self._stage is _Stage.SAVING else "wait"
        return report_of_surprise(
            error,
            standing=standing,
            task_id=self._task_id,
            doubt=_DOUBTS.get(self._stage),
            creates=self._plan.creates,
            next_command=self._where_to_look() if self._task_id is None else self._plan.command(verb, self._task_id),
        )

    def _report_interruption(self, interruption: Interrupted) -> Report:
        if self._direct is not None:
            return report_of_direct(
                self._direct, problem=f"interrupted ({interruption.signal_name}): {_RESULT_IN_HAND}"
            )
        if self._task is None:
            verdict, meaning = self._meaning_without_task(interruption)
            return report_of_interruption(
                interruption.signal_name,
                verdict,
                meaning,
                task_id=self._task_id,
                creates=self._plan.creates,
                next_command=self._where_to_look() if interruption.forced else None,
            )
        standing = self._task.standing
        verdict, verb, meaning = _meaning_with_task(self._stage, standing)
        return report_of_interruption(
            interruption.signal_name,
            verdict,
            f"task {standing.task_id} {meaning}",
            standing=standing,
            next_command=self._plan.command(verb, standing.task_id),
        )

    def _meaning_without_task(self, interruption: Interrupted) -> tuple[tuple[ExitCode, str], str]:
        if interruption.forced:
            return (ExitCode.IN_DOUBT, "in_doubt"), (
                "the submit was, or may have been, sent, and its answer was not awaited; "
                f"{_DOUBTS[self._stage]}. Submitting again may pay twice."
            )
        if not self._plan.creates:
            return (ExitCode.OTHER, "interrupted"), "nothing was changed."
        was_sent = self._stage in _DOUBTS and self._progress.story.trouble is not None
        said = "nothing was accepted" if was_sent else "nothing was sent"
        return (ExitCode.OTHER, "interrupted"), f"{said}."


_DOUBTS: Mapping[_Stage, str] = MappingProxyType(
    {
        _Stage.CREATING: (
            "there may be a task that will be billed, and its id is not known here. Look for it at the service before "
            "anything is sent again"
        ),
        _Stage.GENERATING: "it may be billed, and there is no task by which its result could be found",
    }
)
"""What may be owed if the stage is broken off in its middle."""
_RESULT_IN_HAND = "the result came and is paid, and it is not on disk; there is no task to ask for it again"


def is_synchronous(endpoint: str) -> bool:
    """Tell whether an endpoint is known to answer with the result itself, by its name or by its path."""
    return any(known.is_synchronous and endpoint in {known.name, known.path} for known in ENDPOINTS.values())


def check_makes_task(wanted: Wanted) -> None:
    """Refuse an endpoint that makes no task.

    Raises:
        ConfigurationError: It answers with the result itself.
    """
    if is_synchronous(wanted.endpoint):
        raise ConfigurationError(
            f"the endpoint {wanted.endpoint!r} answers with the result itself and makes no task: use run; "
            "nothing was sent"
        )


def _about_a_request(error: ResilientPollError, outcome: DirectOutcome) -> str:
    """Return what an error says, of a request where it would speak of a task: there is none."""
    if not isinstance(error, TaskError):
        return str(error)
    why = f": {error.__cause__}" if error.__cause__ is not None else ""
    return f"request {outcome.request_id or 'without an id'}: {_RESULT_IN_HAND}{why}"


def _meaning_with_task(stage: _Stage, standing: Standing) -> tuple[tuple[ExitCode, str], str, str]:
    if stage is _Stage.SAVING:
        return (
            (ExitCode.OTHER, "download_failed"),
            "download",
            "succeeded and is paid, and what it made is not on disk.",
        )
    if stage is _Stage.CANCELING:
        return (ExitCode.STILL_GOING, "still_going"), "status", "may have been canceled or not."
    if standing.phase not in OPEN:
        return verdict_on_phase(standing.phase), "status", f"ended ({standing.status})."
    # Of a task that was picked up by its id and not heard of yet, not even that is known.
    going = "goes on at the service" if standing.status else "is not affected by that"
    return (ExitCode.STILL_GOING, "still_going"), "wait", f"{going}; do not submit it again."
