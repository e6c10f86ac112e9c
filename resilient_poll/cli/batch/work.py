"""A run of a batch: sends what is to be sent, waits, saves, prints, and stops when it is told to."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from resilient_poll.cli.accidents import report_of_surprise
from resilient_poll.cli.batch.jobs import JobFile, Line
from resilient_poll.cli.batch.plan import Fate
from resilient_poll.cli.batch.recording import RecordingClient
from resilient_poll.cli.batch.results import result_of, result_of_earlier_run
from resilient_poll.cli.batch.state import Entry, StateLost
from resilient_poll.cli.batch.view import BatchView
from resilient_poll.cli.error_reports import report_of_error
from resilient_poll.cli.exit_codes import ExitCode
from resilient_poll.cli.interrupts import Interrupted, Interrupts
from resilient_poll.cli.plan import Plan
from resilient_poll.cli.report import Report, error_words, report_of_direct, report_of_standing
from resilient_poll.cli.saving import IfThere, save_direct, save_task
from resilient_poll.dashscope.many_core import Finished, Job
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.task import Task
from resilient_poll.errors import (
    ConfigurationError,
    ResilientPollError,
    ResultAtOnce,
    SafeToSubmitAgain,
    SubmitInDoubt,
    TryAgain,
)
from resilient_poll.machine.lifecycle import Billing, Phase

__all__ = ["BatchWork", "Times"]

SAVERS = 4
"""How many results are fetched at once: they come from a store that is made for more, and share one line."""
PATIENCE_S = 5.0
"""How long an interrupted run waits for results that are being saved; the next run fetches the others."""
_GOOD_ENDS = frozenset({ExitCode.SUCCEEDED, ExitCode.PARTLY})
_ENDS = frozenset({ExitCode.SUCCEEDED, ExitCode.PARTLY, ExitCode.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long things may take, in seconds, and what ends it all.

    Attributes:
        submit_s: Each submit, from its turn.
        wait_s: Each wait, from acceptance.
        keep_going: Whether jobs are still sent after one has failed.
    """

    submit_s: float
    wait_s: float
    keep_going: bool = True


class BatchWork:
    """One run.

    Args:
        jobs: The jobs.
        fates: What is done with each, by its key.
        entries: What an earlier run left of each, by its key.
        client: Sends.
        view: Shows.
        times: How long things may take.
        may_replace: The keys of the jobs whose files may be replaced.
        keys: What the ledger calls the jobs, by their keys.
        plan: What the options say, for what is to be typed next.
    """

    def __init__(
        self,
        jobs: JobFile,
        fates: Mapping[str, Fate],
        entries: Mapping[str, Entry],
        client: RecordingClient,
        view: BatchView,
        times: Times,
        may_replace: Collection[str],
        keys: Mapping[str, str],
        plan: Plan,
    ) -> None:
        self._jobs = jobs
        self._fates = fates
        # As it was when this run began: the state goes on.
        self._before = MappingProxyType(dict(entries))
        self._client = client
        self._view = view
        self._times = times
        self._may_replace = may_replace
        self._keys = keys
        self._plan = plan
        self._lines = {line.key: line for line in jobs.lines}
        self._savers = _Savers(self._finish)
        self._unreadable: list[tuple[Line, ConfigurationError]] = []

    def carry_out(self, interrupts: Interrupts) -> str | None:
        """Do all there is to do.

        Args:
            interrupts: Who hears Ctrl-C and SIGTERM.

        Returns:
            The name of the signal that ended it, or None.
        """
        interrupts.on_deferred = self._view.on_signal
        try:
            with interrupts.twice():
                try:
                    self._do_all()
                except Interrupted as interruption:
                    # What was out was answered, or is in the state as sent: see the client's own leaving.
                    self._client.recorder.stop()
                    self._client.is_forced_out = interruption.forced
                    self._savers.end(PATIENCE_S)
                    return interruption.signal_name
                finally:
                    interrupts.finish()
        except Interrupted as interruption:
            self._client.is_forced_out = True  # It came while the first one was seen to.
            return interruption.signal_name
        return None

    def _do_all(self) -> None:
        for line in self._jobs.lines:
            match self._fates[line.key]:
                case Fate.REPEAT:
                    self._repeat(line)
                case Fate.DOUBT:
                    self._over(line, self._report_of_doubt(line), was_saving=False)
                case Fate.SAVE:
                    self._begin_saving(line, self._direct(line))
                case _:
                    pass
        going_on = [line for line in self._jobs.lines if self._fates[line.key] in {Fate.GO_ON, Fate.FETCH}]
        fresh = [line for line in self._jobs.lines if self._fates[line.key] is Fate.SEND]
        # First those that have a task: they hold the account's slots already.
        results = self._client.submit_many(
            self._to_send([*going_on, *fresh]), submit_timeout=self._times.submit_s, timeout=self._times.wait_s
        )
        for finished in results:
            self._begin_saving(self._lines[finished.label or ""], finished)
            if finished.error is not None and not self._times.keep_going:
                self._client.recorder.stop()
            if self._client.recorder.is_stopped and self._view.is_idle:
                break  # Whoever would still wait for a slot is not sent any more.
        for line, error in self._unreadable:
            self._over(line, report_of_error(error, task_id=None, creates=True, next_command=None), was_saving=False)
        self._savers.end(None)

    def _to_send(self, lines: Sequence[Line]) -> Iterator[Job]:
        for line in lines:
            if self._client.recorder.is_stopped:
                return
            try:
                job = replace(self._jobs.job(line), idempotency_key=self._keys.get(line.key))
            except ConfigurationError as error:
                self._unreadable.append((line, error))
                continue
            yield job

    def _repeat(self, line: Line) -> None:
        entry = self._before[line.key]
        self._view.over(result_of_earlier_run(line, entry.report or {}, entry.exit_code or 0), was_saving=False)

    def _direct(self, line: Line) -> DirectOutcome:
        entry = self._before[line.key]
        result = entry.result
        if result is None:
            urls = (entry.report or {}).get("urls") or []
            result = {"output": {"results": [{"url": url} for url in urls]}}
        return DirectOutcome(request_id=entry.request_id, billing=Billing.BILLED, attempts=1, result=result)

    def _begin_saving(self, line: Line, made: Finished[Task] | DirectOutcome) -> None:
        task = made.task if isinstance(made, Finished) else None
        self._view.saving(None if task is None else task.id)
        self._savers.add(line, made)

    def _finish(self, line: Line, made: Finished[Task] | DirectOutcome) -> None:
        """Save and report one job. Runs in a thread of its own."""
        try:
            report = self._saved(line, made)
        except ResilientPollError as error:
            report = self._report_of_error(line, error, made)
        except Exception as error:  # noqa: BLE001  # the last one who knows which job it was
            report = _report_of_surprise(error, made)
        if self._fates[line.key] is Fate.FETCH and not report.files:
            report = _report_of_lost_files(report, self._before[line.key])
        self._over(line, report)

    def _saved(self, line: Line, made: Finished[Task] | DirectOutcome) -> Report:
        if_there = IfThere.REPLACE if line.key in self._may_replace else IfThere.BESIDE
        if isinstance(made, Finished) and isinstance(made.error, ResultAtOnce):
            made = made.error.outcome
        if isinstance(made, DirectOutcome):
            return report_of_direct(made, files=save_direct(self._client, made, line.target, if_there))
        made.result()  # Raises what went wrong.
        assert made.task is not None  # noqa: S101  # it succeeded
        return report_of_standing(made.task.standing, files=save_task(made.task, line.target, if_there))

    def _report_of_error(self, line: Line, error: ResilientPollError, made: Finished[Task] | DirectOutcome) -> Report:
        if isinstance(made, Finished) and isinstance(made.error, ResultAtOnce):
            made = made.error.outcome
        if isinstance(made, DirectOutcome):
            return report_of_direct(made, problem=f"the result is paid and not on disk: {error.__cause__ or error}")
        return report_of_error(error, task_id=None, creates=True, next_command=self._settle(line, error))

    def _report_of_doubt(self, line: Line) -> Report:
        at, key = self._before[line.key].at, self._keys.get(line.key)
        look = "look for it at the service (resilient-poll list --remote, where the dialect can)"
        way = look if key is None else "settle it with reconcile"
        error = SubmitInDoubt(
            f"the submit of {line.label} was, or may have been, sent at {at}, and its answer is not known; there may "
            f"be a task that will be billed. It is not sent again: {way}, and give --resubmit-doubtful if there is none"
        )
        return report_of_error(error, task_id=None, creates=True, next_command=self._settle(line, error))

    def _settle(self, line: Line, error: Exception) -> str | None:
        """Return what to type about a job that is in doubt."""
        key = self._keys.get(line.key)
        return self._plan.reconcile_command(key) if isinstance(error, SubmitInDoubt) and key is not None else None

    def _over(self, line: Line, report: Report, *, was_saving: bool = True) -> None:
        report = replace(report, key=report.key or self._keys.get(line.key))
        if report.exit_code in _ENDS:
            self._client.recorder.ended(line.key, report.values(), int(report.exit_code))
        if not self._times.keep_going and report.exit_code not in _GOOD_ENDS:
            self._client.recorder.stop()
        self._view.over(result_of(line, report), was_saving=was_saving)


class _Savers:
    """The threads that save. They are left behind when the program ends."""

    def __init__(self, save: Callable[[Line, Finished[Task] | DirectOutcome], None]) -> None:
        self._save = save
        self._orders: queue.SimpleQueue[tuple[Line, Finished[Task] | DirectOutcome] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._is_left = False

    def add(self, line: Line, made: Finished[Task] | DirectOutcome) -> None:
        """Save one more."""
        self._orders.put((line, made))
        if len(self._threads) < SAVERS:
            thread = threading.Thread(target=self._work, name="resilient-poll-saver", daemon=True)
            self._threads.append(thread)
            thread.start()

    def end(self, patience_s: float | None) -> None:
        """Wait until all is saved; with a limit, until what is being saved is, or the time is up."""
        self._is_left = patience_s is not None
        until_s = None if patience_s is None else time.monotonic() + patience_s
        for _ in self._threads:
            self._orders.put(None)
        for thread in self._threads:
            thread.join(None if until_s is None else max(0.0, until_s - time.monotonic()))

    def _work(self) -> None:
        while (order := self._orders.get()) is not None and not self._is_left:
            self._save(*order)


def _report_of_surprise(error: Exception, made: Finished[Task] | DirectOutcome) -> Report:
    if isinstance(made, DirectOutcome):
        return report_of_direct(made, problem=f"unexpected {type(error).__name__}: the result is paid, and not on disk")
    if isinstance(error, StateLost):
        text = f"not sent: {error}"
        return Report(
            exit_code=ExitCode.OTHER,
            outcome="not_sent",
            safe_to_submit_again=SafeToSubmitAgain.YES,
            phase=Phase.NEW,
            billing=Billing.NONE,
            error=error_words("NotSent", text, try_again=TryAgain.LATER),
            notes=(text,),
        )
    doubt = "a create may be out, and there may be a task that will be billed" if made.task is None else None
    standing = None if made.task is None else made.task.standing
    return report_of_surprise(error, standing=standing, task_id=None, doubt=doubt, creates=True, next_command=None)


def _report_of_lost_files(report: Report, entry: Entry) -> Report:
    """Report a job that an earlier run had finished, and whose files are gone for good, or for now."""
    files = ", ".join((entry.report or {}).get("files") or [])
    why = (report.error or {}).get("text") or report.outcome
    text = f"it was finished and is paid, its files are gone ({files}), and they could not be fetched again: {why}"
    # What is heard of it now, perhaps that the service has forgotten it, changes nothing of its bill.
    return Report(
        exit_code=ExitCode.OTHER,
        outcome="download_failed",
        safe_to_submit_again=SafeToSubmitAgain.NO,
        task_id=entry.task_id,
        phase=Phase.SUCCEEDED,
        billing=Billing.BILLED,
        error=error_words("NotSaved", text, try_again=TryAgain.NO),
        notes=(text,),
    )
