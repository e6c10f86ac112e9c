"""A number of places and a fair, bounded line before them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from resilient_poll.transports.rules.checks import check_count

__all__ = ["Line", "Ticket"]


@dataclass(slots=True, eq=False)
class Ticket:
    """One who wants a place.

    Attributes:
        has_place: Whether it has one.
        wake: Called once when it gets one that it had to wait for; returns False if nobody is there any more.
    """

    wake: Callable[[], bool] | None = None
    has_place: bool = False


@dataclass(slots=True)
class Line:
    """Places, and who waits for them: first come, first served.

    It is not locked: whoever shares it among threads holds a lock.

    Args:
        places: How many may have one at the same time.
        longest: How many may wait.

    Raises:
        ConfigurationError: The settings make no sense.
    """

    places: int
    longest: int
    taken: int = field(init=False, default=0)
    _waiting: OrderedDict[Ticket, None] = field(init=False, repr=False, default_factory=OrderedDict)

    def __post_init__(self) -> None:
        check_count("places", self.places)
        check_count("longest", self.longest, least=0)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Whether nobody has a place or wants one."""
        return not self.taken and not self._waiting

    def join(self, ticket: Ticket) -> bool:
        """Take a place, or a place in the line; False if the line is full."""
        if self.taken < self.places and not self._waiting:
            self.taken += 1
            ticket.has_place = True
            return True
        if len(self._waiting) >= self.longest:
            return False
        self._waiting[ticket] = None
        return True

    def leave(self, ticket: Ticket) -> Ticket | None:
        """Give up a place or a place in the line.

        Returns:
            Who has the place now and has to be woken, if anybody waited for it.
        """
        if not ticket.has_place:
            self._waiting.pop(ticket, None)
            return None
        ticket.has_place = False
        if not self._waiting:
            self.taken -= 1
            return None
        following, _ = self._waiting.popitem(last=False)
        following.has_place = True
        return following
