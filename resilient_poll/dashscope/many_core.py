"""What both clients share of many jobs at once: what goes in, what comes out, and what is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import length_hint
from typing import Any, Generic, TypeVar

from resilient_poll.dashscope.cancelling import checked_on_timeout
from resilient_poll.dashscope.client_core import ClientCore, Create
from resilient_poll.dashscope.outcome import GenerationOutcome
from resilient_poll.dashscope.task_core import TaskCore, wall_s_of
from resilient_poll.dashscope.wire.dialects import Dialect
from resilient_poll.dashscope.wire.endpoints import VIDEO, Endpoint
from resilient_poll.drive.telling import logger
from resilient_poll.errors import ConfigurationError, ResilientPollError
from resilient_poll.events import BatchProgress, Event, JobAccepted
from resilient_poll.machine.batch import Batch
from resilient_poll.machine.commands import Settled, Submit, Turn
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lifecycle import Phase
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.policy import OnTimeout, SubmitPolicy, WaitPolicy
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord

__all__ = ["WORKERS", "Finished", "Job", "Live", "ManyDesk", "Waits", "checked_tasks", "checked_workers"]

WORKERS = 8
"""How many requests may be out at once: eight of 0.4 s each are the 20 a second that an account has."""
MOST_WORKERS = 1000
AnyTask = TypeVar("AnyTask", bound=TaskCore)


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to be made; see :meth:`.DashScope.submit`.

    Attributes:
        model: The model's name.
        input: What to make, in the service's own words.
        parameters: How to make it.
        endpoint: What it is: a name of ``ENDPOINTS``, or a path.
        label: What you call it; it comes back with the result.
        idempotency_key: What the ledger calls it; see :meth:`.DashScope.submit`.
    """

    model: str
    input: Mapping[str, Any]
    parameters: Mapping[str, Any] | None = None
    endpoint: str | Endpoint = VIDEO
    label: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Finished(Generic[AnyTask]):
    """What came of one of many.

    Attributes:
        ordinal: Which job or task, from 0, in the order in which they were given.
        label: What its job is called, if anything.
        task: Its task; None if none was accepted, or if it is not known whether one was.
        outcome: What was made; None if there was an error.
        error: What :meth:`.DashScope.submit` or :meth:`.Task.wait` would have raised; None if it succeeded.
    """

    ordinal: int
    label: str | None
    task: AnyTask | None
    outcome: GenerationOutcome | None
    error: Exception | None

    def result(self) -> GenerationOutcome:
        """Return the outcome, or raise the error."""
        if self.outcome is None:
            assert self.error is not None  # noqa: S101  # one of the two is always there
            raise self.error
        return self.outcome


@dataclass(slots=True)
class Live(Generic[AnyTask]):
    """One that is not over.

    Attributes:
        label: What its job is called.
        create: What is to be created; None where the task was there already.
        submission: Its submit.
        task: Its task, once it was accepted.
    """

    label: str | None
    create: Create | None
    submission: Submission | None
    task: AnyTask | None = None

    def asked(self) -> Create:
        """Return what is to be created, of one that is to be submitted."""
        assert self.create is not None  # noqa: S101  # submits have one
        return self.create

    def submitted(self) -> Submission:
        """Return the submit, of one that is to be submitted."""
        assert self.submission is not None  # noqa: S101  # as above
        return self.submission


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long things may take.

    Attributes:
        submit_timeout_s: Each submit, from its turn; None for the client's own.
        timeout_s: Each wait, from acceptance; None for the client's own.
        deadline: The end of it all, with a time zone.
        on_timeout: What becomes of a task whose wait's time is up; None for the client's own.
    """

    submit_timeout_s: float | None = None
    timeout_s: float | None = None
    deadline: datetime | None = None
    on_timeout: OnTimeout | None = None

    def policy(self, usual: WaitPolicy, dialect: Dialect) -> WaitPolicy:
        """Return the limits of each wait.

        Raises:
            ConfigurationError: They make no sense, or the dialect cannot cancel.
        """
        if self.on_timeout is not None:
            usual = replace(usual, on_timeout=checked_on_timeout(self.on_timeout, dialect))
        if self.timeout_s is not None:
            usual = replace(usual, timeout_s=self.timeout_s)
        if self.deadline is not None:
            usual = replace(usual, deadline_wall_s=wall_s_of(self.deadline))
        return usual

    def check(self, usual: SubmitPolicy) -> None:
        """Find out now whether the limits of each submit make sense.

        Raises:
            ConfigurationError: They do not.
        """
        if self.submit_timeout_s is not None:
            replace(usual, timeout_s=self.submit_timeout_s)

    def deadline_s(self, now: Instant) -> float | None:
        """Return the end of it all in monotonic seconds, if there is one."""
        return None if self.deadline is None else now.at_wall(wall_s_of(self.deadline)).monotonic_s


class ManyDesk(Generic[AnyTask]):
    """Where jobs become entries of a batch, and what came of them becomes results.

    Args:
        core: The client's account.
        now: Says what time it is.
        batch: The batch.
        waits: How long it may take.
        new_task: Makes the client's task of a record.
        note: Is given what notes in the ledger that the caller has a result; it may wait for a disk.
        jobs: What to do; it is read as it is needed.
        tasks: What was accepted already, and is waited for.

    Raises:
        ConfigurationError: The times make no sense; nothing was sent.
    """

    def __init__(
        self,
        core: ClientCore,
        now: Callable[[], Instant],
        batch: Batch,
        waits: Waits,
        new_task: Callable[[TaskRecord, Create | None], AnyTask],
        note: Callable[[Callable[[], None]], None],
        *,
        jobs: Iterable[Job] = (),
        tasks: Sequence[AnyTask] = (),
    ) -> None:
        self._core = core
        self._now = now
        self._batch = batch
        self._new_task = new_task
        self._note = note
        self._jobs = iter(jobs)
        self._tasks = tasks
        self._untaken = length_hint(jobs)
        self._submit_timeout_s = waits.submit_timeout_s
        self._policy = waits.policy(core.wait_policy, core.settings.dialect)
        waits.check(core.submit_policy)
        self.live: dict[int, Live[AnyTask]] = {}
        self._left: dict[int, Live[AnyTask]] = {}
        self._why_left: BaseException = GeneratorExit()
        self._fault: Exception | None = None
        self._finished = self._failed = 0
        self._shown: tuple[int, ...] = ()

    def begin(self, now: Instant) -> None:
        """Put tasks that were accepted already into the batch, all at once; see :class:`.Desk`."""
        for task in self._tasks:
            task._begin(self._policy)  # noqa: SLF001  # a task is a part of its client
            self.live[self._batch.add(task._poller, now, self._policy)] = Live(None, None, None, task)  # noqa: SLF001  # as above
        if self._tasks:
            self._batch.no_more()

    def take(self, now: Instant) -> Finished[AnyTask] | None:
        """Put the next job into the batch; see :class:`.Desk`."""
        try:
            job: object = next(self._jobs)
        except StopIteration:
            self._batch.no_more()
            return None
        except Exception as fault:  # noqa: BLE001  # the caller's own; raised once all that is paid is told of
            self._fault = fault
            self._batch.no_more()
            self._untaken = 0
            logger.warning("the jobs could not be read to their end (%s); those that were taken go on", fault)
            return None
        self._untaken = max(0, self._untaken - 1)
        if not isinstance(job, Job):
            self._failed += 1
            wrong = ConfigurationError(f"a job must be a Job, not {type(job).__name__}; nothing was sent for it")
            return self._over(Finished(self._batch.skip(), None, None, None, wrong))
        try:
            create = self._core.new_create(
                job.endpoint,
                job.model,
                job.input,
                job.parameters,
                is_synchronous=False,
                idempotency_key=job.idempotency_key,
            )
        except Exception as error:  # noqa: BLE001  # a mapping of the caller's own raises what it likes; nothing was sent
            self._failed += 1
            return self._over(Finished(self._batch.skip(), job.label, None, None, error))
        submission = self._core.new_submission(self._submit_timeout_s, now, create, is_in_order=True)
        self.live[self._batch.add(submission, now)] = Live(job.label, create, submission)
        return None

    def settle(self, settled: Settled, now: Instant) -> Finished[AnyTask] | None:
        """Go on with an accepted job, or return what came of one; see :class:`.Desk`."""
        live = self.live[settled.ordinal]
        outcome: GenerationOutcome | None = None
        error: Exception | None = None
        try:
            if live.task is None and live.submission is not None:
                record = self._core.accept(
                    live.submission, settled.done, now, live.asked().endpoint, live.asked().filing
                )
                self._go_on(settled.ordinal, live, self._new_task(record, live.create), now)
                return None
            if live.task is not None and (closing := live.task._closing_for(settled.done)) is not None:  # noqa: SLF001  # a task is a part of its client
                self._batch.go_on(settled.ordinal, closing.as_poller(), closing.policy, now)
                return None
            if live.task is not None:
                outcome = live.task._conclude(settled.done)  # noqa: SLF001  # a task is a part of its client
        except ResilientPollError as mistake:
            error = mistake
            self._failed += 1
        return self._finish(settled.ordinal, live, outcome, error)

    def lose(self, turn: Turn, error: Exception, now: Instant) -> Finished[AnyTask]:
        """Return the result of a job whose request broke; see :class:`.Desk`."""
        live = self.live[turn.ordinal]
        # Where the client is closed nothing can be sent, and the others hear of it at once.
        self._batch.forget(turn.ordinal, now, frees_slot=isinstance(error, ConfigurationError))
        self._failed += 1
        self._say_that_it_goes_on(live, error, now)
        return self._finish(turn.ordinal, live, None, error)

    def take_late(self, turn: Turn, observation: Observation | None, now: Instant) -> None:
        """Take in what came of a submit after the caller left; see :class:`.Desk`."""
        live, left = self.live.get(turn.ordinal), self._left.pop(turn.ordinal, None)
        one = left or live
        if one is None or one.submission is None or not isinstance(turn.command, Submit):
            return
        submission = one.submission
        if observation is not None and submission.phase is Phase.SUBMITTING and submission.accepted is None:
            submission.receive(observation, now)
        if left is not None:
            self._core.broken_off(submission, self._why_left, now)

    def publish(self, event: Event) -> None:
        """Tell an event."""
        self._core.publish(event)

    def show_progress(self, now: Instant) -> None:
        """Tell where the jobs stand, if that changed; see :class:`.Desk`."""
        counts = self._batch.counts
        queued = self._untaken + counts.waiting
        shown = (queued, counts.submitting, counts.open, self._finished, self._failed)
        if shown != self._shown:
            self._shown = shown
            self._core.publish(BatchProgress(None, now.monotonic_s, *shown))

    def hand_out(self, finished: Finished[AnyTask]) -> None:
        """The caller has a result; see :class:`.Desk`."""
        live, now = self.live.pop(finished.ordinal, None), self._now()
        if finished.task is not None:
            told = finished.task._file.to_hand_over(finished.task._poller.record, now)  # noqa: SLF001  # as above
        else:
            told = None if live is None else self._core.note_of_end(live.asked(), finished.error, now)
        if told is not None:
            self._note(told)

    def leave(self, interruption: BaseException) -> None:
        """Say of every job whose result the caller has not got what may be owed; see :class:`.Desk`."""
        now = self._now()
        self._batch.leave(now)
        live, self.live, self._why_left = self.live, {}, interruption
        for ordinal, one in live.items():
            if one.submission is not None and one.submission.phase is Phase.SUBMITTING and not one.submission.accepted:
                self._left[ordinal] = one  # Its answer may still come.
            self._say_that_it_goes_on(one, interruption, now)

    def end(self) -> None:
        """Raise what kept the jobs from being read to their end, if anything did."""
        if self._fault is not None:
            raise self._fault

    def _go_on(self, ordinal: int, live: Live[AnyTask], task: AnyTask, now: Instant) -> None:
        live.task = task
        self._core.publish(JobAccepted(task.id, now.monotonic_s, ordinal, live.label))
        task._begin(self._policy)  # noqa: SLF001  # a task is a part of its client
        self._batch.go_on(ordinal, task._poller, self._policy, now)  # noqa: SLF001  # as above

    def _finish(
        self, ordinal: int, live: Live[AnyTask], outcome: GenerationOutcome | None, error: Exception | None
    ) -> Finished[AnyTask]:
        return self._over(Finished(ordinal, live.label, live.task, outcome, error))

    def _over(self, finished: Finished[AnyTask]) -> Finished[AnyTask]:
        self._finished += 1
        return finished

    def _say_that_it_goes_on(self, live: Live[AnyTask], why: BaseException, now: Instant) -> None:
        if live.task is None:
            if live.submission is not None:
                self._core.broken_off(live.submission, why, now)
            return
        is_ended = live.task._poller.record.is_ended  # noqa: SLF001  # a task is a part of its client
        logger.warning(
            "the wait for task %s was left (%s); the task %s, do not submit it again. Resume token %s",
            live.task.id,
            type(why).__name__,
            "has ended, and its result was not handed out" if is_ended else "goes on at the service",
            live.task.resume_token,
        )


def checked_workers(workers: int) -> int:
    """Return a number of workers.

    Raises:
        ConfigurationError: It makes no sense.
    """
    if not _is_a(int, workers) or isinstance(workers, bool) or not 1 <= workers <= MOST_WORKERS:
        raise ConfigurationError(f"workers must be a whole number from 1 to {MOST_WORKERS}, not {workers!r}")
    return workers


def checked_tasks(tasks: Iterable[AnyTask], core: ClientCore) -> Sequence[AnyTask]:
    """Return tasks that can be waited for together.

    Raises:
        ConfigurationError: One is none, is of another client, or is there twice.
    """
    checked = list(tasks)
    for task in checked:
        if not _is_a(TaskCore, task):
            raise ConfigurationError(f"{task!r:.80} is no task; client.task() makes one of an id or token")
        if task._core is not core:  # noqa: SLF001  # a task is a part of its client
            raise ConfigurationError(f"task {task.id} belongs to another client; wait for it there")
    if len({id(task) for task in checked}) < len(checked):
        raise ConfigurationError("one of the tasks is there twice; each can have one wait at a time")
    return checked


def _is_a(kind: type, value: object) -> bool:
    # Types are hints at run time: callers without a type checker pass anything.
    return isinstance(value, kind)
