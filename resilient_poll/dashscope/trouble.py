"""Why a poll brought nothing, in words."""

from __future__ import annotations

from resilient_poll.machine.observations import (
    Observation,
    Refused,
    StatusSeen,
    Throttled,
    Unreachable,
    Unreadable,
)

__all__ = ["trouble_of"]


def trouble_of(observation: Observation) -> str | None:
    """Return why a poll brought nothing, or None if it brought a status."""
    match observation:
        case StatusSeen():
            return None
        case Unreachable() | Unreadable():
            return observation.reason
        case Throttled():
            return f"throttled ({observation.code})" if observation.code else "throttled"
        case Refused():
            said = ": ".join(part for part in (observation.code, observation.message) if part)
            return f"HTTP {observation.http_status} {said}".rstrip()
        case _:
            return None
