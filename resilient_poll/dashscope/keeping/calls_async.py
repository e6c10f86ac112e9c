"""The calls of the awaiting client that find tasks by their idempotency keys."""

from __future__ import annotations

from resilient_poll.dashscope.keeping.filing import restored
from resilient_poll.dashscope.parts import AsyncClientPart
from resilient_poll.dashscope.task_async import AsyncTask

__all__ = ["AsyncKeyCalls"]


class AsyncKeyCalls(AsyncClientPart):
    """The part of :class:`AsyncDashScope` for that."""

    async def resume(self, key_or_token: str) -> AsyncTask:
        """Return a task by its idempotency key or its resume token; see :meth:`.DashScope.resume`. Sends nothing."""
        client, core = self._client, self._client._core
        if core.is_token(key_or_token):
            return client.task(key_or_token)
        entry = await client._off_the_loop(lambda: core.entry_of_key(key_or_token))
        return AsyncTask(client, restored(entry, client._clock.now()), entry=entry)
