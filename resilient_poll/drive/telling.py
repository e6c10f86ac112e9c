"""How what happens is told: to the log, and to the caller's listener."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager

from resilient_poll.events import (
    AttemptFailed,
    Event,
    HintIgnored,
    IllegalMove,
    PhaseChanged,
    Throttled,
    UnlistedStatus,
)

__all__ = ["logger", "saying_that_it_goes_on", "tell"]

logger = logging.getLogger("resilient_poll")

_LEVELS: dict[type[Event], int] = {
    HintIgnored: logging.WARNING,
    IllegalMove: logging.WARNING,
    UnlistedStatus: logging.WARNING,
    AttemptFailed: logging.INFO,
    Throttled: logging.INFO,
    PhaseChanged: logging.INFO,
}


def tell(event: Event, listener: Callable[[Event], None] | None) -> None:
    """Log an event and tell the caller's listener, whose faults do not reach the wait."""
    logger.log(_LEVELS.get(type(event), logging.DEBUG), "%s", event)
    if listener is None:
        return
    try:
        listener(event)
    except Exception:
        logger.exception("the listener for events failed on %s; the wait goes on", event)


@contextmanager
def saying_that_it_goes_on(task_id: str, token: Callable[[], str] | None = None) -> Generator[None, None, None]:
    """Log, if the block is interrupted, that the task goes on, and how to resume it.

    Args:
        task_id: The service's id.
        token: Makes what another process needs; None where there is no client that could read it.
    """
    try:
        yield
    except (Exception, GeneratorExit):
        raise
    except BaseException as interruption:
        # KeyboardInterrupt, SystemExit, or the cancellation of asyncio or trio.
        logger.warning(
            "the wait for task %s was interrupted (%s); the task goes on at the service, do not submit it again%s",
            task_id,
            type(interruption).__name__,
            f". Resume token {token()}" if token else "",
        )
        raise
