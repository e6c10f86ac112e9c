"""Limits: how long, how often, how many failures. Each default has its reason beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

from resilient_poll.errors import ConfigurationError
from resilient_poll.machine.lifecycle import OPEN, Phase
from resilient_poll.machine.schedules import Fixed, Schedule

__all__ = ["OnTimeout", "SubmitPolicy", "WaitPolicy"]

DEFAULT_WAIT_S = 300.0
"""Source of this and the other numbers here: docs/decisions.md, *Numbers and their sources*."""
DEFAULT_POLL_ATTEMPT_S = 15.0
"""A status answer is a few hundred bytes; after 15 s a new request is the better bet."""
DEFAULT_CREATE_ATTEMPT_S = 60.0
"""A create that is given up is a doubt about money, so it gets four times a poll's patience."""
DEFAULT_SYNCHRONOUS_CREATE_S = 180.0
"""A create that answers with the result itself makes it first: three minutes, then it is a doubt about money."""
DEFAULT_SUBMIT_S = 300.0
"""The queue in front of a concurrency cap drains as tasks end, so: as long as a wait."""
DEFAULT_UNRECOGNIZED_GRACE_S = 60.0
"""An id that was never seen: replication lag right after a create is seconds, not minutes."""
DEFAULT_UNRECOGNIZED_GRACE_ONCE_SEEN_S = 120.0
"""An id that was seen before is worth more patience: it surely existed."""
DEFAULT_UNLISTED_LIMIT_S = 120.0
"""A word that nobody listed may be a new end: believed as long as a lost id that was seen."""
LAST_POLL_LEAD_S = 2.0
LAST_POLL_LEAD_SHARE = 0.10
"""The last poll starts 2 s, or a tenth of the wait if that is less, before the deadline."""
HELD_BACK_POLL_NEEDS_S = 1.0
"""A wait whose first poll is held back by the floor makes it with this much left, or leaves it to the next wait.

Enough for a slow service over a new connection, which every cut poll makes necessary. With less, a loop of short waits
would have each of its polls cut at the wait's end, which raises the floor for the next: it would never hear the end."""
DEADLINE_MARGIN_S = 0.25
"""How much later than its deadline a wait may end: the time to close and unwind."""
MINIMUM_POLL_INTERVAL_S = 0.5
"""2 Hz: what services ask for; see docs/decisions.md."""
CREATE_MINIMUM_S = 1.0
"""A create is not started with less than this left of the submit's time."""
RESULT_REFETCHES = 3
"""How often a success without a readable result is asked about again."""


_LATEST_WALL_S = 1e12  # The year 33,658: milliseconds in the place of seconds are larger.
OnTimeout = Literal["keep_running", "cancel"]
"""What becomes of a task whose wait's time is up: it goes on, or the service is asked to cancel it."""
LONGEST_S = 1e9
"""Thirty years: more is a mistake, and operating systems refuse to wait for it."""


def _is_number(value: object) -> bool:
    # Types are hints at run time: "5" and None are passed too.
    return isinstance(value, int | float) and not isinstance(value, bool)


def _positive(**seconds: float | None) -> None:
    for name, value in seconds.items():
        if not _is_number(value) or not 0 < (value or 0) <= LONGEST_S:
            raise ConfigurationError(
                f"{name} must be a finite number of seconds greater than zero, not {value!r}; "
                "every wait here ends, so there is no value for 'for ever'"
            )


def _not_negative(**seconds: float) -> None:
    for name, value in seconds.items():
        if not _is_number(value) or not 0 <= value <= LONGEST_S:
            raise ConfigurationError(f"{name} must be a finite number of seconds, zero or more, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitPolicy:
    """How one wait for an accepted task behaves.

    Attributes:
        timeout_s: The whole wait, from its start.
        deadline_wall_s: An absolute end of the wait, in seconds since 1970; where both
            are given the earlier one holds.
        attempt_timeout_s: The longest that one query may take, its body included.
        phase_limits_s: How long the task may stay in a phase before the wait gives up.
        max_failures_in_a_row: How many polls in a row may fail; None leaves it to the deadline.
        max_failing_s: For how long polls may fail without a success between; None
            leaves it to the deadline.
        unrecognized_grace_s: How long "no such id" is believed to pass, while no poll
            has seen the task.
        unrecognized_grace_once_seen_s: The same, once a poll has seen it.
        schedule: When to ask.
        minimum_interval_s: The floor under every schedule.
        start_spread_s: Spreads the first polls of tasks that start together over this
            many seconds.
        on_timeout: What becomes of the task when ``timeout_s`` or ``deadline_wall_s`` is over:
            ``"keep_running"``, or ``"cancel"`` where the service has a cancel.
    """

    timeout_s: float = DEFAULT_WAIT_S
    deadline_wall_s: float | None = None
    attempt_timeout_s: float = DEFAULT_POLL_ATTEMPT_S
    phase_limits_s: Mapping[Phase, float] = field(default_factory=dict)
    max_failures_in_a_row: int | None = None
    max_failing_s: float | None = None
    unrecognized_grace_s: float = DEFAULT_UNRECOGNIZED_GRACE_S
    unrecognized_grace_once_seen_s: float = DEFAULT_UNRECOGNIZED_GRACE_ONCE_SEEN_S
    schedule: Schedule = field(default_factory=Fixed)
    minimum_interval_s: float = MINIMUM_POLL_INTERVAL_S
    start_spread_s: float = 0.0
    on_timeout: OnTimeout = "keep_running"

    def __post_init__(self) -> None:
        _positive(timeout_s=self.timeout_s, attempt_timeout_s=self.attempt_timeout_s)
        deadline = self.deadline_wall_s
        if deadline is not None and not (_is_number(deadline) and 0 < deadline < _LATEST_WALL_S):
            raise ConfigurationError(f"deadline_wall_s must be seconds since 1970, not {deadline!r}")
        if self.max_failing_s is not None:
            _positive(max_failing_s=self.max_failing_s)
        if self.on_timeout not in get_args(OnTimeout):
            raise ConfigurationError(f"on_timeout must be 'keep_running' or 'cancel', not {self.on_timeout!r:.80}")
        if not callable(getattr(self.schedule, "delay_s", None)):
            raise ConfigurationError(f"schedule must be Fixed, Linear, Exponential or alike, not {self.schedule!r}")
        _not_negative(
            unrecognized_grace_s=self.unrecognized_grace_s,
            unrecognized_grace_once_seen_s=self.unrecognized_grace_once_seen_s,
            minimum_interval_s=self.minimum_interval_s,
            start_spread_s=self.start_spread_s,
        )
        if self.max_failures_in_a_row is not None and self.max_failures_in_a_row < 1:
            raise ConfigurationError(f"max_failures_in_a_row must be 1 or more, not {self.max_failures_in_a_row!r}")
        for phase, limit_s in self.phase_limits_s.items():
            if phase not in OPEN:
                raise ConfigurationError(
                    f"a limit for {phase} has no meaning; one of {', '.join(sorted(OPEN))} can have one"
                )
            _positive(**{f"the limit for {phase}": limit_s})
        limits = {Phase.UNLISTED: DEFAULT_UNLISTED_LIMIT_S, **self.phase_limits_s}
        object.__setattr__(self, "phase_limits_s", MappingProxyType(limits))


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitPolicy:
    """How one submit behaves.

    Attributes:
        timeout_s: Until when a sending may start, from the submit's start. A sending
            that has started is never cut by it.
        attempt_timeout_s: The longest that one sending may take, whatever the timeout says.
            Through a caller's blocking client it holds per read only.
        synchronous_attempt_timeout_s: The same, where the service answers with the result itself.
        minimum_s: A sending is not started with less than this left.
    """

    timeout_s: float = DEFAULT_SUBMIT_S
    attempt_timeout_s: float = DEFAULT_CREATE_ATTEMPT_S
    synchronous_attempt_timeout_s: float = DEFAULT_SYNCHRONOUS_CREATE_S
    minimum_s: float = CREATE_MINIMUM_S

    def __post_init__(self) -> None:
        _positive(
            timeout_s=self.timeout_s,
            attempt_timeout_s=self.attempt_timeout_s,
            synchronous_attempt_timeout_s=self.synchronous_attempt_timeout_s,
        )
        _not_negative(minimum_s=self.minimum_s)
        if self.timeout_s < self.minimum_s:
            raise ConfigurationError(
                f"a submit needs at least {self.minimum_s:g} s to be started, and its timeout is {self.timeout_s:g} s"
            )
