"""What a limit or a breaker is kept for: an origin, and a key of the caller's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["PerOrigin"]

State = TypeVar("State")

MOST_KEPT = 1000
"""States that are kept; those used last. A crawler that sees more origins begins anew with the oldest."""


class PerOrigin(Generic[State]):
    """One state for each origin and key, made when it is first asked for.

    It is not locked: whoever shares it among threads holds a lock.

    Args:
        make: Makes a new state.
        is_idle: Whether a state may be forgotten; one that is in use never is.
    """

    def __init__(self, make: Callable[[], State], is_idle: Callable[[State], bool] = lambda _: True) -> None:
        self._make = make
        self._is_idle = is_idle
        self._states: OrderedDict[Hashable, State] = OrderedDict()

    def of(self, scope: Hashable) -> State:
        """Return the state of a scope."""
        found = self._states.get(scope)
        if found is not None:
            self._states.move_to_end(scope)
            return found
        found = self._states[scope] = self._make()
        if len(self._states) > MOST_KEPT:
            self._forget()
        return found

    def __len__(self) -> int:
        return len(self._states)

    def _forget(self) -> None:
        *others, _ = self._states
        idle = [scope for scope in others if self._is_idle(self._states[scope])]
        for scope in idle[: MOST_KEPT // 10]:
            del self._states[scope]
