"""The calls of the blocking client that hand ends over."""

from __future__ import annotations

from resilient_poll.dashscope.parts import ClientPart

__all__ = ["WorkerCalls"]


class WorkerCalls(ClientPart):
    """The part of :class:`DashScope` for that."""
