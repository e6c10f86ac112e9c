"""The calls of the awaiting client about idempotency keys, and about what is owed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from resilient_poll.dashscope.checking import checked_consent
from resilient_poll.dashscope.keeping.filing import restored
from resilient_poll.dashscope.keeping.retrying import bill_of, next_create
from resilient_poll.dashscope.parts import AsyncClientPart
from resilient_poll.dashscope.task_async import AsyncTask
from resilient_poll.dashscope.wire.endpoints import VIDEO, Endpoint

if TYPE_CHECKING:
    from resilient_poll.ledger.reading import Bill

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

    async def retry(
        self,
        idempotency_key: str,
        model: str,
        input: Mapping[str, Any],  # noqa: A002  # the service's own word
        parameters: Mapping[str, Any] | None = None,
        *,
        endpoint: str | Endpoint = VIDEO,
        accept_second_charge: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  # it bounds what starts, so no scope around it could do
    ) -> AsyncTask:
        """Create once more what a key stands for, after an end that cost nothing; see :meth:`.DashScope.retry`."""
        client, core = self._client, self._client._core
        consent = checked_consent(accept_second_charge)
        create = core.create_of_key(idempotency_key, endpoint, model, input, parameters)
        ended = await client._off_the_loop(lambda: core.entry_to_retry(create))
        if ended.task_id is None:
            return await client._submit(next_create(create, ended, consent), timeout)
        task = AsyncTask(client, restored(ended, client._clock.now()), create, entry=ended)
        return await task.retry(accept_second_charge=consent, timeout=timeout)

    async def bill(self, *, since: datetime | None = None, until: datetime | None = None) -> Bill:
        """Return what is owed for what this account sent; see :meth:`.DashScope.bill`."""
        return await self._client._off_the_loop(bill_of(self._client._core.books, since, until))
