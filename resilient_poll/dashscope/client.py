"""The client for code that blocks."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from resilient_poll.dashscope.checking import checked_seconds
from resilient_poll.dashscope.creates_out import CreatesOut
from resilient_poll.dashscope.direct import standing_of_result
from resilient_poll.dashscope.doubts.calls import DoubtCalls
from resilient_poll.dashscope.keeping.calls import KeyCalls
from resilient_poll.dashscope.keeping.calls_creating import CreatingCalls
from resilient_poll.dashscope.keeping.header import IdempotencyHeader
from resilient_poll.dashscope.keeping.prices import PriceTable
from resilient_poll.dashscope.limits import Limits
from resilient_poll.dashscope.lists import listed
from resilient_poll.dashscope.many import finish_many
from resilient_poll.dashscope.many_core import WORKERS, Finished, Job, Waits
from resilient_poll.dashscope.news import telling_exchange
from resilient_poll.dashscope.opening import open_core
from resilient_poll.dashscope.outcome import DirectOutcome
from resilient_poll.dashscope.saving.download import DOWNLOAD_S, telling_of_failure
from resilient_poll.dashscope.saving.order import order_of_result
from resilient_poll.dashscope.saving.rules import LARGEST_ASSET_BYTES, asset_rules
from resilient_poll.dashscope.saving.saver import Saver
from resilient_poll.dashscope.task import Task
from resilient_poll.dashscope.wire.endpoints import IMAGE_SYNCHRONOUS, VIDEO, Endpoint
from resilient_poll.dashscope.wire.listing import LIST_S, PAGE_SIZE, ListedTask, questions
from resilient_poll.dashscope.workers.calls import WorkerCalls
from resilient_poll.drive.clocks import Clock, RealClock
from resilient_poll.events import Event
from resilient_poll.http.rate_limits import RateLimit
from resilient_poll.ledger.guards import Guards
from resilient_poll.machine.policy import OnTimeout, SubmitPolicy, WaitPolicy

if TYPE_CHECKING:
    from resilient_poll.ledger.protocol import Ledger

__all__ = ["DashScope"]


class DashScope(CreatingCalls, KeyCalls, DoubtCalls, WorkerCalls):
    """Creates videos, images and more, and waits for them, without losing one, paying twice or hammering.

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
        limits: What the account may do at once, per second and per minute; nothing goes out faster.
        clock: What time it is, and how to sleep.
        on_event: Is told every event; its faults are logged and do not end the wait.
        make_seed: Makes the seed that spreads a submit's pauses; for tests.
        ledger: Where intents, ids and ends survive a crash: ``SqliteLedger(path)``. It stays yours.
        account: Your label for the account in the ledger; without one, each API key is an account. Under one
            label a new key goes on with what the old one made; a resume token is refused under another label.
        guards: Your own limits on tasks and spending, counted by the ledger.
        prices: What things cost, for the bill and for guards on spending.
        largest_asset_bytes: How large one download may be; 4 GiB by default.
        insecure_asset_hosts: Hosts that assets may come from without TLS, besides this machine and the service's own.
        idempotency_header: What the service makes of a header that names a create. Where it is honoured, creates
            that have a key or a ledger carry it; unless told otherwise nothing is sent.

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
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
        make_seed: Callable[[], str] | None = None,
        ledger: Ledger | None = None,
        account: str | None = None,
        guards: Guards | None = None,
        prices: PriceTable | None = None,
        largest_asset_bytes: int = LARGEST_ASSET_BYTES,
        insecure_asset_hosts: Collection[str] = (),
        idempotency_header: IdempotencyHeader | None = None,
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
            is_async=False,
        )
        self._clock = clock or RealClock()
        rules = asset_rules(self._core.settings.base_url, largest_asset_bytes, insecure_asset_hosts)
        self._exchange = telling_exchange(self._core, self._clock, http_client)
        self._creates_out = CreatesOut(self._core.submit_policy, ends=http_client is None)
        self._saver = Saver(self._exchange, self._clock, rules)

    def __repr__(self) -> str:
        return f"<DashScope {self._core.settings.dialect.name} {self._core.settings.base_url}>"

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the service last said of the account's quota of requests; None if it says nothing."""
        return self._core.rate_limit

    def submit(
        self,
        model: str,
        input: Mapping[str, Any],  # noqa: A002  # the service's own word
        parameters: Mapping[str, Any] | None = None,
        *,
        endpoint: str | Endpoint = VIDEO,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Task:
        """Ask for a video, or what the endpoint makes. Returns as soon as the service has accepted it.

        While the service is too busy, or surely was not reached, it is tried again. Once
        it may have been accepted, it is never sent again.

        Args:
            model: The model's name.
            input: What to make, in the service's own words: ``{"prompt": "a cat"}``.
            parameters: How to make it: ``{"size": "1280*720"}``.
            endpoint: What to make: ``"video"``, ``"text-to-image"`` or another name of
                ``ENDPOINTS``; or the path of any other endpoint that makes tasks.
            idempotency_key: Your own name for this one wanted result: as far as the ledger reaches,
                at most one submit of it is ever accepted, and the same request brings the same task. A
                key that was refused has nothing accepted, and is asked for anew.
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
            ResultAtOnce: It made no task; the result itself is in the error.
            IdempotencyConflict, GuardRefused: The key stands for another request, or a limit of
                your own forbids it; nothing was sent.
            LedgerError: The ledger cannot be used; it says whether anything was sent.
        """
        make = partial(self._core.new_create, is_synchronous=False, idempotency_key=idempotency_key)
        return self._submit(make(endpoint, model, input, parameters), timeout)

    def generate(
        self,
        model: str,
        input: Mapping[str, Any],  # noqa: A002  # the service's own word
        parameters: Mapping[str, Any] | None = None,
        *,
        endpoint: str | Endpoint = IMAGE_SYNCHRONOUS,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> DirectOutcome:
        """Ask an endpoint that answers with the result itself. There is no task to come back to.

        A lost answer may be billed and cannot be found again, so it is never asked for twice
        by itself: that is :class:`.SubmitInDoubt`.

        Args:
            model: See :meth:`submit`.
            input: See :meth:`submit`.
            parameters: See :meth:`submit`.
            endpoint: A name of ``ENDPOINTS`` that is synchronous, or the path of any other.
            idempotency_key: See :meth:`submit`; the same request again brings the same result.
            timeout: Until when a sending may start, in seconds, 300 by default; it may take 180 s itself.

        Returns:
            What was made.

        Raises:
            ConfigurationError: The call makes no sense; nothing was sent.
            SubmitError: See :meth:`submit`.
            StillGoing: The service made a task instead; wait for it.
        """
        create = self._core.new_create(
            endpoint, model, input, parameters, is_synchronous=True, idempotency_key=idempotency_key
        )
        submission = self._core.new_submission(timeout, self._clock.now(), create)
        try:
            done = self._carry_out(submission, create)
            made = self._core.take_result(submission, done, self._clock.now(), create.endpoint, create.filing)
            self._told(submission, create, None)
            return made
        except BaseException as interruption:
            self._told(submission, create, interruption)
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
    ) -> Generator[Finished[Task], None, None]:
        """Ask for many things, and yield each as it is done: as many at once as the account takes.

        Nothing is sent before the first result is asked for, and nothing begins while the caller is
        busy with one: hand longer work, a download say, to a thread of its own. One job's failure is its
        own ``error``. Left early, what was accepted goes on at the service, and the log says
        how to go on with it.

        Args:
            jobs: What to make. They are read as they can be sent, so there may be millions.
            submit_timeout: Until when a submit's sendings may start, in seconds from when its turn
                comes; 300 by default. Waiting for a free slot of the account is not counted.
            timeout: How many seconds to wait for each task, from its acceptance; 300 by default.
            deadline: The end of it all, with a time zone: no submit begins after it, and no wait
                lasts longer. Jobs that had no turn finish with an error that says so.
            on_timeout: What becomes of a task whose wait's time is up; see :meth:`.Task.wait`.
            workers: How many requests may be out at once. With 1, and with a clock of your own,
                they are carried out one after the other in the caller's thread, otherwise in threads.

        Yields:
            One result for each job, in order of completion.

        Raises:
            ConfigurationError: The call makes no sense; nothing was sent.
            Exception: Whatever ``jobs`` raised, once everything that was taken of it is done.
        """
        waits = Waits(submit_timeout_s=submit_timeout, timeout_s=timeout, deadline=deadline, on_timeout=on_timeout)
        return finish_many(self, waits, workers, jobs=jobs)

    def as_completed(
        self,
        tasks: Iterable[Task],
        *,
        timeout: float | None = None,
        deadline: datetime | None = None,
        on_timeout: OnTimeout | None = None,
        workers: int = WORKERS,
    ) -> Generator[Finished[Task], None, None]:
        """Wait for many tasks, and yield each as it is done; see :meth:`submit_many`.

        Args:
            tasks: The tasks; :meth:`task` makes one of an id or a resume token.
            timeout: How many seconds to wait for each, from the first result that is asked for.
            deadline: Until when to wait, with a time zone.
            on_timeout: See :meth:`.Task.wait`.
            workers: See :meth:`submit_many`.

        Yields:
            One result for each task, in order of completion.

        Raises:
            ConfigurationError: The call makes no sense; nothing was sent.
        """
        waits = Waits(timeout_s=timeout, deadline=deadline, on_timeout=on_timeout)
        return finish_many(self, waits, workers, tasks=tasks)

    def task(self, id_or_token: str) -> Task:
        """Return a task by its id, or by the resume token of an error or log line. Sends nothing.

        Raises:
            ConfigurationError: It is neither.
            SnapshotError: It is a token that cannot be used here.
        """
        return Task(self, self._core.record_of(id_or_token, self._clock.now()))

    def list_remote(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        model: str | None = None,
        status: str | None = None,
        page_size: int = PAGE_SIZE,
        timeout: float = LIST_S,
    ) -> Iterator[ListedTask]:
        """Yield the account's tasks at the service, whoever submitted them.

        The service remembers them for a day. Without bounds, these are its last 24 hours;
        with one bound, the 24 hours from or to it.

        Args:
            start: Tasks created from then on, with a time zone.
            end: Tasks created until then, with a time zone.
            model: Of this model only.
            status: In this status only, in the service's own word.
            page_size: Rows that are asked for at once.
            timeout: How many seconds to go on asking for each page.

        Raises:
            ConfigurationError: The dialect cannot list, or the window makes no sense; nothing was sent.
            ListingFailed: A page did not come.
        """
        asked = questions(
            self._core.settings.dialect, start=start, end=end, model=model, status=status, page_size=page_size
        )
        return listed(self, asked, checked_seconds("timeout", timeout))

    def download_all(
        self, outcome: DirectOutcome, path: str | os.PathLike[str], *, timeout: float = DOWNLOAD_S
    ) -> tuple[Path, ...]:
        """Write everything that :meth:`generate` made to files; see :meth:`.Task.download_all`.

        Args:
            outcome: What was made.
            path: A folder, a template or a file; the request's id stands in the place of a task's.
            timeout: How many seconds all of them may take.

        Raises:
            ConfigurationError: The path or the time makes no sense, or it is nothing that :meth:`generate` made.
            DownloadFailed: At least one is not on disk, and it says which; the others are. They stay paid.
        """
        order = order_of_result(self._core, outcome, path, timeout, self._clock.now())
        with telling_of_failure(lambda: standing_of_result(outcome), self._core.settings.api_key):
            return self._saver.save_all(order)

    def close(self) -> None:
        """Wait for creates that are out, then close the connections; your own client and ledger stay yours."""
        try:
            self._creates_out.end()
        finally:
            self._exchange.close()
            if self._core.books is not None:
                self._core.books.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
