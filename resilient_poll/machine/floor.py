"""The earliest next request, shared by all tasks of one account."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Floor"]

_SINCE_EVER = float("-inf")


@dataclass(slots=True)
class Floor:
    """A line below which no request is sent; it only rises.

    A service throttles an account, not a task. So when one task hears "come back in
    20 s", all tasks that share its floor stay away.

    Attributes:
        not_before_s: The earliest next request, in monotonic seconds.
    """

    not_before_s: float = _SINCE_EVER

    def raise_to(self, at_s: float) -> None:
        """Raise the floor to an instant in monotonic seconds; a lower one changes nothing."""
        self.not_before_s = max(self.not_before_s, at_s)
