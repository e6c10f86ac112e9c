"""A function that asks once becomes one that waits: :func:`polled`."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast, overload

from resilient_poll.drive.clocks import AsyncClock, Clock
from resilient_poll.drive.outcome import Outcome
from resilient_poll.errors import ConfigurationError
from resilient_poll.events import Event
from resilient_poll.generic import Heard, poll, poll_async
from resilient_poll.machine.lifecycle import Lifecycle
from resilient_poll.machine.policy import WaitPolicy
from resilient_poll.machine.schedules import Schedule

__all__ = ["PolledDecorator", "polled"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class _Call:
    """How a decorated function is called, and what its waits are called."""

    def __init__(self, query: Callable[..., Any], task_id_from: str | None) -> None:
        self.name = str(getattr(query, "__qualname__", type(query).__qualname__))
        self._parameter = task_id_from
        self._signature: inspect.Signature | None = None
        with contextlib.suppress(ValueError):  # Some functions that are written in C have none.
            self._signature = inspect.signature(query)
        parameters = self._signature.parameters if self._signature else {}
        if task_id_from is not None and task_id_from not in parameters:
            raise ConfigurationError(
                f"{self.name} has no parameter {task_id_from!r:.80}, which task_id_from= names; "
                f"it has {', '.join(parameters) or 'none that can be seen'}"
            )

    def task_id(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Return what errors call the task of one call.

        Raises:
            TypeError: The arguments do not fit, which within the wait would pass for an odd answer.
        """
        if self._signature is None:
            return self.name
        bound = self._signature.bind(*args, **kwargs)
        if self._parameter is None:
            return self.name
        bound.apply_defaults()
        return str(bound.arguments[self._parameter])


@dataclass(frozen=True, slots=True, kw_only=True)
class PolledDecorator:
    """What :func:`polled` returns: it turns a function that asks once into one that waits.

    Attributes:
        lifecycle, timeout, schedule, policy, task_id_from, clock, on_event: See :func:`polled`.
    """

    lifecycle: Lifecycle
    timeout: float | None
    schedule: Schedule | None
    policy: WaitPolicy | None
    task_id_from: str | None
    clock: Clock | AsyncClock | None
    on_event: Callable[[Event], None] | None

    @overload
    def __call__(
        self, query: Callable[Arguments, Coroutine[Any, Any, tuple[str, Result]]]
    ) -> Callable[Arguments, Coroutine[Any, Any, Outcome[Result]]]: ...
    @overload
    def __call__(
        self, query: Callable[Arguments, Coroutine[Any, Any, Heard]]
    ) -> Callable[Arguments, Coroutine[Any, Any, Outcome]]: ...
    @overload
    def __call__(self, query: Callable[Arguments, tuple[str, Result]]) -> Callable[Arguments, Outcome[Result]]: ...
    @overload
    def __call__(self, query: Callable[Arguments, Heard]) -> Callable[Arguments, Outcome]: ...
    def __call__(self, query: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate a function.

        Args:
            query: Asks once; see :func:`.poll`. One that is awaited becomes one that is awaited.

        Returns:
            A function with the same arguments that waits and returns the outcome.

        Raises:
            ConfigurationError: It is no function, the clock is for functions of the other colour, or no parameter
                has the name of ``task_id_from``.
        """
        if not callable(query):
            raise ConfigurationError(  # A staticmethod object can be called, a classmethod or a property cannot.
                f"@polled(...) goes on a function, below @classmethod or @property, not on a {type(query).__name__}"
            )
        is_awaited = _is_awaited(query)
        if self.clock is not None and _is_awaited(self.clock.sleep) is not is_awaited:
            raise ConfigurationError(
                f"the clock of a function that is {'awaited' if is_awaited else 'not awaited'} sleeps as it does: "
                f"{'VirtualClock().for_async()' if is_awaited else 'VirtualClock()'}, not {self.clock!r:.80}"
            )
        call = _Call(query, self.task_id_from)
        return self._awaiting(query, call) if is_awaited else self._blocking(query, call)

    def _blocking(self, query: Callable[..., Any], call: _Call) -> Callable[..., Outcome]:
        @functools.wraps(query)
        def wait(*args: Any, **kwargs: Any) -> Outcome:
            task_id = call.task_id(args, kwargs)

            def ask() -> Heard:
                said = query(*args, **kwargs)
                if inspect.isawaitable(said):
                    _discard(said)
                    raise ConfigurationError(
                        f"{call.name} returned something to be awaited: @polled(...) sees that only where the "
                        "function is declared with 'async def'; wrap it in one"
                    )
                return cast("Heard", said)

            return poll(
                ask,
                lifecycle=self.lifecycle,
                timeout=self.timeout,
                schedule=self.schedule,
                policy=self.policy,
                task_id=task_id,
                clock=cast("Clock | None", self.clock),
                on_event=self.on_event,
            )

        return wait

    def _awaiting(self, query: Callable[..., Any], call: _Call) -> Callable[..., Coroutine[Any, Any, Outcome]]:
        @functools.wraps(query)
        async def wait(*args: Any, **kwargs: Any) -> Outcome:
            task_id = call.task_id(args, kwargs)
            return await poll_async(
                lambda: query(*args, **kwargs),
                lifecycle=self.lifecycle,
                timeout=self.timeout,
                schedule=self.schedule,
                policy=self.policy,
                task_id=task_id,
                clock=cast("AsyncClock | None", self.clock),
                on_event=self.on_event,
            )

        return wait


def polled(
    *,
    lifecycle: Lifecycle,
    timeout: float | None = None,
    schedule: Schedule | None = None,
    policy: WaitPolicy | None = None,
    task_id_from: str | None = None,
    clock: Clock | AsyncClock | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> PolledDecorator:
    """Turn a function that asks once how a task is doing into one that waits until the task ends.

    ::

        @polled(lifecycle=LIFECYCLE, timeout=120, task_id_from="job_id")
        def finished(job_id: str) -> tuple[str, Job]:
            job = service.job(job_id)
            return job.state, job

        finished("job-17").result  # the Job that said that it succeeded

    It goes on functions and methods, declared with ``def`` or ``async def``. The arguments and what is
    raised stay what they are; :func:`.poll` says which errors are a failed question and which end the wait.

    Args:
        lifecycle: Which words mean what.
        timeout: How many seconds to wait; 300 by default.
        schedule: When to ask; every 3 s by default.
        policy: All other limits.
        task_id_from: The name of the function's parameter that holds the task's id, for errors and log lines;
            unless given, they name the function. Arguments are not shown unasked: they may hold secrets.
        clock: What time it is, and how to sleep.
        on_event: Is told every event; its faults are logged and do not end the wait.

    Returns:
        A decorator; what it makes of the function returns an :class:`.Outcome` whose ``result`` is what the
        last question returned beside the status, and raises what :func:`.poll` raises.
    """
    return PolledDecorator(
        lifecycle=lifecycle,
        timeout=timeout,
        schedule=schedule,
        policy=policy,
        task_id_from=task_id_from,
        clock=clock,
        on_event=on_event,
    )


def _is_awaited(function: Callable[..., Any]) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _discard(said: Awaitable[Any]) -> None:
    if inspect.iscoroutine(said):
        said.close()  # Or Python complains that nobody awaited it.
