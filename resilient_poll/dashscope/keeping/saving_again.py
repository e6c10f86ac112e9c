"""How long an id that cannot be written down is written again. Pure."""

from __future__ import annotations

from resilient_poll.ledger.errors import EntryInvalid, LedgerForked, NotSaved
from resilient_poll.machine.instant import Instant

__all__ = ["SAVE_AGAIN_S", "SavingAgain"]

SAVE_AGAIN_S = 15.0
"""Seconds. A lock, a full disk or a file system that is read-only for a moment passes within seconds; what
lasts longer needs a human, and the caller who waits for its task is told with the id in hand."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_NEVER = (EntryInvalid, LedgerForked)
"""Why a write failed that would fail in the same way for ever."""


class SavingAgain:
    """The pauses between the writings of one id.

    Args:
        now: When the first one failed.
    """

    def __init__(self, now: Instant) -> None:
        self._until_s = now.monotonic_s + SAVE_AGAIN_S
        self._pause_s = _FIRST_PAUSE_S

    def pause_after(self, error: NotSaved, now: Instant) -> float | None:
        """Return after how many seconds to try once more, or None if that is over.

        Args:
            error: What the last try brought.
            now: When.
        """
        left_s = self._until_s - now.monotonic_s
        if isinstance(error.__cause__, _NEVER) or left_s <= 0:
            return None
        pause_s, self._pause_s = min(self._pause_s, left_s), min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return pause_s
