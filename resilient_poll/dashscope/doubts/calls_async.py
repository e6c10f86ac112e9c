"""The calls of the awaiting client that settle doubts."""

from __future__ import annotations

from resilient_poll.dashscope.parts import AsyncClientPart

__all__ = ["AsyncDoubtCalls"]


class AsyncDoubtCalls(AsyncClientPart):
    """The part of :class:`AsyncDashScope` for that."""
