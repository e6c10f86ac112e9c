"""One long-running operation, declared: what its answers mean, and how to wait for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resilient_poll.errors import ConfigurationError
from resilient_poll.machine.lifecycle import Billing, Lifecycle, Phase
from resilient_poll.machine.observations import Observation, Refused, StatusSeen, Throttled, Unreachable, Unreadable
from resilient_poll.machine.schedules import Fixed, Schedule
from resilient_poll.specs.acceptors import Acceptor, Reply, State, first_match

__all__ = ["OperationSpec"]

_PHASES = {State.SUCCESS: Phase.SUCCEEDED, State.FAILURE: Phase.FAILED, State.RETRY: Phase.RUNNING}
_THROTTLED = 429
_WILL_PASS = frozenset({408, 425})


@dataclass(frozen=True, slots=True)
class OperationSpec:
    """A long-running operation whose answers are understood by acceptors.

    Attributes:
        name: What messages call it.
        acceptors: What its answers mean; the first that matches decides.
        interval_s: How many seconds lie between two questions.
        timeout_s: How many seconds it may take.
        billing: What may be owed while nothing is known to be owed.

    Raises:
        ConfigurationError: It makes no sense: no acceptor means success, or the times are none.
    """

    name: str
    acceptors: tuple[Acceptor, ...]
    interval_s: float
    timeout_s: float
    billing: Billing = Billing.UNDETERMINED

    def __post_init__(self) -> None:
        if not any(acceptor.state is State.SUCCESS for acceptor in self.acceptors):
            raise ConfigurationError(f"operation {self.name!r}: no acceptor means success, so no wait could end well")
        for name, seconds in (("interval_s", self.interval_s), ("timeout_s", self.timeout_s)):
            if not is_time(seconds):
                raise ConfigurationError(f"operation {self.name!r}: {name} is a time in seconds, not {seconds!r:.80}")

    @classmethod
    def from_botocore(cls, waiter: Mapping[str, Any], *, name: str | None = None) -> OperationSpec:
        """Read one waiter of a ``waiters-2.json``, as botocore ships them.

        Its attempts become a time: ``delay`` times ``maxAttempts`` seconds, since a wait here has a deadline.

        Args:
            waiter: The value of one name below ``waiters``.
            name: What messages call it; its operation, if left out.

        Raises:
            ConfigurationError: It is no such waiter.
        """
        given: object = waiter  # Types are hints at run time: a file holds anything.
        if not isinstance(given, Mapping) or not {"delay", "maxAttempts", "acceptors"} <= set(given):
            raise ConfigurationError(f"a waiter has a delay, maxAttempts and acceptors, not {waiter!r:.200}")
        delay_s, attempts = waiter["delay"], waiter["maxAttempts"]
        if not all(
            isinstance(number, int) and not isinstance(number, bool) and number > 0 for number in (delay_s, attempts)
        ):
            raise ConfigurationError("a waiter's delay and maxAttempts are whole numbers above zero")
        called = str(name or waiter.get("operation", "waiter"))
        acceptors = tuple(Acceptor.of(row) for row in waiter["acceptors"])
        return cls(called, acceptors, interval_s=float(delay_s), timeout_s=float(delay_s * attempts))

    @property
    def lifecycle(self) -> Lifecycle:
        """The table of its three words, with their cases as they are."""
        return Lifecycle(
            name=self.name,
            statuses={str(state): phase for state, phase in _PHASES.items()},
            billing=dict.fromkeys(_PHASES.values(), self.billing),
        )

    @property
    def schedule(self) -> Schedule:
        """When to ask."""
        return Fixed(self.interval_s)

    def observe(self, reply: Reply) -> Observation:
        """Return what an answer means, for :func:`.poll`; its ``lifecycle`` goes with it.

        An error that no acceptor knows says nothing of the operation: a 429 slows the wait down, another 4xx
        ends the wait, anything else is a failed question.
        """
        try:
            acceptor = first_match(self.acceptors, reply)
        except ValueError as error:
            return Unreadable(reason=str(error))
        if acceptor is not None:
            return StatusSeen(
                status=str(acceptor.state), code=reply.error_code, message=reply.message, result=reply.body
            )
        status = reply.http_status
        if reply.error_code is None and (status is None or status < 400):
            return StatusSeen(status=str(State.RETRY), result=reply.body)
        if status == _THROTTLED:
            return Throttled(http_status=status, code=reply.error_code, message=reply.message)
        if status is not None and 400 <= status < 500 and status not in _WILL_PASS:
            return Refused(http_status=status, code=reply.error_code, message=reply.message)
        said = ": ".join(part for part in (reply.error_code, reply.message) if part) or f"HTTP {status}"
        return Unreachable(reason=said, http_status=status, code=reply.error_code, message=reply.message)


def is_time(seconds: object) -> bool:
    """Tell whether a value is a time that can be waited for."""
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < math.inf
