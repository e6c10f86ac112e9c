"""Whoever waits for a slot looks at the tasks that hold them, if nobody else does.

A task's slot is free once somebody has seen its end. The process that submitted it may be dead, or may not care
to wait: then those who wait for the slot are the ones who care.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resilient_poll.dashscope.keeping.filing import restored
from resilient_poll.drive.telling import logger
from resilient_poll.errors import ResilientPollError
from resilient_poll.machine.instant import Instant

if TYPE_CHECKING:
    from resilient_poll.dashscope.keeping.shelf import Shelf
    from resilient_poll.ledger.entry import Entry
    from resilient_poll.machine.task_record import TaskRecord

__all__ = ["LOOK_S", "SHORTEST_LOOK_S", "InTheWay"]

LOOK_S = 15.0
"""Seconds for which a task that somebody wrote of, leased or looked at is left alone by those who wait for its slot: a
quarter of a task's usual life. Three slots cost one query in five seconds at most, however many processes wait."""
CHOOSE_S = 5.0
"""How often one client asks the ledger whether there is such a task, in seconds."""
AT_ONCE = 10
"""How many tasks are looked at before the submit asks for its slot again."""
SHORTEST_LOOK_S = 1.0
"""A look that has less time than this is not begun: the submit's own time is nearly up."""


@dataclass(frozen=True, slots=True)
class InTheWay:
    """Tasks that nobody looked at for a while, and that hold slots which are waited for.

    Attributes:
        books: The client's.
        worker: Who leases them meanwhile, so that one client looks at a time, and no worker beside it.
        entries: What holds them.
    """

    books: Shelf
    worker: str
    entries: tuple[Entry, ...]

    @classmethod
    def chosen(cls, books: Shelf, now: Instant) -> InTheWay | None:
        """Choose tasks to look at; None if there are none, or it was looked a moment ago. It blocks.

        What dead processes were sending becomes a doubt here, so that the time for which it holds a slot ends.
        """
        if now.monotonic_s < books.looked_s + CHOOSE_S:
            return None
        books.looked_s = now.monotonic_s
        worker, ledger = f"slots-{secrets.token_hex(8)}", books.ledger
        try:
            ledger.settle_the_dead(now_wall_s=now.wall_s)
            # A name of its own each time: also what this client leased a moment ago is left alone.
            found = ledger.claim(books.namespace, worker, for_s=LOOK_S, limit=AT_ONCE, now_wall_s=now.wall_s).entries
            fresh = [entry for entry in found if 0 <= now.wall_s - entry.updated_wall_s < LOOK_S]
            for entry in fresh:
                ledger.release(entry, worker, now_wall_s=now.wall_s)
        except ResilientPollError as error:
            logger.warning("which tasks hold the slots that are waited for cannot be told: %s", error)
            return None
        stale = tuple(entry for entry in found if entry not in fresh)
        return cls(books, worker, stale) if stale else None

    def record_of(self, entry: Entry, now: Instant) -> TaskRecord | None:
        """Return what is known of one of them, or None if that cannot be read."""
        try:
            return restored(entry, now)
        except (ResilientPollError, ValueError) as error:
            logger.warning("task %s holds a slot, and cannot be looked at: %s", entry.task_id, error)
            return None

    def let_go(self, entry: Entry, now: Instant) -> None:
        """Let one go that has ended, so that its end can be handed over. It blocks.

        The others stay leased: nobody looks at them again before that is over.
        """
        try:
            self.books.ledger.release(entry, self.worker, now_wall_s=now.wall_s)
        except ResilientPollError as error:
            logger.warning("that the end of %s can be handed over waits for a moment: %s", entry, error)
