"""How both clients come to what settles doubts. It is imported when it is first used: few who submit settle doubts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from resilient_poll.dashscope.checking import checked_seconds
from resilient_poll.dashscope.client_core import ClientCore
from resilient_poll.ledger.entry import Entry
from resilient_poll.machine.instant import Instant

if TYPE_CHECKING:
    from resilient_poll.dashscope.doubts.searching import Searching
    from resilient_poll.dashscope.doubts.settling import Settling

__all__ = ["listing_of", "searching_of", "settling_of"]


def listing_of(core: ClientCore, now: Instant) -> Callable[[], tuple[Entry, ...]]:
    """Return what reads the submits in doubt from the ledger; it may wait for a disk.

    Raises:
        ConfigurationError: There is no ledger.
    """
    from resilient_poll.dashscope.doubts import filed  # noqa: PLC0415  # see above

    books = filed.books_of(core)
    return lambda: filed.doubts_in(books, now)


def searching_of(core: ClientCore, now: Callable[[], Instant], timeout_s: float) -> Searching:
    """Return the procedure that looks for lost tasks.

    Raises:
        ConfigurationError: The time makes no sense.
    """
    from resilient_poll.dashscope.doubts.searching import Searching  # noqa: PLC0415  # see above

    return Searching(core, now, checked_seconds("timeout", timeout_s))


def settling_of(core: ClientCore, now: Callable[[], Instant]) -> Settling:
    """Return the procedures by which somebody settles a doubt."""
    from resilient_poll.dashscope.doubts.settling import Settling  # noqa: PLC0415  # see above

    return Settling(core, now)
