"""What keeps several processes within one cap: the protocol, and nothing that implements it.

A form that outlives a process needs a database, and the transports know none.
"""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Slots"]


class Slots(Protocol):
    """A number of slots for each key, shared by whoever shares what keeps them.

    Both calls may block for as long as a database takes: in code that awaits they run off the loop.

    Attributes:
        look_again_s: After how many seconds it makes sense to ask again for a slot that was not free.
    """

    @property
    def look_again_s(self) -> float:
        """After how many seconds it makes sense to ask again."""
        ...

    def take(self, key: str) -> Any:
        """Take a slot.

        Args:
            key: Whose; it names an origin and the caller's key, and holds no secret unless the caller's key does.

        Returns:
            What :meth:`give_back` wants, and never None; None if no slot is free.
        """
        ...

    def give_back(self, held: Any) -> None:
        """Give a slot back. One that is never given back must come free by itself after a while.

        Args:
            held: What :meth:`take` returned.
        """
        ...
