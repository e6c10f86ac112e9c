"""Which world a request is for: its address, its header, its key; and what becomes of its path.

An address is `/w/<world>` before the path, so that a base URL picks a world for a client whose key cannot; the header
`X-Fake-World` does the same for one whose base URL cannot. A world's name is `<scenario>` or `<scenario>.<tail>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fake_server.wire.messages import Request

WORLD_HEADER = "x-fake-world"
_PREFIX = "/w/"
_BASES = ("api", "apis")
_SERVICE = ("/api/", "/apis/")


class Target(NamedTuple):
    """What a request is for.

    Args:
        request: The request, its path without the world.
        world: The world that its address or its header names, or None.
        key: Its API key, or an empty text.
        is_asset: Whether it asks for what a task made, for which no key is needed.
        contradiction: Why its address and its header cannot both be meant, or None.
    """

    request: Request
    world: str | None
    key: str
    is_asset: bool = False
    contradiction: str | None = None

    @property
    def is_for_service(self) -> bool:
        """Whether it is for one of the two dialects."""
        return self.request.path.startswith(_SERVICE)


def read_target(request: Request) -> Target:
    """Find out what a request is for, from its path and headers alone."""
    path, world, is_asset = request.path, None, False
    if path.startswith(_PREFIX):
        name, slash, rest = path[len(_PREFIX) :].partition("/")
        if rest.startswith("assets/"):
            is_asset, world = True, name
        elif slash and rest.partition("/")[0] in _BASES:
            request, world = request._replace(path=f"/{rest}"), name
    authorization = header = None
    for field, value in request.headers:
        lowered = field.lower()
        if lowered == "authorization" and authorization is None:
            authorization = value
        elif lowered == WORLD_HEADER and header is None:
            header = value.strip()
    scheme, _, key = (authorization or "").partition(" ")
    key = key.strip() if scheme.lower() == "bearer" else ""
    contradiction = None
    if header and world is not None and header != world:
        contradiction = "The world in the URL and the one in the header X-Fake-World differ; send one of them."
    return Target(request, world or header or None, key, is_asset, contradiction)
