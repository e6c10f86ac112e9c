"""Many jobs at once, for code that blocks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING

from resilient_poll.dashscope.many_core import Finished, Job, ManyDesk, Waits, checked_tasks, checked_workers
from resilient_poll.dashscope.task import Task
from resilient_poll.drive.crew import crew_for, finish_all
from resilient_poll.machine.batch import Batch
from resilient_poll.machine.commands import Turn
from resilient_poll.machine.observations import Observation

if TYPE_CHECKING:
    from resilient_poll.dashscope.client import DashScope

__all__ = ["finish_many"]


def finish_many(
    client: DashScope, waits: Waits, workers: int, *, jobs: Iterable[Job] = (), tasks: Iterable[Task] = ()
) -> Generator[Finished[Task], None, None]:
    """Return the results of jobs and tasks as they come; see :meth:`.DashScope.submit_many`.

    Args:
        client: Whose account it is.
        waits: How long it may take.
        workers: How many requests may be out at once.
        jobs: What is to be submitted.
        tasks: What was accepted already.

    Raises:
        ConfigurationError: The call makes no sense; nothing was sent.
    """
    core, clock = client._core, client._clock  # noqa: SLF001  # a part of the client
    crew = crew_for(checked_workers(workers), clock)
    batch = Batch(core.account, turns_at_once=crew.size, deadline_s=waits.deadline_s(clock.now()))
    desk = ManyDesk(
        core,
        clock.now,
        batch,
        waits,
        lambda record, create: Task(client, record, create),
        lambda note: note(),
        jobs=jobs,
        tasks=checked_tasks(tasks, core),
    )

    def send(turn: Turn) -> Callable[[], Observation]:
        live = desk.live[turn.ordinal]
        if live.task is not None:
            ask = live.task._ask  # noqa: SLF001  # as above
            return lambda: ask(turn.command)
        submission, create = live.submitted(), live.asked()
        return lambda: client._send_create(submission, create, turn.command)  # noqa: SLF001  # as above

    return finish_all(batch, desk, crew, clock, send)
