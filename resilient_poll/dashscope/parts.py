"""What the parts of a client stand on: each part holds the calls of one subject, and all of them make the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from resilient_poll.dashscope.client import DashScope
    from resilient_poll.dashscope.client_async import AsyncDashScope

__all__ = ["AsyncClientPart", "ClientPart"]


class ClientPart:
    """A base of :class:`DashScope`, and of nothing else."""

    @property
    def _client(self) -> DashScope:
        return cast("DashScope", self)


class AsyncClientPart:
    """A base of :class:`AsyncDashScope`, and of nothing else."""

    @property
    def _client(self) -> AsyncDashScope:
        return cast("AsyncDashScope", self)
