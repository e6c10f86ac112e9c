"""The control room: its files, which hold nothing of any world, and the story that its page draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from fake_server import page
from fake_server.admin.asking import ROOT, AdminError, Ask
from fake_server.admin.pages import Page
from fake_server.story import tell

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from fake_server.admin.guard import Guard

_BELOW = f"{ROOT}/page/"
_LARGEST_ORDINAL = 10**15
# Whatever a client sent cannot do more in the page than be read: no script but ours, and no request but to us.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
    "vary": "accept",
}


def wants_page(request: Request) -> bool:
    """Whether a request comes from a browser that wants to show something, and not from a program."""
    return request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", "")


def serve_file(name: str) -> Response:
    """A file of the page.

    Raises:
        AdminError: If there is none of this name.
    """
    if name not in page.FILES:
        raise AdminError(404, "the control room has no file of this name")
    return Response(page.read(name), media_type=page.type_of(name), headers=_HEADERS)


class RoomFiles(BaseRoute):
    """Serves the page's files.

    Args:
        guard: Lets in who may have them: as for all pages, but no token is needed, as they tell nothing.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is for this route."""
        is_ours = scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and scope["path"].startswith(_BELOW)
        return (Match.FULL if is_ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            self._guard.check_page(Request(scope, receive))
            answer = serve_file(scope["path"].removeprefix(_BELOW))
        except AdminError as error:
            answer = error.page()
        await answer(scope, receive, send)


async def read_story(ask: Ask) -> dict[str, Any]:
    """Everything that the control room shows of a world."""
    world = ask.world()
    after = ask.number("after", 0, _LARGEST_ORDINAL)
    told = tell(world.engine, world.now(), after=after)
    return {**told, "clock": "manual" if world.clock.is_manual else "real"}


PAGES = (
    Page(
        "GET",
        "/worlds/{world}/story",
        read_story,
        "what the control room draws: lives of tasks, who asked when, bill, limits, rules; `after` a line's ordinal",
        {"type": "object"},
        query={"after": {"type": "integer", "minimum": 0, "maximum": _LARGEST_ORDINAL}},
        example_query="?after=0",
        fails=(404,),
    ),
)
