"""Which world a request is for: its address, its header, its key; and what becomes of its path.

An address is `/w/<world>` before the path, so that a base URL picks a world for a client whose key cannot; the header
`X-Fake-World` does the same for one whose base URL cannot. A world's name is `<scenario>` or `<scenario>.<tail>`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

from fake_server.wire.messages import REMEMBERED_HEADERS

if TYPE_CHECKING:
    from fake_server.wire.messages import Headers, Request

WORLD_HEADER = "x-fake-world"
_PREFIX = "/w/"
_SERVICE = ("/api/", "/apis/")


class Target(NamedTuple):
    """What a request is for.

    Args:
        request: The request; one for the service has its path without the world.
        world: The world that its address or its header names, or None.
        key: Its API key; empty where it has none, or is not for the service.
        contradiction: Why its address and its header cannot both be meant, or None.
    """

    request: Request
    world: str | None = None
    key: str = ""
    contradiction: str | None = None

    @property
    def is_for_service(self) -> bool:
        """Whether it is for one of the two dialects."""
        return self.request.path.startswith(_SERVICE)


def read_target(request: Request) -> Target:
    """Find out what a request is for, from its path and headers alone."""
    world = None
    if request.path.startswith(_PREFIX):
        world, _, rest = request.path[len(_PREFIX) :].partition("/")
        if not f"/{rest}".startswith(_SERVICE):
            return Target(request, world)
        request = request._replace(path=f"/{rest}")
    elif not request.path.startswith(_SERVICE):
        return Target(request)
    header, contradiction = _world_of(request.headers), None
    if header is not None and world is not None and header != world:
        contradiction = "The world in the URL and the one in the header X-Fake-World differ; send one of them."
    return Target(request, header if world is None else world, request.key, contradiction)


@functools.lru_cache(maxsize=REMEMBERED_HEADERS)
def _world_of(headers: Headers) -> str | None:
    """The world that headers name."""
    return next((value.strip() for name, value in headers if name.lower() == WORLD_HEADER), None)
