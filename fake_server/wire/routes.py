"""Which request means what. Both dialects are understood at once, each below its own base path."""

from __future__ import annotations

import functools
import re
from typing import Literal, NamedTuple
from urllib.parse import parse_qs

from fake_server.wire import bodies, endpoints

Kind = Literal["create", "query", "list", "cancel", "quotas", "asset", "unmatched"]

GATEWAY_TASKS = "/services/aigc/tasks"

_GATEWAY_TASK = re.compile(r"/services/aigc/tasks/([^/]{1,200})")
# The asynchronous face of the vendor's Python package ends both with a slash (read in 2.0.2).
_TASK = re.compile(r"/tasks/([^/]{1,200})/?")
_CANCEL = re.compile(r"/tasks/([^/]{1,200})/cancel/?")
_ASSET = re.compile(r"/w/([^/]{1,200})/assets/([^/]{1,200}?)(?:/(\d{1,3}))?\.(mp4|png|glb|json)")

# What a request that fits nothing is told.
ROUTES: dict[bodies.Dialect, tuple[str, ...]] = {
    "aisa": (
        *(f"POST /apis/v1{endpoint.path}" for endpoint in endpoints.OFFERED["aisa"]),
        f"GET /apis/v1{GATEWAY_TASKS}/{{task_id}}",
        f"GET /apis/v1{GATEWAY_TASKS}?task_id={{task_id}}",
    ),
    "dashscope": (
        *(f"POST /api/v1{endpoint.path}" for endpoint in endpoints.OFFERED["dashscope"]),
        "GET /api/v1/tasks/{task_id}",
        "GET /api/v1/tasks/",
        "POST /api/v1/tasks/{task_id}/cancel",
        "GET /api/v1/quotas",
    ),
}


class Route(NamedTuple):
    """What a request is about.

    Args:
        kind: What it asks for.
        dialect: In which dialect; None for assets and for paths of neither.
        task_id: Which task, where the request names one.
        by_query: Whether the id came as `?task_id=` (in `aisa`).
        endpoint: Where a create asks for work.
        world: The world in an asset's path.
        item: Which of a task's several assets, from 0; None in a path that names the task alone.
        extension: The kind of asset.
    """

    kind: Kind
    dialect: bodies.Dialect | None = None
    task_id: str | None = None
    by_query: bool = False
    endpoint: endpoints.Endpoint = endpoints.VIDEO
    world: str = ""
    item: int | None = None
    extension: str = ""


_CREATES: dict[str, Route] = {
    bodies.BASES[dialect] + endpoint.path: Route("create", dialect, endpoint=endpoint)
    for dialect, offered in endpoints.OFFERED.items()
    for endpoint in offered
}
_LIST = Route("list", "dashscope")
_QUOTAS = Route("quotas", "dashscope")
_CLASSIC_PAGES = {"/tasks": _LIST, "/tasks/": _LIST, "/quotas": _QUOTAS, "/quotas/": _QUOTAS}


# A task is asked for again and again. Longer paths are nobody's, and would cost the machine's memory.
REMEMBERED_ROUTES = 1_000
LONGEST_REMEMBERED = 200


def route(method: str, path: str, query: str) -> Route:
    """Find out what a request is about; what fits nothing is `unmatched`, never an error."""
    if method == "POST" and path in _CREATES:
        return _CREATES[path]
    if len(method) + len(path) + len(query) > LONGEST_REMEMBERED:
        return _route(method, path, query)
    return remembered_route(method, path, query)


def _route(method: str, path: str, query: str) -> Route:
    for dialect, base in bodies.BASES.items():
        if path.startswith(base + "/"):
            rest = path[len(base) :]
            finder = _gateway if dialect == "aisa" else _classic
            return finder(method, rest, query) or Route("unmatched", dialect)
    asset = _ASSET.fullmatch(path) if method in ("GET", "HEAD") else None
    if asset is None:
        return Route("unmatched")
    item = int(asset[3]) if asset[3] else None
    return Route("asset", task_id=asset[2], world=asset[1], item=item, extension=asset[4])


remembered_route = functools.lru_cache(maxsize=REMEMBERED_ROUTES)(_route)


def _gateway(method: str, rest: str, query: str) -> Route | None:
    if method != "GET":
        return None
    match = _GATEWAY_TASK.fullmatch(rest)
    if match:
        return Route("query", "aisa", match[1])
    task_id = first_parameter(query, "task_id") if rest.rstrip("/") == GATEWAY_TASKS else None
    return Route("query", "aisa", task_id, by_query=True) if task_id else None


def _classic(method: str, rest: str, query: str) -> Route | None:  # noqa: ARG001 - one signature for both
    if method == "GET":
        match = _TASK.fullmatch(rest)
        return Route("query", "dashscope", match[1]) if match else _CLASSIC_PAGES.get(rest)
    match = _CANCEL.fullmatch(rest) if method == "POST" else None
    return Route("cancel", "dashscope", match[1]) if match else None


def first_parameter(query: str, name: str) -> str | None:
    """The first value of a query parameter, or None (also where the query cannot be read)."""
    try:
        values = parse_qs(query, max_num_fields=100).get(name)
    except ValueError:
        return None
    return values[0][:200] if values else None
