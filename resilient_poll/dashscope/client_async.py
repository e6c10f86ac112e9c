"""The client for code that awaits, on asyncio and trio.

Line for line the blocking client; the tests hold their traces equal.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread

from resilient_poll.dashscope import requests
from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.dashscope.download import (
    CHUNK_TIMEOUT_S,
    DOWNLOAD_S,
    PartialFile,
    check_length,
    check_time,
    next_hop,
    target_path,
)
from resilient_poll.dashscope.outcome import VideoOutcome
from resilient_poll.dashscope.settings import resolve_settings
from resilient_poll.dashscope.task_core import TaskCore
from resilient_poll.drive.async_driver import run, step
from resilient_poll.drive.clocks import AsyncClock, RealAsyncClock
from resilient_poll.errors import Standing
from resilient_poll.events import Event
from resilient_poll.http.messages import Answer, ExchangeFailed, HttpRequest
from resilient_poll.machine.commands import Done, Query, Submit
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.policy import SubmitPolicy, WaitPolicy
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.task_record import TaskRecord
from resilient_poll.transports.exchange_async import AsyncExchange, AsyncIncoming

__all__ = ["AsyncDashScope", "AsyncTask"]


class AsyncDashScope:
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
        clock: What time it is, and how to sleep.
        on_event: See :class:`.DashScope`. It is called, not awaited.
        make_seed: See :class:`.DashScope`.

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
        clock: AsyncClock | None = None,
        on_event: Callable[[Event], None] | None = None,
        make_seed: Callable[[], str] | None = None,
    ) -> None:
        settings = resolve_settings(
            dialect=dialect, api_key=api_key, base_url=base_url, headers=headers, environ=os.environ
        )
        self._core = ClientCore(settings, wait_policy or WaitPolicy(), submit_policy or SubmitPolicy(), on_event)
        if make_seed is not None:
            self._core.make_seed = make_seed
        self._clock = clock or RealAsyncClock()
        self._exchange = AsyncExchange(http_client)

    def __repr__(self) -> str:
        return f"<AsyncDashScope {self._core.settings.dialect.name} {self._core.settings.base_url}>"

    async def submit(
        self,
        model: str,
        input: Mapping[str, Any],  # noqa: A002  # the service's own word
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # it bounds what starts, so no scope around it could do
    ) -> AsyncTask:
        """Ask for a video; see :meth:`.DashScope.submit`.

        A cancellation while the request is out does not cut it: what came of it is logged
        with the task's id and resume token, and then the cancellation takes effect.
        """
        request = requests.create_request(self._core.settings, model, input, parameters)
        submission = self._core.new_submission(timeout, self._clock.now())

        async def perform(command: Submit | Query) -> Observation:
            return await self._send_create(submission, request, command)

        try:
            done = await run(submission, perform, self._clock, self._core.publish)
            return AsyncTask(self, self._core.accept(submission, done, self._clock.now()))
        except BaseException as interruption:
            self._core.broken_off(submission, interruption, self._clock.now())
            raise

    def task(self, id_or_token: str) -> AsyncTask:
        """Return a task by its id or resume token; see :meth:`.DashScope.task`. Sends nothing."""
        return AsyncTask(self, self._core.record_of(id_or_token, self._clock.now()))

    async def close(self) -> None:
        """Close the connections; those of your own client stay yours."""
        await self._exchange.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.close()

    async def _send_create(self, submission: Submission, request: HttpRequest, command: Submit | Query) -> Observation:
        try:
            answer = await self._exchange.create(
                request, command.timeout_s, lambda what: self._core.orphaned(submission, what, self._clock.now())
            )
        except ExchangeFailed as failure:
            return self._core.failure_of_create(failure)
        return self._core.after_create(answer, self._clock.now())


class AsyncTask(TaskCore):
    """:class:`.Task` for code that awaits.

    Attributes:
        outcome: What was made, once it is known.
    """

    def __init__(self, client: AsyncDashScope, record: TaskRecord) -> None:
        self._clock = client._clock  # noqa: SLF001  # a task is a part of its client
        self._exchange = client._exchange  # noqa: SLF001  # as above
        super().__init__(client._core, record, client._clock)  # noqa: SLF001  # as above

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # the machine's deadline: it makes a last poll before it
        *,
        deadline: datetime | None = None,
    ) -> VideoOutcome:
        """Wait until the task is done; see :meth:`.Task.wait`.

        Cancelling the waiting leaves the task going at the service, and the log says how
        to resume it.
        """
        self._begin(self._policy_for(timeout, deadline))
        with self._saying_how_to_resume():
            done = await run(self._poller, self._ask, self._clock, self._core.publish)
        return self._conclude(done)

    async def updates(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # as above
        *,
        deadline: datetime | None = None,
    ) -> AsyncIterator[Event]:
        """Wait like :meth:`wait`, and yield every change as it is seen; see :meth:`.Task.updates`."""
        self._begin(self._policy_for(timeout, deadline))
        with self._saying_how_to_resume():
            changes, publish = self._collector()
            while (done := await step(self._poller, self._ask, self._clock, publish)) is None:
                while changes:
                    yield changes.pop(0)
        self._conclude(done)

    async def refresh(self) -> Standing:
        """Ask once where the task stands; see :meth:`.Task.refresh`."""
        self._begin_refresh()
        done: Done | None = None
        with self._saying_how_to_resume():
            while done is None and not self._poller.was_answered:
                done = await step(self._poller, self._ask, self._clock, self._core.publish)
        return self._conclude_refresh(done)

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
        doubt = self._doubt_about_cancel(what)
        return self._after_cancel(await self.refresh(), doubt)

    async def download(
        self,
        path: str | os.PathLike[str],
        *,
        timeout: float = DOWNLOAD_S,  # noqa: ASYNC109  # checked between pieces, so that no half-made file stays
    ) -> Path:
        """Write the video to a file, off the event loop; see :meth:`.Task.download`."""
        target, deadline_s = target_path(path, self.id), self._now().monotonic_s + timeout
        with self._telling_of_failure():
            async with self._incoming() as incoming:
                with PartialFile(target) as file:
                    async for chunk in incoming.chunks():
                        check_time(self._now().monotonic_s, deadline_s)
                        await anyio.to_thread.run_sync(file.write, chunk)
                    check_length(incoming.headers, file.size)
                    await anyio.to_thread.run_sync(file.keep)
        return target

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """Yield the video's bytes as they come; see :meth:`.Task.iter_bytes`."""
        size = 0
        with self._telling_of_failure():
            async with self._incoming() as incoming:
                async for chunk in incoming.chunks():
                    size += len(chunk)
                    yield chunk
                check_length(incoming.headers, size)

    @asynccontextmanager
    async def _incoming(self) -> AsyncGenerator[AsyncIncoming, None]:
        url, hops = self._asset_url(), 0
        while True:
            async with self._exchange.stream(requests.asset_request(url), CHUNK_TIMEOUT_S) as incoming:
                target = next_hop(url, incoming.status, incoming.headers, hops)
                if target is None:
                    yield incoming
                    return
            url, hops = target, hops + 1

    async def _ask(self, command: Submit | Query) -> Observation:
        try:
            what: Answer | ExchangeFailed = await self._exchange.query(self._query(), command.timeout_s)
        except ExchangeFailed as failure:
            what = failure
        return self._understand(what)
