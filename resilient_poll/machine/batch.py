"""Many at once: who is submitted, asked about and finished next.

The batch decides for all its entries what :class:`.Submission` and :class:`.Poller` decide for
one, and adds the order: :class:`.Line` says who is submitted, :class:`.Watch` who is asked
about. Jobs are taken only when one could be sent, so a list of any length needs no more
memory than what is open.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import NamedTuple

from resilient_poll.events import Event
from resilient_poll.machine.commands import BatchCommand, Done, DoneReason, Settled, SleepReason, SleepUntil
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.line import Line
from resilient_poll.machine.observations import Observation
from resilient_poll.machine.policy import WaitPolicy
from resilient_poll.machine.poller import Poller
from resilient_poll.machine.slots import Account, Key
from resilient_poll.machine.submission import Submission
from resilient_poll.machine.watch import Watch

__all__ = ["Batch", "Counts"]


class Counts(NamedTuple):
    """Where the entries stand.

    Attributes:
        waiting: Taken, and not sent, or told to come back.
        submitting: Sent without an answer.
        open: Accepted, and still waited for; or over, and not handed out as settled.
    """

    waiting: int
    submitting: int
    open: int


class Batch:
    """The scheduler of many submits and waits of one account.

    Handing out is what :meth:`next_command` changes: a turn and a settled entry are given once.

    Args:
        account: What the account's tasks share.
        turns_at_once: How many requests may be out together. Where that is more than one, one
            is left to queries.
        deadline_s: When no further submit begins, in monotonic seconds; None for never. Waits have
            their own deadlines.
    """

    def __init__(self, account: Account, *, turns_at_once: int = 1, deadline_s: float | None = None) -> None:
        self._account = account
        self._turns_at_once = turns_at_once
        self._events: list[Event] = []
        self._line = Line(
            account,
            creates_at_once=max(1, turns_at_once - 1),
            deadline_s=math.inf if deadline_s is None else deadline_s,
            key=self._key,
            tell=self._tell,
        )
        self._watch = Watch(account, tell=self._tell)
        self._ordinals = count()
        self._accepted: deque[Settled] = deque()
        self._settled: deque[Settled] = deque()
        # In rotation, so that none of the three can keep the others waiting.
        self._kinds: deque[Callable[[Instant], BatchCommand | None]] = deque(
            (self._next_submit, self._next_settled, self._next_query)
        )

    @property
    def counts(self) -> Counts:
        """Where the entries stand."""
        settled = len(self._accepted) + len(self._settled) + len(self._watch.settled)
        return Counts(self._line.waiting, self._line.out, len(self._watch) + settled)

    def take_events(self) -> tuple[Event, ...]:
        """Return what happened since this was asked last, in order."""
        events = tuple(self._events)
        self._events.clear()
        return events

    def add(self, machine: Submission | Poller, now: Instant, policy: WaitPolicy | None = None) -> int:
        """Take in one more entry.

        Args:
            machine: Its submit, or its wait if it was accepted already.
            now: When.
            policy: The limits of that wait.

        Returns:
            Its ordinal: 0 for the first.
        """
        ordinal = next(self._ordinals)
        if isinstance(machine, Submission):
            self._line.add(ordinal, machine)
        else:
            self._account.slots.adopt(self._key(ordinal))
            self._watch.add(ordinal, self._key(ordinal), machine, policy or WaitPolicy(), now)
        return ordinal

    def skip(self) -> int:
        """Return the ordinal of a job that cannot even be tried."""
        return next(self._ordinals)

    def no_more(self) -> None:
        """There are no further jobs."""
        self._line.has_more = False

    def go_on(self, ordinal: int, poller: Poller, policy: WaitPolicy, now: Instant) -> None:
        """Wait for an entry whose submit was settled as accepted.

        Args:
            ordinal: Whose.
            poller: Its wait, which begins now.
            policy: The limits of that wait.
            now: When.
        """
        self._watch.add(ordinal, self._key(ordinal), poller, policy, now)

    def forget(self, ordinal: int, now: Instant, *, frees_slot: bool = False) -> None:
        """The request of an entry broke in a way that nobody here understands: it is left alone.

        Args:
            ordinal: Whose.
            now: When.
            frees_slot: Whether the others need not wait for its slot, which it may hold at the service.
        """
        if frees_slot:
            self._account.slots.end(self._key(ordinal))
        if ordinal in self._line:
            self._line.forget(ordinal)
        elif ordinal in self._watch:
            self._watch.forget(ordinal, now)
        else:
            self._account.slots.look_away(self._key(ordinal), now.monotonic_s)  # Accepted, and nobody waits for it.

    def leave(self, now: Instant) -> None:
        """End it all: nobody goes on with what is open."""
        self._accepted.clear()
        self._settled.clear()
        self._line.leave()
        self._watch.leave()
        self._account.slots.leave(self, now.monotonic_s)

    def next_command(self, now: Instant) -> BatchCommand:
        """Return what to do next.

        Args:
            now: When.

        Returns:
            ``Take``, ``Turn``, ``Settled``, ``SleepUntil`` (an answer may come earlier; infinity where
            only an answer helps) or ``Done``.
        """
        if self._accepted:
            return self._accepted.popleft()
        self._watch.look_at_limits(now)
        for _ in range(len(self._kinds)):
            kind = self._kinds[0]
            self._kinds.rotate(-1)
            if (command := kind(now)) is not None:
                return command
        if self._line.is_over and not self._watch:
            self.leave(now)
            return Done(DoneReason.ENDED)
        return SleepUntil(min(self._line.wake_s, self._watch.wake_s), SleepReason.SCHEDULE)

    def receive(self, ordinal: int, observation: Observation, now: Instant) -> None:
        """Take in what came of a turn.

        Args:
            ordinal: Whose turn it was.
            observation: What was heard.
            now: When it was heard.
        """
        if ordinal in self._watch:
            self._watch.receive(ordinal, observation, now)
            return
        settled = self._line.receive(ordinal, observation, now)
        if settled is not None:
            is_accepted = settled.done.reason is DoneReason.ACCEPTED
            (self._accepted if is_accepted else self._settled).append(settled)

    def _next_submit(self, now: Instant) -> BatchCommand | None:
        mine = len(self._watch) + self._line.out
        return self._line.next(now, is_busy=self._is_busy, mine=mine)

    def _next_settled(self, now: Instant) -> BatchCommand | None:  # noqa: ARG002  # one of three with one signature
        for settled in (self._settled, self._watch.settled):
            if settled:
                return settled.popleft()
        return None

    def _next_query(self, now: Instant) -> BatchCommand | None:
        turn = self._watch.next(now, is_busy=self._is_busy)
        if turn is None and self._watch.settled:
            return self._watch.settled.popleft()  # It came to light while the next turn was looked for.
        return turn

    @property
    def _is_busy(self) -> bool:
        return self._line.out + self._watch.out >= self._turns_at_once

    def _key(self, ordinal: int) -> Key:
        return self, ordinal

    def _tell(self, event: Event) -> None:
        self._events.append(event)
