"""The calls of the blocking client that hand ends over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from resilient_poll.dashscope.many_core import WORKERS
from resilient_poll.dashscope.parts import ClientPart
from resilient_poll.dashscope.workers.bells import bells_of
from resilient_poll.dashscope.workers.limits import HANDLER_S, HANDLERS

if TYPE_CHECKING:
    from resilient_poll.dashscope.task import Task
    from resilient_poll.dashscope.workers.handed_over import HandedOver
    from resilient_poll.dashscope.workers.worker import Worker

__all__ = ["WorkerCalls"]


class WorkerCalls(ClientPart):
    """The part of :class:`DashScope` for that."""

    def worker(
        self,
        on_outcome: Callable[[HandedOver[Task]], Any],
        *,
        workers: int = WORKERS,
        handlers: int = HANDLERS,
        handler_time: float = HANDLER_S,
    ) -> Worker:
        """Return a worker that hands every end of the ledger's tasks to a function of yours.

        ``with client.worker(on_outcome=handler):`` works in the background: it takes over the open tasks of
        this account in the ledger, whoever submitted them, asks about them, and calls the handler with each
        end that nobody was told of yet, until the handler returns: at least once, also after a crash in
        between, so the handler must bear being called twice. One that raises is called again later, and
        keeps nobody else waiting. For a submit that is in doubt nothing is handed over; the log names it once.
        Several workers, also on several machines, share a ledger.

        Args:
            on_outcome: The handler; it is called in a thread, several at once.
            workers: How many queries may be out at once. On a clock of your own everything is carried out
                one after the other.
            handlers: How many handlers may be at work at once.
            handler_time: How many seconds a handler may take, a quarter of an hour by default: then its end is
                free for another worker. A worker that is killed is followed by another within half a minute.

        Raises:
            ConfigurationError: The client has no ledger, or the call makes no sense.
        """
        from resilient_poll.dashscope.workers.worker import Worker  # noqa: PLC0415  # few who make a client make one

        return Worker(self._client, on_outcome, workers=workers, handlers=handlers, handler_time=handler_time)

    def wake(self, task_id: str) -> bool:
        """Have whoever asks about a task in this client do it now: an event came from outside.

        It is a hint, never a result: the service is asked, no sooner than its floors allow. Waits of
        :meth:`submit_many` and :meth:`as_completed` keep to their schedule. From any thread.

        Args:
            task_id: The service's id of the task.

        Returns:
            Whether somebody here waits for the task, or works on it; an id that nobody knows does no harm.
        """
        return bells_of(self._client).wake(task_id)
