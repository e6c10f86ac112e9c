"""One accepted task, for code that blocks."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from resilient_poll.dashscope.client_core import Create
from resilient_poll.dashscope.outcome import GenerationOutcome
from resilient_poll.dashscope.saving.download import DOWNLOAD_S
from resilient_poll.dashscope.saving.order import order_of_bytes, order_of_task
from resilient_poll.dashscope.task_core import TaskCore
from resilient_poll.dashscope.workers.bells import Bell, Woken, bells_of
from resilient_poll.drive.sync_driver import Machine, run, step
from resilient_poll.errors import Standing, TaskError
from resilient_poll.events import Event
from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.commands import Query, Submit
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.policy import OnTimeout
from resilient_poll.machine.task_record import TaskRecord

if TYPE_CHECKING:
    from resilient_poll.dashscope.client import DashScope

__all__ = ["Task"]


class Task(TaskCore):
    """One accepted task. Made by :meth:`DashScope.submit` and :meth:`DashScope.task`.

    Attributes:
        outcome: What was made, once it is known.
    """

    def __init__(
        self, client: DashScope, record: TaskRecord, create: Create | None = None, entry: Entry | None = None
    ) -> None:
        self._client = client
        self._clock = client._clock  # noqa: SLF001  # a task is a part of its client
        self._exchange = client._exchange  # noqa: SLF001  # as above
        self._saver = client._saver  # noqa: SLF001  # as above
        super().__init__(client._core, record, client._clock, create, entry)  # noqa: SLF001  # as above
        if create is not None:
            bells_of(client).tell_workers()

    def wait(
        self,
        timeout: float | None = None,
        *,
        deadline: datetime | None = None,
        on_timeout: OnTimeout | None = None,
    ) -> GenerationOutcome:
        """Wait until the task is done.

        Args:
            timeout: How many seconds to wait; 300 by default. The task is not cut by it.
            deadline: Until when to wait, with a time zone; the earlier of the two holds.
            on_timeout: What becomes of the task then: ``"keep_running"``, or ``"cancel"``, which asks the
                service to cancel it and looks once what came of that, all within 5 s. As the client's
                :class:`.WaitPolicy` says, unless given. Ctrl-C never cancels a task.

        Returns:
            What was made.

        Raises:
            StillGoing: The time is up. The task goes on: wait again, never submit again. Or it was cancelled
                because of that, and its ``phase`` says so; a result that came meanwhile is returned.
            ConfigurationError: The call makes no sense, or the dialect has no cancel; nothing was sent.
            TaskFailed: The service tried and gave up.
            TaskCanceled: Someone stopped it.
            TaskExpired: The service no longer, or never, knew it.
            PollRefused: The service refuses to say.
            ResultUnreadable: It succeeded, is paid, and its result cannot be read.
        """
        self._begin(self._policy_for(timeout, deadline, on_timeout))
        with self._saying_how_to_resume(), self._waking() as bell:
            done = run(Woken(self._in_turn(), bell, self._ask_now), self._ask, bell, self._core.publish)
            if (closing := self._closing_for(done)) is not None:
                machine = self._core.query_in_turn(closing.as_poller())
                done = run(machine, self._ask, self._clock, self._core.publish)
        self._hand_over()
        return self._conclude(done)

    def updates(
        self,
        timeout: float | None = None,
        *,
        deadline: datetime | None = None,
        on_timeout: OnTimeout | None = None,
    ) -> Iterator[Event]:
        """Wait like :meth:`wait`, and yield every change as it is seen.

        After the last one, :attr:`outcome` is set, or what :meth:`wait` would have raised
        is raised.

        Args:
            timeout: See :meth:`wait`.
            deadline: See :meth:`wait`.
            on_timeout: See :meth:`wait`.
        """
        self._begin(self._policy_for(timeout, deadline, on_timeout))
        with self._saying_how_to_resume(), self._waking() as bell:
            changes, publish = self._collector()
            machine: Machine = Woken(self._in_turn(), bell, self._ask_now)
            while True:
                done = step(machine, self._ask, bell, publish)
                while changes:
                    yield changes.pop(0)
                if done is None:
                    continue
                if (closing := self._closing_for(done)) is None:
                    break
                machine = self._core.query_in_turn(closing.as_poller())
        self._hand_over()
        self._conclude(done)

    def refresh(self) -> Standing:
        """Ask once where the task stands, as soon as the account's floors allow.

        Returns:
            Where it stands, whatever that is.

        Raises:
            StillGoing: The service did not answer in the time of one attempt.
            PollRefused: The service refuses to say.
        """
        machine, done = self._in_turn(), None
        with self._looking_once(), self._saying_how_to_resume():
            while done is None and not self._poller.was_answered:
                done = step(machine, self._ask, self._clock, self._core.publish)
            self._hand_over()
            return self._conclude_refresh(done)

    def _see(self, most_s: float) -> None:
        """Look once where it stands, and write that down. Nobody is told of its end by that."""
        machine, done = self._in_turn(), None
        with self._looking_once(most_s):
            while done is None and not self._poller.was_answered:
                done = step(machine, self._ask, self._clock, self._core.publish)

    def cancel(self) -> Standing:
        """Ask the service to cancel the task, then ask where it stands.

        Returns:
            Where it stands. It may have succeeded meanwhile, and is then billed.

        Raises:
            ConfigurationError: The dialect has no cancel; nothing was sent.
            CancelRefused: The service said no, or it is not known what it said.
        """
        request = self._cancel_request()
        self._clock.sleep(self._pause_before_cancel())
        try:
            what: Answer | ExchangeFailed = self._exchange.query(request, self._core.wait_policy.attempt_timeout_s)
        except ExchangeFailed as failure:
            what = failure
        said = self._answer_to_cancel(what)
        if said.refusal is not None:
            if self._is_unheard_of:
                with suppress(TaskError):
                    self.refresh()
            raise said.refusal()
        return self._after_cancel(self.refresh(), said.doubt)

    def download(self, path: str | os.PathLike[str], *, timeout: float = DOWNLOAD_S) -> Path:
        """Write what was made to a file, which appears under its name only when it is whole.

        Args:
            path: The file, a folder in which it gets the task's name, or a template; see
                :meth:`download_all`.
            timeout: How many seconds it may take, however slowly its bytes come; an hour by default.

        Returns:
            The file.

        Raises:
            TaskError: There is nothing to download, or there are several results.
            DownloadFailed: It is not on disk; the task stays paid.
        """
        self._single_asset()
        return self.download_all(path, timeout=timeout)[0]

    def download_all(self, path: str | os.PathLike[str], *, timeout: float = DOWNLOAD_S) -> tuple[Path, ...]:
        """Write everything that was made to files, each of which appears only when it is whole.

        Args:
            path: A folder, in which they get the task's name and their number; or a template
                with ``{task_id}``, ``{index}`` and ``{extension}``; or a file, before whose
                extension the number is put if there are several.
            timeout: How many seconds all of them may take.

        Returns:
            The files, in the order of the results. What failed inside the success has none, and an
            answer of an unknown shape may show none at all: see ``outcome.result``.

        Raises:
            TaskError: There is nothing to download yet.
            DownloadFailed: At least one is not on disk, and it says which; the others are. The task stays paid.
        """
        order = order_of_task(self, path, timeout)
        with self._telling_of_failure():
            return self._saver.save_all(order, self.refresh)

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the bytes of what was made as they come.

        Raises:
            TaskError: There is nothing to download, or there are several results.
            DownloadFailed: They broke off.
        """
        order = order_of_bytes(self)
        with self._telling_of_failure():
            yield from self._saver.pieces(order, self.refresh)

    def retry(self, *, accept_second_charge: bool = False, timeout: float | None = None) -> Task:
        """Create it once more, after an end that cost nothing. It makes a new task.

        It does so once: who wants another after that retries the new task.

        Args:
            accept_second_charge: Do it also where the first one was, or may have been, charged,
                or where it was created once more already.
            timeout: See :meth:`.DashScope.submit`.

        Returns:
            The new task; this one stays as it ended.

        Raises:
            ConfigurationError: The request is not known here, only the task's id; or the call makes no sense.
            TaskError: The task is not at an end, or its charge stands in the way; nothing was sent.
            SubmitError: See :meth:`.DashScope.submit`.
        """
        create = self._create_for_retry(accept_second_charge=accept_second_charge)
        with self._retrying():
            return self._client._submit(create, timeout)  # noqa: SLF001  # a task is a part of its client

    def _hand_over(self) -> None:
        if (note := self._file.to_hand_over(self._poller.record, self._now())) is not None:
            note()

    @contextmanager
    def _waking(self) -> Generator[Bell, None, None]:
        """Let :meth:`.DashScope.wake` have the wait ask now, while the block lasts."""
        bell = Bell(self._clock)
        with bells_of(self._client).waiting(self.id, bell):
            yield bell

    def _ask(self, command: Submit | Query) -> Observation:
        is_to_cancel = self._is_to_cancel()
        request = self._cancel_request() if is_to_cancel else self._query()
        try:
            what: Answer | ExchangeFailed = self._exchange.query(request, command.timeout_s)
        except ExchangeFailed as failure:
            what = failure
        if is_to_cancel:
            return self._hear_of_cancel(what)
        observation = self._understand(what)
        if (write := self._file.to_write(self._poller, observation, self._now(), self._token)) is not None:
            write()
        return observation
