"""Poll any other API: :func:`poll` and :func:`poll_async`.

Nothing third-party is imported here; :func:`poll_async` needs anyio when it is called.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar, overload

from resilient_poll.drive import limited, stretch
from resilient_poll.drive.clocks import AsyncClock, Clock, RealAsyncClock, RealClock
from resilient_poll.drive.outcome import Outcome, task_error
from resilient_poll.drive.telling import logger, saying_that_it_goes_on, tell
from resilient_poll.errors import ConfigurationError
from resilient_poll.events import Event, WaitBegan, WaitEnded
from resilient_poll.http.retry_after import read_retry_after
from resilient_poll.http.sent import describe, is_library_error
from resilient_poll.machine.commands import Done
from resilient_poll.machine.lifecycle import Lifecycle
from resilient_poll.machine.observations import Observation, Refused, StatusSeen, Throttled, Unreachable, Unreadable
from resilient_poll.machine.policy import WaitPolicy
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.schedules import Schedule
from resilient_poll.machine.task_record import TaskRecord
from resilient_poll.transports.abandon import is_within
from resilient_poll.transports.middleware.serving import serving

__all__ = ["Heard", "poll", "poll_async"]

Heard = str | tuple[str, Any] | Observation
"""What a query may return: the status; the status and the whole answer; or an observation."""

_ABSORBED = (OSError, ValueError, LookupError, TypeError)
"""What reading an answer from outside raises: no connection, no JSON, no such field, another type.

Anything else is taken for a fault of the program and ends the wait at once."""
_MOST_CAUSES = 5
"""How many causes of an error are looked at: an SDK wraps its library's once or twice, and a chain may be a ring."""

_CALLS = count(1)
"""Tells one call from another in events: what callers call their tasks need not."""

Result = TypeVar("Result")


@overload
def poll(
    query: Callable[[], tuple[str, Result]],
    *,
    lifecycle: Lifecycle,
    timeout: float | None = None,
    schedule: Schedule | None = None,
    policy: WaitPolicy | None = None,
    task_id: str = "(unnamed)",
    clock: Clock | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Outcome[Result]: ...
@overload
def poll(
    query: Callable[[], Heard],
    *,
    lifecycle: Lifecycle,
    timeout: float | None = None,
    schedule: Schedule | None = None,
    policy: WaitPolicy | None = None,
    task_id: str = "(unnamed)",
    clock: Clock | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Outcome: ...
def poll(
    query: Callable[[], Heard],
    *,
    lifecycle: Lifecycle,
    timeout: float | None = None,
    schedule: Schedule | None = None,
    policy: WaitPolicy | None = None,
    task_id: str = "(unnamed)",
    clock: Clock | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Outcome:
    """Ask until a task ends.

    Each query runs in a thread that is left behind if it takes longer than its time, so
    that the deadline holds whatever the query does.

    Args:
        query: Asks once. It returns the status, or the status and the answer. What it
            raises about the network or the answer is a failed poll, not a failed task; an
            error with an HTTP response (``raise_for_status()``, an SDK's) is read: a 4xx other
            than 408, 425 and 429 ends the wait, ``Retry-After`` is honoured.
        lifecycle: Which words mean what.
        timeout: How many seconds to wait; 300 by default.
        schedule: When to ask; every 3 s by default.
        policy: All other limits.
        task_id: What errors and log lines call the task.
        clock: What time it is, and how to sleep.
        on_event: Is told every event; its faults are logged and do not end the wait.

    Returns:
        The outcome; ``outcome.result`` is what the last query returned beside the status.

    Raises:
        StillGoing: The time is up and the task goes on.
        TaskFailed, TaskCanceled, TaskExpired: It came to another end.
        PollRefused: The service refuses to say.
        ConfigurationError: The call makes no sense.
    """
    clock = clock or RealClock()
    waiting = _Waiting(lifecycle, timeout, schedule, policy, task_id, clock, on_event)
    with saying_that_it_goes_on(task_id), waiting.named():
        done = stretch.run(waiting.poller, _Queries(waiting, query), clock, waiting.publish, is_within)
    return waiting.conclude(done)


@overload
async def poll_async(
    query: Callable[[], Awaitable[tuple[str, Result]]],
    *,
    lifecycle: Lifecycle,
    timeout: float | None = None,  # noqa: ASYNC109  # as below
    schedule: Schedule | None = None,
    policy: WaitPolicy | None = None,
    task_id: str = "(unnamed)",
    clock: AsyncClock | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Outcome[Result]: ...
@overload
async def poll_async(
    query: Callable[[], Awaitable[Heard]],
    *,
    lifecycle: Lifecycle,
    timeout: float | None = None,  # noqa: ASYNC109  # as below
    schedule: Schedule | None = None,
    policy: WaitPolicy | None = None,
    task_id: str = "(unnamed)",
    clock: AsyncClock | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Outcome: ...
async def poll_async(
    query: Callable[[], Awaitable[Heard]],
    *,
    lifecycle: Lifecycle,
    timeout: float | None = None,  # noqa: ASYNC109  # the machine's deadline: it makes a last poll before it
    schedule: Schedule | None = None,
    policy: WaitPolicy | None = None,
    task_id: str = "(unnamed)",
    clock: AsyncClock | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Outcome:
    """Ask until a task ends, on asyncio or trio; see :func:`poll`.

    Args:
        query: Asks once, and is cancelled if it takes longer than its time.
        lifecycle: See :func:`poll`.
        timeout: See :func:`poll`.
        schedule: See :func:`poll`.
        policy: See :func:`poll`.
        task_id: See :func:`poll`.
        clock: What time it is, and how to sleep.
        on_event: See :func:`poll`.
    """
    clock = clock or RealAsyncClock()
    waiting = _Waiting(lifecycle, timeout, schedule, policy, task_id, clock, on_event)

    async def ask() -> Observation:
        try:
            return waiting.heard(await query())
        except Exception as error:
            if (observation := waiting.understand(error)) is None:
                raise
            return observation

    with saying_that_it_goes_on(task_id), waiting.named():
        done = await limited.run(waiting.poller, ask, waiting.too_slow, clock, waiting.publish)
    return waiting.conclude(done)


class _Waiting:
    """What both faces share: everything but the waiting."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        timeout_s: float | None,
        schedule: Schedule | None,
        policy: WaitPolicy | None,
        task_id: str,
        clock: Clock | AsyncClock,
        on_event: Callable[[Event], None] | None,
    ) -> None:
        chosen = policy or WaitPolicy()
        if chosen.on_timeout != "keep_running":
            raise ConfigurationError(
                "poll() knows of no way to cancel a task: on_timeout must be 'keep_running'; nothing was asked"
            )
        if timeout_s is not None:
            chosen = replace(chosen, timeout_s=timeout_s)
        if schedule is not None:
            chosen = replace(chosen, schedule=schedule)
        self._clock = clock
        self._on_event = on_event
        self._began = clock.now()
        self._last_trouble: str | None = None
        self.poller = Poller(TaskRecord.known_by_id(task_id, self._began), lifecycle, chosen, self._began)
        self._call: str | None = None
        if on_event is not None or logger.isEnabledFor(logging.DEBUG):
            self._call, self.poller.is_heard = f"poll-{next(_CALLS)}", True
            self.publish(WaitBegan(task_id, self._began.monotonic_s, self.poller.phase, 0))

    def named(self) -> AbstractContextManager[None]:
        """Have our transports beneath the query, if there are any, tell whom their requests serve."""
        return nullcontext() if self._call is None else serving(self.poller.task_id, self._call)

    def publish(self, event: Event) -> None:
        tell(event if self._call is None else replace(event, submit_id=self._call), self._on_event)

    def heard(self, what: Heard) -> Observation:
        self._last_trouble = None
        match what:
            case str() as status:
                return StatusSeen(status=status, result=status)
            case (str() as status, result):
                return StatusSeen(status=status, result=result)
            case Observation():
                return what
            case _:
                # It may be the service's doing (no status in its answer), so it is absorbed as any odd answer is.
                self._last_trouble = (  # type: ignore[unreachable]  # callers without a type checker reach it
                    f"a query returns a status, or a status and the answer, not {type(what).__name__}"
                )
                return Unreadable(reason=self._last_trouble)

    def too_slow(self, timeout_s: float) -> Observation:
        self._last_trouble = f"no answer within {timeout_s:.1f} s"
        return Unreachable(reason=self._last_trouble)

    def understand(self, error: Exception) -> Observation | None:
        """Return what an error of a query means, or None if it is the program's own fault."""
        self._last_trouble = describe(error)
        if (said := _answer_in(error)) is not None:
            return self._refusal(*said)
        if isinstance(error, ConfigurationError) or not any(map(_is_absorbed, _with_causes(error))):
            return None
        return Unreachable(reason=self._last_trouble)

    def _refusal(self, status: int, response: Any) -> Observation:
        hint = read_retry_after(_values(response, "retry-after"), _values(response, "date"), self._clock.now().wall_s)
        if status == 429:
            return Throttled(retry_after_s=hint.seconds, retry_after_ignored=hint.ignored)
        if 400 <= status < 500 and status not in {408, 425}:
            return Refused(http_status=status, retry_after_s=hint.seconds, retry_after_ignored=hint.ignored)
        return Unreachable(reason=f"HTTP {status}", retry_after_s=hint.seconds, retry_after_ignored=hint.ignored)

    def conclude(self, done: Done) -> Outcome:
        record, now = self.poller.record, self._clock.now()
        self.publish(WaitEnded(record.task_id, now.monotonic_s, done.reason, record.phase))
        error = task_error(
            record,
            done,
            now,
            resume_token=None,
            waited_s=now.monotonic_s - self._began.monotonic_s,
            last_trouble=self._last_trouble,
        )
        if error is not None:
            logger.warning("%s", error)
            raise error
        return Outcome(
            task_id=record.task_id,
            status=record.status,
            billing=record.billing,
            polls=record.polls,
            time_per_phase=record.time_per_phase(now),
            request_id=record.request_id,
            result=record.result,
        )


class _Queries:
    """The queries of :func:`poll`; see :class:`.Queries`."""

    def __init__(self, waiting: _Waiting, query: Callable[[], Heard]) -> None:
        self._waiting = waiting
        self._query = query
        self.too_slow = waiting.too_slow

    def begin(self, timeout_s: float) -> None:
        """There is nothing to make up."""

    def send(self, left_behind: threading.Event) -> tuple[Heard, None] | tuple[None, Exception]:
        del left_behind  # A caller's query cannot be told to stop.
        try:
            return self._query(), None
        except Exception as error:  # noqa: BLE001  # looked at by hear()
            return None, error

    def hear(self, came: tuple[Heard, None] | tuple[None, Exception]) -> Observation:
        what, error = came
        if error is None:
            return self._waiting.heard(what)  # type: ignore[arg-type]  # without an error it is something heard
        if (observation := self._waiting.understand(error)) is None:
            raise error
        return observation


def _is_absorbed(error: BaseException) -> bool:
    return isinstance(error, _ABSORBED) or is_library_error(error)


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from: SDKs wrap their HTTP library's errors in their own."""
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__


def _answer_in(error: Exception) -> tuple[int, Any] | None:
    """Return the HTTP status that an error tells of, and what has the headers, or None if it tells of no answer."""
    if type(error).__module__ == "urllib.error":
        # Its HTTPError is the response itself. By name, so that urllib is not imported to ask.
        status = getattr(error, "code", None)
        if hasattr(error, "close"):
            error.close()  # It holds the connection, and nobody else will close it.
        return (status, error) if isinstance(status, int) else None
    for one in _with_causes(error):
        response = getattr(one, "response", None)
        # Some libraries put the status on the error itself: aiohttp with the headers, others without.
        for holder, name in ((response, "status_code"), (one, "status_code"), (one, "status")):
            status = getattr(holder, name, None)
            if isinstance(status, int) and 400 <= status < 600:
                return status, one if response is None else response
    return None


def _values(response: Any, name: str) -> Sequence[str]:
    """Return a header's values from a response of httpx, httpx2, requests or urllib."""
    headers = getattr(response, "headers", None) or {}
    for all_of_them in ("get_list", "get_all"):
        if hasattr(headers, all_of_them):
            values: Sequence[str] | None = getattr(headers, all_of_them)(name)
            return values or []
    value = headers.get(name)
    return [] if value is None else [str(value)]
