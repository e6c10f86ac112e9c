"""The calls of the awaiting client that hand ends over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from resilient_poll.dashscope.many_core import WORKERS
from resilient_poll.dashscope.parts import AsyncClientPart
from resilient_poll.dashscope.workers.bells import bells_of
from resilient_poll.dashscope.workers.limits import HANDLER_S, HANDLERS

if TYPE_CHECKING:
    from resilient_poll.dashscope.task_async import AsyncTask
    from resilient_poll.dashscope.workers.handed_over import HandedOver
    from resilient_poll.dashscope.workers.worker_async import AsyncWorker

__all__ = ["AsyncWorkerCalls"]


class AsyncWorkerCalls(AsyncClientPart):
    """The part of :class:`AsyncDashScope` for that."""

    def worker(
        self,
        on_outcome: Callable[[HandedOver[AsyncTask]], Any],
        *,
        workers: int = WORKERS,
        handlers: int = HANDLERS,
        handler_time: float = HANDLER_S,
    ) -> AsyncWorker:
        """Return a worker that hands every end of the ledger's tasks to a function; see :meth:`.DashScope.worker`.

        ``async with client.worker(on_outcome=handler):`` works beside the block. An ``async`` handler is
        awaited on the event loop; a plain function is called in a thread, as it may block.
        """
        from resilient_poll.dashscope.workers.worker_async import AsyncWorker  # noqa: PLC0415  # few who make a client make one

        return AsyncWorker(self._client, on_outcome, workers=workers, handlers=handlers, handler_time=handler_time)

    def wake(self, task_id: str) -> bool:
        """Have whoever asks about a task in this client do it now; see :meth:`.DashScope.wake`. From any thread."""
        return bells_of(self._client).wake(task_id)
