"""The client for code that awaits, on asyncio and trio.

Line for line the blocking client; the tests hold their traces equal.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from resilient_poll.dashscope.checking import checked_seconds
from resilient_poll.dashscope.creates_out import AsyncCreatesOut
from resilient_poll.dashscope.direct import standing_of_result
from resilient_poll.dashscope.doubts.calls_async import AsyncDoubtCalls
from resilient_poll.dashscope.keeping.calls_async import AsyncKeyCalls
from resilient_poll.dashscope.keeping.calls_creating_async import AsyncCreatingCalls
from resilient_poll.dashscope.keeping.header import IdempotencyHeader
from resilient_poll.dashscope.keeping.prices import PriceTable
from resilient_poll.dashscope.limits import Limits
from resilient_poll.dashscope.lists_async import listed
from resilient_poll.dashscope.many_async import finish_many
from resilient_poll.dashscope.many_core import WORKERS, Finished, Job, Waits
from resilient_poll.dashscope.news import telling_async_exchange
from resilient_poll.dashscope.opening import open_core
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.saving.download import DOWNLOAD_S, telling_of_failure
from resilient_poll.dashscope.saving.order import order_of_result
from resilient_poll.dashscope.saving.rules import LARGEST_ASSET_BYTES, asset_rules
from resilient_poll.dashscope.saving.saver_async import AsyncSaver
from resilient_poll.dashscope.task_async import AsyncTask
from resilient_poll.dashscope.wire.endpoints import IMAGE_SYNCHRONOUS, VIDEO, Endpoint
from resilient_poll.dashscope.wire.listing import LIST_S, PAGE_SIZE, ListedTask, questions
from resilient_poll.dashscope.workers.calls_async import AsyncWorkerCalls
from resilient_poll.drive.clocks import AsyncClock, RealAsyncClock
from resilient_poll.drive.crew_async import AsyncFinishing
from resilient_poll.drive.telling import logger
from resilient_poll.events import Event
from resilient_poll.http.rate_limits import RateLimit
from resilient_poll.ledger.async_ledger import RunBlocking
from resilient_poll.ledger.guards import Guards
from resilient_poll.machine.policy import OnTimeout, SubmitPolicy, WaitPolicy

if TYPE_CHECKING:
    from resilient_poll.ledger.protocol import Ledger

__all__ = ["AsyncDashScope"]

Result = TypeVar("Result")


class AsyncDashScope(AsyncCreatingCalls, AsyncKeyCalls, AsyncDoubtCalls, AsyncWorkerCalls):
    """:class:`.DashScope` for code that awaits.

    Use it with ``async with``, or await :meth:`close`. It belongs to one event loop.

    Args:
        dialect: See :class:`.DashScope`.
        api_key: See :class:`.DashScope`.
        base_url: See :class:`.DashScope`.
        http_client: Your own ``httpx.AsyncClient`` or ``httpx2.AsyncClient``; its
            connections are used, and nothing else of it.
        headers: See :class:`.DashScope`.
        wait_policy: See :class:`.DashScope`.
        submit_policy: See :class:`.DashScope`.
        limits: See :class:`.DashScope`.
        clock: What time it is, and how to sleep.
        on_event: See :class:`.DashScope`. It is called, not awaited.
        make_seed: See :class:`.DashScope`.
        ledger: See :class:`.DashScope`. Its calls never run on the event loop.
        account: See :class:`.DashScope`.
        guards: See :class:`.DashScope`.
        prices: See :class:`.DashScope`.
        largest_asset_bytes: See :class:`.DashScope`.
        insecure_asset_hosts: See :class:`.DashScope`.
        idempotency_header: See :class:`.DashScope`.
        run_blocking: Where the ledger's calls run; anyio's threads unless given.

    Raises:
        ConfigurationError: Something is missing or makes no sense; nothing was sent.
    """

    def __init__(
        self,
        *,
        dialect: str | None = None,
        api_key: str | None = None,
        base_url: str | None = None,
        http_client: Any | None = None,
        headers: Mapping[str, str] | None = None,
        wait_policy: WaitPolicy | None = None,
        submit_policy: SubmitPolicy | None = None,
        limits: Limits | None = None,
        clock: AsyncClock | None = None,
        on_event: Callable[[Event], None] | None = None,
        make_seed: Callable[[], str] | None = None,
        ledger: Ledger | None = None,
        account: str | None = None,
        guards: Guards | None = None,
        prices: PriceTable | None = None,
        largest_asset_bytes: int = LARGEST_ASSET_BYTES,
        insecure_asset_hosts: Collection[str] = (),
        idempotency_header: IdempotencyHeader | None = None,
        run_blocking: RunBlocking | None = None,
    ) -> None:
        self._core = open_core(
            dialect=dialect,
            api_key=api_key,
            base_url=base_url,
            headers=headers,
            wait_policy=wait_policy,
            submit_policy=submit_policy,
            limits=limits,
            clock=clock,
            on_event=on_event,
            make_seed=make_seed,
            ledger=ledger,
            account=account,
            guards=guards,
            prices=prices,
            idempotency_header=idempotency_header,
            is_async=True,
        )
        self._clock = clock or RealAsyncClock()
        self._run_blocking = run_blocking or anyio.to_thread.run_sync
        rules = asset_rules(self._core.settings.base_url, largest_asset_bytes, insecure_asset_hosts)
        self._exchange = telling_async_exchange(self._core, self._clock, http_client)
        self._creates_out = AsyncCreatesOut(self._core.submit_policy, ends=http_client is None)
        self._saver = AsyncSaver(self._exchange, self._clock, rules, self._run_blocking, self._off_the_loop)

    def __repr__(self) -> str:
        return f"<AsyncDashScope {self._core.settings.dialect.name} {self._core.settings.base_url}>"

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the service last said of the account's quota of requests; None if it says nothing."""
        return self._core.rate_limit

    async def submit(
        self,
        model: str,
        input: Mapping[str, Any],  # noqa: A002  # the service's own word
        parameters: Mapping[str, Any] | None = None,
        *,
        endpoint: str | Endpoint = VIDEO,
        idempotency_key: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # it bounds what starts, so no scope around it could do
    ) -> AsyncTask:
        """Ask for a video, or what the endpoint makes; see :meth:`.DashScope.submit`.

        A cancellation while the request is out does not cut it: what came of it is logged
        with the task's id and resume token, and then the cancellation takes effect.
        """
        create = self._core.new_create(
            endpoint, model, input, parameters, is_synchronous=False, idempotency_key=idempotency_key
        )
        return await self._submit(create, timeout)

    async def generate(
        self,
        model: str,
        input: Mapping[str, Any],  # noqa: A002  # the service's own word
        parameters: Mapping[str, Any] | None = None,
        *,
        endpoint: str | Endpoint = IMAGE_SYNCHRONOUS,
        idempotency_key: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # as above
    ) -> DirectOutcome:
        """Ask an endpoint that answers with the result itself; see :meth:`.DashScope.generate`."""
        create = self._core.new_create(
            endpoint, model, input, parameters, is_synchronous=True, idempotency_key=idempotency_key
        )
        submission = self._core.new_submission(timeout, self._clock.now(), create)
        try:
            done = await self._carry_out(submission, create)
            made = self._core.take_result(submission, done, self._clock.now(), create.endpoint, create.filing)
            await self._told(submission, create, None)
            return made
        except BaseException as interruption:
            await self._told(submission, create, interruption)
            raise

    def submit_many(
        self,
        jobs: Iterable[Job],
        *,
        submit_timeout: float | None = None,
        timeout: float | None = None,
        deadline: datetime | None = None,
        on_timeout: OnTimeout | None = None,
        workers: int = WORKERS,
    ) -> AsyncFinishing[Finished[AsyncTask]]:
        """Ask for many things, and yield each as it is done; see :meth:`.DashScope.submit_many`.

        Use it in ``async for``, from one task at a time. Nothing begins between two of its steps, and what is
        out then goes on. Left with ``async with`` around it, it waits for a create that is out, and the log says
        at once what goes on; after a mere ``break`` :meth:`close` waits for the create.
        """
        waits = Waits(submit_timeout_s=submit_timeout, timeout_s=timeout, deadline=deadline, on_timeout=on_timeout)
        return finish_many(self, waits, workers, jobs=jobs)

    def as_completed(
        self,
        tasks: Iterable[AsyncTask],
        *,
        timeout: float | None = None,
        deadline: datetime | None = None,
        on_timeout: OnTimeout | None = None,
        workers: int = WORKERS,
    ) -> AsyncFinishing[Finished[AsyncTask]]:
        """Wait for many tasks, and yield each as it is done; see :meth:`.DashScope.as_completed`."""
        waits = Waits(timeout_s=timeout, deadline=deadline, on_timeout=on_timeout)
        return finish_many(self, waits, workers, tasks=tasks)

    def task(self, id_or_token: str) -> AsyncTask:
        """Return a task by its id or resume token; see :meth:`.DashScope.task`. Sends nothing."""
        return AsyncTask(self, self._core.record_of(id_or_token, self._clock.now()))

    def list_remote(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        model: str | None = None,
        status: str | None = None,
        page_size: int = PAGE_SIZE,
        timeout: float = LIST_S,
    ) -> AsyncIterator[ListedTask]:
        """Yield the account's tasks at the service, whoever submitted them; see :meth:`.DashScope.list_remote`."""
        asked = questions(
            self._core.settings.dialect, start=start, end=end, model=model, status=status, page_size=page_size
        )
        return listed(self, asked, checked_seconds("timeout", timeout))

    async def download_all(
        self,
        outcome: DirectOutcome,
        path: str | os.PathLike[str],
        *,
        timeout: float = DOWNLOAD_S,  # noqa: ASYNC109  # checked between pieces, so that no half-made file stays
    ) -> tuple[Path, ...]:
        """Write everything that :meth:`generate` made to files; see :meth:`.DashScope.download_all`."""
        order = order_of_result(self._core, outcome, path, timeout, self._clock.now())
        with telling_of_failure(lambda: standing_of_result(outcome), self._core.settings.api_key):
            return await self._saver.save_all(order)

    async def close(self) -> None:
        """Wait for creates that are out, then close the connections; your own client and ledger stay yours."""
        try:
            await self._creates_out.end()
        finally:
            await self._exchange.close()
            if (books := self._core.books) is not None:
                await self._off_the_loop(books.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.close()

    async def _off_the_loop(self, work: Callable[[], Result]) -> Result:
        """Do what may wait for a disk, and finish it also if the caller is gone."""
        if self._core.books is not None and self._core.books.is_instant:
            return work()
        came: list[Result] = []
        broke: list[Exception] = []

        async def carry_out() -> None:
            with anyio.CancelScope(shield=True):
                try:
                    came.append(await self._run_blocking(work))
                except Exception as error:  # noqa: BLE001  # raised below, outside the group
                    broke.append(error)

        # A shield alone does not hold off asyncio's own cancellations; a group waits for its tasks.
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(carry_out)
        except BaseException:
            for error in broke:
                logger.error("%s", error)  # Its caller is gone.
            raise
        for error in broke:
            raise error
        return came[0]
