"""At most so many requests in any window of time, for all who share an account.

A service counts what arrives; we count what leaves. Two requests that leave a second
apart may arrive closer together, so each window here is a little longer than the
service's (:data:`ARRIVAL_JITTER_S`).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from resilient_poll.errors import ConfigurationError
from resilient_poll.events import Event
from resilient_poll.machine.commands import Command, Done, DoneReason, Query, SleepReason, SleepUntil, Submit
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.lookup import Lookup
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.submission import Submission

__all__ = ["Gate", "InTurn", "Pace", "Place"]

ARRIVAL_JITTER_S = 0.1
"""How much closer together than they left two requests may arrive.

The way to a service varies by some tens of milliseconds, and a sleeper may wake as much too
late. A tenth of a second covers both and costs a tenth of a limit per second. A request that
has to connect first is later by some 0.2 s: that is rare, and costs one throttle."""


class Pace:
    """At most ``count`` starts in any window of a length, however they are spread.

    It is a log of starts, those included that are promised and still to come.

    Args:
        count: How many; 1 or more.
        window_s: The length of the window in seconds, as the service counts it.
        margin_s: How much longer it is made here.

    Raises:
        ConfigurationError: There would never be a turn.
    """

    def __init__(self, count: int, window_s: float, *, margin_s: float = ARRIVAL_JITTER_S) -> None:
        if count < 1 or not 0 < window_s < math.inf or not 0 <= margin_s < math.inf:
            raise ConfigurationError(
                f"a pace needs a count of 1 or more and a window longer than nothing, not {count!r} in {window_s!r} s"
            )
        self.count = count
        self.window_s = window_s
        self._length_s = window_s + margin_s
        self._starts_s: list[float] = []

    def earliest_s(self, now_s: float) -> float:
        """Return the earliest start that the pace allows, now or later. Asking changes nothing.

        Args:
            now_s: The earliest that is wanted, in monotonic seconds.
        """
        at_s, starts = now_s, self._starts_s
        while True:
            # Whatever window holds the new start, it lies within one length before and after it.
            before = bisect_right(starts, at_s, key=self._leaves_s)
            after = bisect_left(starts, self._leaves_s(at_s))
            if after - before < self.count:
                return at_s
            at_s = self._leaves_s(starts[after - self.count])

    def take(self, now_s: float) -> bool:
        """Start now, if the pace allows it; otherwise nothing changes."""
        if self.earliest_s(now_s) > now_s:
            return False
        self.note(now_s, now_s)
        return True

    def reserve(self, now_s: float) -> float:
        """Promise the earliest start that is free, and return it: a ticket, first come, first served."""
        at_s = self.earliest_s(now_s)
        self.note(at_s, now_s)
        return at_s

    def note(self, at_s: float, now_s: float) -> None:
        """Write a start down, and forget those that no window can hold any more."""
        gone = bisect_right(self._starts_s, now_s, key=self._leaves_s)
        del self._starts_s[:gone]
        insort(self._starts_s, at_s)

    def release(self, at_s: float) -> None:
        """Strike out a start that did not happen."""
        place = bisect_left(self._starts_s, at_s)
        if place < len(self._starts_s) and self._starts_s[place] == at_s:
            del self._starts_s[place]

    def _leaves_s(self, start_s: float) -> float:
        return start_s + self._length_s


class Gate:
    """Lets a request through where all of its paces do.

    A pace may stand at several gates: a limit on requests of every kind is one pace at each.

    Args:
        paces: None of them means that nothing is ever held back.
        guard: Held while a pace is read and changed; a lock where threads share it. Gates that
            share a pace share the guard.
    """

    def __init__(self, paces: Sequence[Pace] = (), guard: AbstractContextManager[object] | None = None) -> None:
        self._paces = tuple(paces)
        self._guard = nullcontext() if guard is None else guard

    @property
    def is_open(self) -> bool:
        """Whether nothing is ever held back."""
        return not self._paces

    def earliest_s(self, now_s: float) -> float:
        """Return the earliest start, now or later. Asking changes nothing."""
        if not self._paces:
            return now_s
        with self._guard:
            return self._earliest_s(now_s)

    def take(self, now_s: float) -> bool:
        """Start now, if every pace allows it; otherwise nothing changes."""
        with self._guard:
            if self._earliest_s(now_s) > now_s:
                return False
            self._note(now_s, now_s)
            return True

    def reserve(self, now_s: float) -> float:
        """Promise the earliest start that is free at every pace, and return it."""
        if not self._paces:
            return now_s
        with self._guard:
            at_s = self._earliest_s(now_s)
            self._note(at_s, now_s)
            return at_s

    def release(self, at_s: float) -> None:
        """Strike out a start that did not happen."""
        with self._guard:
            for pace in self._paces:
                pace.release(at_s)

    def _earliest_s(self, now_s: float) -> float:
        at_s = now_s
        while (later_s := max((pace.earliest_s(at_s) for pace in self._paces), default=at_s)) > at_s:
            at_s = later_s
        return at_s

    def _note(self, at_s: float, now_s: float) -> None:
        for pace in self._paces:
            pace.note(at_s, now_s)


class Place:
    """One waiter's place in the queue before a gate.

    Args:
        gate: The gate.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._ticket_s: float | None = None

    def turn_s(self, now_s: float) -> float:
        """Return when its turn is, joining the queue if it is in none. Asked twice it says the same.

        Whoever comes too late for a turn joins anew: the start that was promised is another one.
        """
        ticket_s = self._ticket_s
        if ticket_s is not None and now_s > ticket_s + ARRIVAL_JITTER_S:
            self.leave()
            ticket_s = None
        if ticket_s is None:
            ticket_s = self._ticket_s = self._gate.reserve(now_s)
        return ticket_s

    def go(self) -> None:
        """The turn was used."""
        self._ticket_s = None

    def leave(self) -> None:
        """Give the place back unused, if there is one."""
        if self._ticket_s is not None:
            self._gate.release(self._ticket_s)
            self._ticket_s = None


class InTurn:
    """A machine that sends in its turn: it sleeps until the account's own limits let it through.

    Nothing sleeps between a command to send and the sending, so a ``Retry-After`` or a deadline
    that comes up while it waits for its turn is kept.

    Args:
        machine: Decides everything else.
        gate: What its requests pass.
    """

    def __init__(self, machine: Submission | Poller | Lookup, gate: Gate) -> None:
        self._machine = machine
        self._place = Place(gate)

    @property
    def task_id(self) -> str | None:
        """The service's id, once there is one."""
        return self._machine.task_id

    def next_command(self, now: Instant) -> Command:
        """Return what to do next. Asking takes a place in the queue, and asked twice says the same.

        Args:
            now: When.
        """
        command = self._machine.next_command(now)
        if not isinstance(command, Submit | Query):
            if isinstance(command, Done):
                self._place.leave()
            return command
        turn_s = self._place.turn_s(now.monotonic_s)
        if turn_s <= now.monotonic_s:
            return command
        if isinstance(command, Query):
            # The machine looks again no later than this: its deadline may be there.
            return SleepUntil(min(turn_s, now.monotonic_s + command.timeout_s), SleepReason.LIMIT)
        if isinstance(self._machine, Submission) and turn_s > self._machine.last_start_s:
            self._place.leave()
            return Done(DoneReason.COME_BACK_LATER, turn_s)
        return SleepUntil(turn_s, SleepReason.LIMIT)

    def receive(self, observation: Observation, now: Instant) -> tuple[Event, ...]:
        """Take in what the world said; see the machine's own ``receive``."""
        self._place.go()
        return self._machine.receive(observation, now)
