"""Which task the requests of a block are about: said around them, since nobody can hand it to a caller's client."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from resilient_poll.transports.rules.marks import SUBMIT_ID, TASK_ID

__all__ = ["served_by", "serving"]

_SERVING: ContextVar[tuple[str | None, str | None]] = ContextVar("resilient_poll.serving", default=(None, None))


@contextmanager
def serving(task_id: str, submit_id: str) -> Generator[None, None, None]:
    """Say of all requests that are made within the block which task they are about, unless they say it themselves.

    Args:
        task_id: What the caller calls it.
        submit_id: What tells this call from others.
    """
    token = _SERVING.set((task_id, submit_id))
    try:
        yield
    finally:
        with suppress(ValueError):  # A coroutine that is given up may be closed from elsewhere.
            _SERVING.reset(token)


def served_by(extensions: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the task and the submit that a request belongs to, as far as it or its surroundings say so.

    Args:
        extensions: The request's.
    """
    named = extensions.get(TASK_ID), extensions.get(SUBMIT_ID)
    return _SERVING.get() if named == (None, None) else named
