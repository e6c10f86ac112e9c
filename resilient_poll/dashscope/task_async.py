"""One accepted task, for code that awaits.

Line for line the blocking task; the tests hold their traces equal.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Generator
from contextlib import aclosing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from resilient_poll.dashscope.client_core import Create
from resilient_poll.dashscope.outcome import GenerationOutcome
from resilient_poll.dashscope.saving.download import DOWNLOAD_S
from resilient_poll.dashscope.saving.order import order_of_bytes, order_of_task
from resilient_poll.dashscope.task_core import TaskCore
from resilient_poll.dashscope.workers.bells import Woken, bells_of
from resilient_poll.dashscope.workers.bells_async import AsyncBell
from resilient_poll.drive.async_driver import run, step
from resilient_poll.drive.sync_driver import Machine
from resilient_poll.errors import Standing, TaskError
from resilient_poll.events import Event
from resilient_poll.http.messages import Answer, ExchangeFailed
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.commands import Query, Submit
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.policy import OnTimeout
from resilient_poll.machine.task_record import TaskRecord

if TYPE_CHECKING:
    from resilient_poll.dashscope.client_async import AsyncDashScope

__all__ = ["AsyncTask"]


class AsyncTask(TaskCore):
    """:class:`.Task` for code that awaits.

    Attributes:
        outcome: What was made, once it is known.
    """

    def __init__(
        self, client: AsyncDashScope, record: TaskRecord, create: Create | None = None, entry: Entry | None = None
    ) -> None:
        self._client = client
        self._clock = client._clock  # noqa: SLF001  # a task is a part of its client
        self._exchange = client._exchange  # noqa: SLF001  # as above
        self._saver = client._saver  # noqa: SLF001  # as above
        super().__init__(client._core, record, client._clock, create, entry)  # noqa: SLF001  # as above
        if create is not None:
            bells_of(client).tell_workers()

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # the machine's deadline: it makes a last poll before it
        *,
        deadline: datetime | None = None,
        on_timeout: OnTimeout | None = None,
    ) -> GenerationOutcome:
        """Wait until the task is done; see :meth:`.Task.wait`.

        Cancelling the waiting leaves the task going at the service, and the log says how
        to resume it.
        """
        self._begin(self._policy_for(timeout, deadline, on_timeout))
        with self._saying_how_to_resume(), self._waking() as bell:
            done = await run(Woken(self._in_turn(), bell, self._ask_now), self._ask, bell, self._core.publish)
            if (closing := self._closing_for(done)) is not None:
                machine = self._core.query_in_turn(closing.as_poller())
                done = await run(machine, self._ask, self._clock, self._core.publish)
        await self._hand_over()
        return self._conclude(done)

    async def updates(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # as above
        *,
        deadline: datetime | None = None,
        on_timeout: OnTimeout | None = None,
    ) -> AsyncIterator[Event]:
        """Wait like :meth:`wait`, and yield every change as it is seen; see :meth:`.Task.updates`."""
        self._begin(self._policy_for(timeout, deadline, on_timeout))
        with self._saying_how_to_resume(), self._waking() as bell:
            changes, publish = self._collector()
            machine: Machine = Woken(self._in_turn(), bell, self._ask_now)
            while True:
                done = await step(machine, self._ask, bell, publish)
                while changes:
                    yield changes.pop(0)
                if done is None:
                    continue
                if (closing := self._closing_for(done)) is None:
                    break
                machine = self._core.query_in_turn(closing.as_poller())
        await self._hand_over()
        self._conclude(done)

    async def refresh(self) -> Standing:
        """Ask once where the task stands; see :meth:`.Task.refresh`."""
        machine, done = self._in_turn(), None
        with self._looking_once(), self._saying_how_to_resume():
            while done is None and not self._poller.was_answered:
                done = await step(machine, self._ask, self._clock, self._core.publish)
            await self._hand_over()
            return self._conclude_refresh(done)

    async def _see(self, most_s: float) -> None:
        """Look once where it stands, and write that down; see :meth:`.Task._see`."""
        machine, done = self._in_turn(), None
        with self._looking_once(most_s):
            while done is None and not self._poller.was_answered:
                done = await step(machine, self._ask, self._clock, self._core.publish)

    async def cancel(self) -> Standing:
        """Ask the service to cancel the task, then ask where it stands; see :meth:`.Task.cancel`."""
        request = self._cancel_request()
        await self._clock.sleep(self._pause_before_cancel())
        try:
            what: Answer | ExchangeFailed = await self._exchange.query(
                request, self._core.wait_policy.attempt_timeout_s
            )
        except ExchangeFailed as failure:
            what = failure
        said = self._answer_to_cancel(what)
        if said.refusal is not None:
            if self._is_unheard_of:
                with suppress(TaskError):
                    await self.refresh()
            raise said.refusal()
        return self._after_cancel(await self.refresh(), said.doubt)

    async def download(
        self,
        path: str | os.PathLike[str],
        *,
        timeout: float = DOWNLOAD_S,  # noqa: ASYNC109  # checked between pieces, so that no half-made file stays
    ) -> Path:
        """Write what was made to a file, off the event loop; see :meth:`.Task.download`."""
        self._single_asset()
        return (await self.download_all(path, timeout=timeout))[0]

    async def download_all(
        self,
        path: str | os.PathLike[str],
        *,
        timeout: float = DOWNLOAD_S,  # noqa: ASYNC109  # as above
    ) -> tuple[Path, ...]:
        """Write everything that was made to files, off the event loop; see :meth:`.Task.download_all`."""
        order = order_of_task(self, path, timeout)
        with self._telling_of_failure():
            return await self._saver.save_all(order, self.refresh)

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """Yield the bytes of what was made as they come; see :meth:`.Task.iter_bytes`."""
        order = order_of_bytes(self)
        with self._telling_of_failure():
            # A generator that is left early does not close those inside it.
            async with aclosing(self._saver.pieces(order, self.refresh)) as pieces:
                async for piece in pieces:
                    yield piece

    async def retry(
        self,
        *,
        accept_second_charge: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  # it bounds what starts, so no scope around it could do
    ) -> AsyncTask:
        """Create it once more, after an end that cost nothing; see :meth:`.Task.retry`."""
        create = self._create_for_retry(accept_second_charge=accept_second_charge)
        with self._retrying():
            return await self._client._submit(create, timeout)  # noqa: SLF001  # a task is a part of its client

    async def _hand_over(self) -> None:
        if (note := self._file.to_hand_over(self._poller.record, self._now())) is not None:
            await self._client._off_the_loop(note)  # noqa: SLF001  # a task is a part of its client

    @contextmanager
    def _waking(self) -> Generator[AsyncBell, None, None]:
        """Let :meth:`.AsyncDashScope.wake` have the wait ask now, while the block lasts."""
        bell = AsyncBell(self._clock)
        with bells_of(self._client).waiting(self.id, bell):
            yield bell

    async def _ask(self, command: Submit | Query) -> Observation:
        is_to_cancel = self._is_to_cancel()
        request = self._cancel_request() if is_to_cancel else self._query()
        try:
            what: Answer | ExchangeFailed = await self._exchange.query(request, command.timeout_s)
        except ExchangeFailed as failure:
            what = failure
        if is_to_cancel:
            return self._hear_of_cancel(what)
        observation = self._understand(what)
        if (write := self._file.to_write(self._poller, observation, self._now(), self._token)) is not None:
            await self._client._off_the_loop(write)  # noqa: SLF001  # a task is a part of its client
        return observation
