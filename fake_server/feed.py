"""Who hears of the lines of all journals as they are written: bounded queues, from any thread.

A reader that is slower than its world is given up with a word, instead of slowing the world down or filling the memory.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_server.rules.journal import Entry

# Lines that wait for one reader: some seconds of a busy test.
MOST_WAITING = 2_000
# Readers at once; a control room is one, a test a few.
MOST_READERS = 50


class Reader:
    """One reader's queue.

    Args:
        world: The world whose lines it wants, or None for all.
        wake: Called when something may be new, from whichever thread wrote it.
        most_waiting: How many lines may wait.
    """

    def __init__(self, world: str | None, wake: Callable[[], None], most_waiting: int = MOST_WAITING) -> None:
        self.world = world
        self.is_lost = False
        self._wake = wake
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[str, Entry]] = deque()

    def wants(self, world: str) -> bool:
        """Whether it wants to hear of a world."""
        return self.world in (None, world)

    def offer(self, world: str, entry: Entry) -> None:
        """One more line; too many that wait are thrown away, and the reader with them."""
        if self.is_lost:
            return
        if len(self._waiting) >= self._most_waiting:
            self.is_lost = True
            self._waiting.clear()
        else:
            self._waiting.append((world, entry))
        self._wake()

    def wake(self) -> None:
        """Something else than a line is new."""
        self._wake()

    def take(self) -> list[tuple[str, Entry]]:
        """What has come since the last call, each with its world."""
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        return taken


class Feed:
    """Hands every line to every reader that wants it."""

    def __init__(self) -> None:
        self._readers: tuple[Reader, ...] = ()

    @property
    def is_full(self) -> bool:
        """Whether no further reader is taken."""
        return len(self._readers) >= MOST_READERS

    def join(self, reader: Reader) -> None:
        """A reader wants to hear."""
        self._readers = (*self._readers, reader)

    def leave(self, reader: Reader) -> None:
        """A reader has gone."""
        self._readers = tuple(other for other in self._readers if other is not reader)

    def wrote(self, world: str, entry: Entry) -> None:
        """A line was written."""
        for reader in self._readers:
            if reader.wants(world):
                reader.offer(world, entry)

    def wake(self, world: str) -> None:
        """Something else happened in a world: its clock moved, somebody changed something."""
        for reader in self._readers:
            if reader.wants(world):
                reader.wake()
