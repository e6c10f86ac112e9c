"""The admin pages under `/__admin/`: what happened, what it cost, what time it is, and a hand on all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route, compile_path

from fake_server.admin import events, fault_pages, journal_pages, room, server_pages, shapes, task_pages, world_pages
from fake_server.admin.asking import ROOT, AdminError, AdminPage, Ask
from fake_server.admin.guard import Guard
from fake_server.admin.openapi import describe
from fake_server.admin.pages import Page
from fake_server.admin.server_pages import list_scenarios
from fake_server.scenario.yaml_nodes import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from fake_server.worlds import Worlds

__all__ = ["PAGES", "ROOT", "admin_routes", "list_scenarios"]


async def index(ask: Ask) -> dict[str, Any]:  # noqa: ARG001 - one signature for all pages
    """What there is."""
    return {"pages": [index_row(page) for page in PAGES]}


async def read_openapi(ask: Ask) -> dict[str, Any]:  # noqa: ARG001 - one signature for all pages
    """This API and both dialects, described."""
    return describe(PAGES)


PAGES: tuple[Page, ...] = (
    *server_pages.PAGES,
    Page("GET", "/openapi.json", read_openapi, "both dialects and these pages, in OpenAPI 3.1", {"type": "object"}),
    *world_pages.PAGES,
    *task_pages.PAGES,
    *fault_pages.PAGES,
    *journal_pages.PAGES,
    *events.PAGES,
    *room.PAGES,
)
_INDEX = Page("GET", "", index, "this list", shapes.record({"pages": shapes.rows({"type": "object"})}))
_KNOWN = [(page, compile_path(page.path)[0]) for page in PAGES]


def index_row(page: Page) -> dict[str, Any]:
    """A page as the index tells it."""
    row: dict[str, Any] = {"method": page.verb, "path": ROOT + page.path + page.example_query, "what": page.what}
    if page.body is not None:
        row["body"] = page.body.example
    return row


def admin_routes(worlds: Worlds, own_hosts: frozenset[str], admin_token: str | None = None) -> list[BaseRoute]:
    """The routes at and below `/__admin`.

    Args:
        worlds: What they show.
        own_hosts: Host names beside the loopback's that are ours.
        admin_token: What a request must carry; None lets this machine in, and no other.
    """
    guard = Guard(own_hosts, admin_token)
    top = _endpoint(_INDEX, worlds, guard)
    below = [Route(ROOT + page.path, _endpoint(page, worlds, guard), methods=[page.verb]) for page in PAGES]
    return [Route(ROOT, top), Route(f"{ROOT}/", top), *below, room.RoomFiles(guard), _Rest(guard)]


def _endpoint(page: Page, worlds: Worlds, guard: Guard) -> Callable[[Request], Awaitable[Response]]:
    """A page that lets only those in who may ask, and answers mistakes as a list of errors."""

    async def endpoint(request: Request) -> Response:
        try:
            if page is _INDEX and room.wants_page(request):
                guard.check_page(request)
                return room.serve_file("index.html")
            guard.check(request)
            _check_query(page, request)
            answer = await page.handler(Ask(worlds, request))
        except AdminError as error:
            return error.page()
        return answer if isinstance(answer, Response) else AdminPage(answer, status_code=page.status)

    return endpoint


def _check_query(page: Page, request: Request) -> None:
    for name in request.query_params:
        if name not in page.query:
            detail = f"found {name[:60]!r} in the query, expected {', '.join(page.query) or 'nothing'}"
            raise AdminError(400, detail + did_you_mean(name, page.query), f"?{name[:60]}")


class _Rest(BaseRoute):
    """Says why no page answers: there is none, or it takes other verbs.

    No pattern is at work here: whatever a path holds, line breaks included, it is answered as every page answers.

    Args:
        guard: Lets in who may ask.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is for this route."""
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        request = Request(scope, receive)
        try:
            self._guard.check(request)
            answer = _nothing_here(request.method, scope["path"].removeprefix(ROOT))
        except AdminError as error:
            answer = error
        await answer.page()(scope, receive, send)


def _nothing_here(verb: str, path: str) -> AdminError:
    verbs = {page.verb for page, pattern in _KNOWN if pattern.fullmatch(path)} | (
        {"GET"} if path in ("", "/") else set()
    )
    if verbs:
        allowed = sorted(verbs)
        detail = f"this page answers {' and '.join(allowed)}, and not {verb[:20]}"
        return AdminError(405, detail, headers={"Allow": ", ".join(allowed)})
    near = did_you_mean(path, [page.path for page in PAGES])
    return AdminError(404, f"no admin page answers {verb[:20]} here; GET {ROOT}/ lists them{near}")
