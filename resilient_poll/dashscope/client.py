"""The client for code that blocks."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

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
from resilient_poll.drive.clocks import Clock, RealClock
from resilient_poll.drive.sync_driver import run, step
from resilient_poll.errors import Standing
from resilient_poll.events import Event
from resilient_poll.http.messages import Answer, ExchangeFailed, HttpRequest
from resilient_poll.machine.commands import Done, Query, Submit
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.policy import SubmitPolicy, WaitPolicy
from resilient_poll.machine.task_record import TaskRecord
from resilient_poll.transports.exchange import Exchange, Incoming

__all__ = ["DashScope", "Task"]


class DashScope:
    """Creates videos and waits for them, without losing one, paying twice or hammering.

    Use it as a context manager, or call :meth:`close`. It may be shared by threads; a
    :class:`Task` may not.

    Args:
        dialect: ``"aisa"`` or ``"dashscope"``; left out, it is the one whose environment
            variables are set.
        api_key: The key; left out, it is read from ``AISA_API_KEY`` or ``DASHSCOPE_API_KEY``.
        base_url: Where the service is; left out, ``AISA_BASE_URL``, or
            ``DASHSCOPE_HTTP_BASE_URL`` or ``DASHSCOPE_BASE_URL``, or the dialect's own.
        http_client: Your own ``httpx.Client`` or ``httpx2.Client``. Its connections,
            proxies and TLS settings are used; its headers, cookies, parameters and auth go
            nowhere. Its queries run in threads that are left behind when their time is up.
        headers: Additional headers for the API.
        wait_policy: How waits behave.
        submit_policy: How submits behave.
        clock: What time it is, and how to sleep.
        on_event: Is told every event; its faults are logged and do not end the wait.
        make_seed: Makes the seed that spreads a submit's pauses; for tests.

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
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
        make_seed: Callable[[], str] | None = None,
    ) -> None:
        settings = resolve_settings(
            dialect=dialect, api_key=api_key, base_url=base_url, headers=headers, environ=os.environ
        )
        self._core = ClientCore(settings, wait_policy or WaitPolicy(), submit_policy or SubmitPolicy(), on_event)
        if make_seed is not None:
            self._core.make_seed = make_seed
        self._clock = clock or RealClock()
        self._exchange = Exchange(http_client)

    def __repr__(self) -> str:
        return f"<DashScope {self._core.settings.dialect.name} {self._core.settings.base_url}>"

    def submit(
        self,
        model: str,
        input: Mapping[str, Any],  # noqa: A002  # the service's own word
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Task:
        """Ask for a video. Returns as soon as the service has accepted it.

        While the service is too busy, or surely was not reached, it is tried again. Once
        it may have been accepted, it is never sent again.

        Args:
            model: The model's name.
            input: What to make, in the service's own words: ``{"prompt": "a cat"}``.
            parameters: How to make it: ``{"size": "1280*720"}``.
            timeout: Until when a sending may start, in seconds. A sending that has started
                is not cut by it. 300 by default.

        Returns:
            The accepted task.

        Raises:
            ConfigurationError: The call makes no sense; nothing was sent.
            SubmitRefused: The service said no.
            SubmitThrottled: It was too busy until the time was up.
            SubmitNotSent: It could not be reached until the time was up.
            SubmitInDoubt: There may be a task whose id is not known.
        """
        request = requests.create_request(self._core.settings, model, input, parameters)
        submission = self._core.new_submission(timeout, self._clock.now())
        try:
            done = run(submission, lambda command: self._send_create(request, command), self._clock, self._core.publish)
            return Task(self, self._core.accept(submission, done, self._clock.now()))
        except BaseException as interruption:
            self._core.broken_off(submission, interruption, self._clock.now())
            raise

    def task(self, id_or_token: str) -> Task:
        """Return a task by its id, or by the resume token of an error or log line. Sends nothing.

        Args:
            id_or_token: A task id or a resume token.

        Raises:
            ConfigurationError: It is neither.
            SnapshotError: It is a token that cannot be used here.
        """
        return Task(self, self._core.record_of(id_or_token, self._clock.now()))

    def close(self) -> None:
        """Close the connections; those of your own client stay yours."""
        self._exchange.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send_create(self, request: HttpRequest, command: Submit | Query) -> Observation:
        try:
            answer = self._exchange.create(request, command.timeout_s)
        except ExchangeFailed as failure:
            return self._core.failure_of_create(failure)
        return self._core.after_create(answer, self._clock.now())


class Task(TaskCore):
    """One accepted task. Made by :meth:`DashScope.submit` and :meth:`DashScope.task`.

    Attributes:
        outcome: What was made, once it is known.
    """

    def __init__(self, client: DashScope, record: TaskRecord) -> None:
        self._clock = client._clock  # noqa: SLF001  # a task is a part of its client
        self._exchange = client._exchange  # noqa: SLF001  # as above
        super().__init__(client._core, record, client._clock)  # noqa: SLF001  # as above

    def wait(self, timeout: float | None = None, *, deadline: datetime | None = None) -> VideoOutcome:
        """Wait until the task is done.

        Args:
            timeout: How many seconds to wait; 300 by default. The task is not cut by it.
            deadline: Until when to wait, with a time zone; the earlier of the two holds.

        Returns:
            What was made.

        Raises:
            StillGoing: The time is up and the task goes on. Wait again, never submit again.
            TaskFailed: The service tried and gave up.
            TaskCanceled: Someone stopped it.
            TaskExpired: The service no longer, or never, knew it.
            PollRefused: The service refuses to say.
            ResultUnreadable: It succeeded, is paid, and its result cannot be read.
        """
        self._begin(self._policy_for(timeout, deadline))
        with self._saying_how_to_resume():
            done = run(self._poller, self._ask, self._clock, self._core.publish)
        return self._conclude(done)

    def updates(self, timeout: float | None = None, *, deadline: datetime | None = None) -> Iterator[Event]:
        """Wait like :meth:`wait`, and yield every change as it is seen.

        After the last one, :attr:`outcome` is set, or what :meth:`wait` would have raised
        is raised.

        Args:
            timeout: See :meth:`wait`.
            deadline: See :meth:`wait`.
        """
        self._begin(self._policy_for(timeout, deadline))
        with self._saying_how_to_resume():
            changes, publish = self._collector()
            while (done := step(self._poller, self._ask, self._clock, publish)) is None:
                while changes:
                    yield changes.pop(0)
        self._conclude(done)

    def refresh(self) -> Standing:
        """Ask once where the task stands, as soon as the account's floors allow.

        Returns:
            Where it stands, whatever that is.

        Raises:
            StillGoing: The service did not answer in the time of one attempt.
            PollRefused: The service refuses to say.
        """
        self._begin_refresh()
        done: Done | None = None
        with self._saying_how_to_resume():
            while done is None and not self._poller.was_answered:
                done = step(self._poller, self._ask, self._clock, self._core.publish)
        return self._conclude_refresh(done)

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
        doubt = self._doubt_about_cancel(what)
        return self._after_cancel(self.refresh(), doubt)

    def download(self, path: str | os.PathLike[str], *, timeout: float = DOWNLOAD_S) -> Path:
        """Write the video to a file, which appears under its name only when it is whole.

        Args:
            path: The file, or a folder in which it gets the task's name.
            timeout: How many seconds it may take, however slowly its bytes come; an hour by default.

        Returns:
            The file.

        Raises:
            TaskError: There is nothing to download yet.
            DownloadFailed: It is not on disk; the task stays paid.
        """
        target, deadline_s = target_path(path, self.id), self._now().monotonic_s + timeout
        with self._telling_of_failure(), self._incoming() as incoming, PartialFile(target) as file:
            for chunk in incoming.chunks():
                check_time(self._now().monotonic_s, deadline_s)
                file.write(chunk)
            check_length(incoming.headers, file.size)
            file.keep()
        return target

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the video's bytes as they come.

        Raises:
            TaskError: There is nothing to download yet.
            DownloadFailed: They broke off.
        """
        size = 0
        with self._telling_of_failure(), self._incoming() as incoming:
            for chunk in incoming.chunks():
                size += len(chunk)
                yield chunk
            check_length(incoming.headers, size)

    @contextmanager
    def _incoming(self) -> Generator[Incoming, None, None]:
        url, hops = self._asset_url(), 0
        while True:
            with self._exchange.stream(requests.asset_request(url), CHUNK_TIMEOUT_S) as incoming:
                target = next_hop(url, incoming.status, incoming.headers, hops)
                if target is None:
                    yield incoming
                    return
            url, hops = target, hops + 1

    def _ask(self, command: Submit | Query) -> Observation:
        try:
            what: Answer | ExchangeFailed = self._exchange.query(self._query(), command.timeout_s)
        except ExchangeFailed as failure:
            what = failure
        return self._understand(what)
