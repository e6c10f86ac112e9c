"""Many jobs at once, for code that awaits; the blocking form's other colour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from resilient_poll.dashscope.many_core import Finished, Job, ManyDesk, Waits, checked_tasks, checked_workers
from resilient_poll.dashscope.task_async import AsyncTask
from resilient_poll.drive.clocks import RealAsyncClock
from resilient_poll.drive.crew_async import AsyncFinishing
from resilient_poll.drive.crew_tasks import InlineAsyncCrew, TaskCrew
from resilient_poll.machine.batch import Batch
from resilient_poll.machine.commands import Turn
from resilient_poll.machine.observations import Observation

if TYPE_CHECKING:
    from resilient_poll.dashscope.client_async import AsyncDashScope

__all__ = ["finish_many"]


def finish_many(
    client: AsyncDashScope, waits: Waits, workers: int, *, jobs: Iterable[Job] = (), tasks: Iterable[AsyncTask] = ()
) -> AsyncFinishing[Finished[AsyncTask]]:
    """Return the results of jobs and tasks as they come; see :meth:`.AsyncDashScope.submit_many`.

    Args:
        client: Whose account it is.
        waits: How long it may take.
        workers: How many requests may be out at once. On a clock that is not the real one it is
            one: such a clock is moved by who sleeps on it.
        jobs: What is to be submitted.
        tasks: What was accepted already.

    Raises:
        ConfigurationError: The call makes no sense; nothing was sent.
    """
    core, clock = client._core, client._clock  # noqa: SLF001  # a part of the client
    at_once = checked_workers(workers)
    if not isinstance(clock, RealAsyncClock):
        at_once = 1
    batch = Batch(core.account, turns_at_once=at_once, deadline_s=waits.deadline_s(clock.now()))
    notes: list[Callable[[], None]] = []
    desk = ManyDesk(
        core,
        clock.now,
        batch,
        waits,
        lambda record, create: AsyncTask(client, record, create),
        notes.append,
        jobs=jobs,
        tasks=checked_tasks(tasks, core),
    )

    def send(turn: Turn) -> Callable[[], Awaitable[Observation]]:
        live = desk.live[turn.ordinal]
        if live.task is not None:
            ask = live.task._ask  # noqa: SLF001  # as above
            return lambda: ask(turn.command)
        submission, create = live.submitted(), live.asked()
        return lambda: client._send_create(submission, create, turn.command)  # noqa: SLF001  # as above

    crew = InlineAsyncCrew(clock) if at_once == 1 else TaskCrew()
    finishing = _Noting(batch, desk, clock, crew, send)
    finishing.noting = (notes, client._off_the_loop)  # noqa: SLF001  # as above
    return finishing


class _Noting(AsyncFinishing[Finished[AsyncTask]]):
    """Notes in the ledger that the caller has a result, once it comes back for the next.

    Attributes:
        noting: What is to be noted, and where such work is done.
    """

    noting: tuple[list[Callable[[], None]], Callable[[Callable[[], None]], Awaitable[None]]]

    async def __anext__(self) -> Finished[AsyncTask]:
        notes, off_the_loop = self.noting
        try:
            while notes:
                await off_the_loop(notes.pop())
        except BaseException as interruption:
            await self._close(interruption)
            raise
        return await super().__anext__()
