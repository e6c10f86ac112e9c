"""The calls of the blocking client that settle doubts."""

from __future__ import annotations

from resilient_poll.dashscope.parts import ClientPart

__all__ = ["DoubtCalls"]


class DoubtCalls(ClientPart):
    """The part of :class:`DashScope` for that."""
