"""The calls of the awaiting client that hand ends over."""

from __future__ import annotations

from resilient_poll.dashscope.parts import AsyncClientPart

__all__ = ["AsyncWorkerCalls"]


class AsyncWorkerCalls(AsyncClientPart):
    """The part of :class:`AsyncDashScope` for that."""
