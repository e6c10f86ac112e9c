"""The admin pages under `/__admin/`: what happened, what it cost, what time it is, and a hand on all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, compile_path

from fake_server.admin import events, fault_pages, journal_pages, server_pages, shapes, task_pages, world_pages
from fake_server.admin.asking import ROOT, AdminError, AdminPage, Ask
from fake_server.admin.guard import Guard
from fake_server.admin.openapi import describe
from fake_server.admin.pages import Page
from fake_server.admin.server_pages import list_scenarios
from fake_server.scenario.yaml_nodes import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from fake_server.worlds import Worlds

__all__ = ["PAGES", "ROOT", "admin_routes", "list_scenarios"]

_VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]


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
    below = [Route(page.path, _endpoint(page, worlds, guard), methods=[page.verb]) for page in PAGES]
    nothing = Route("/{rest:path}", _nothing_here(guard), methods=_VERBS)
    # Verbs that a page does not take go to the last route, which says so.
    below.sort(key=lambda route: "{" in route.path)
    return [Route(ROOT, top), Mount(ROOT, routes=[Route("/", top), *below, nothing])]


def _endpoint(page: Page, worlds: Worlds, guard: Guard) -> Callable[[Request], Awaitable[Response]]:
    """A page that lets only those in who may ask, and answers mistakes as a list of errors."""

    async def endpoint(request: Request) -> Response:
        try:
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


def _nothing_here(guard: Guard) -> Callable[[Request], Awaitable[Response]]:
    """Says why no page answers: there is none, or it takes other verbs."""

    async def nothing_here(request: Request) -> Response:
        try:
            guard.check(request)
        except AdminError as error:
            return error.page()
        path = "/" + request.path_params["rest"]
        verbs = sorted(
            {page.verb for page, pattern in _KNOWN if pattern.match(path)} | ({"GET"} if path == "/" else set())
        )
        if verbs:
            detail = f"this page answers {' and '.join(verbs)}, and not {request.method[:20]}"
            return AdminError(405, detail, headers={"Allow": ", ".join(verbs)}).page()
        near = did_you_mean(path, [page.path for page in PAGES])
        return AdminError(404, f"no admin page answers {request.method[:20]} here; GET {ROOT}/ lists them{near}").page()

    return nothing_here
