"""Which request means what. Both dialects are understood at once, each below its own base path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs

from fake_server.wire import bodies

Kind = Literal["create", "query", "list", "cancel", "asset", "unmatched"]

VIDEO_PATH = "/services/aigc/video-generation/video-synthesis"
# First-and-last-frame and older image-to-video models are created here (vendor's API references).
IMAGE_TO_VIDEO_PATH = "/services/aigc/image2video/video-synthesis"
GATEWAY_TASKS = "/services/aigc/tasks"

_CREATES: dict[bodies.Dialect, tuple[str, ...]] = {
    "aisa": (VIDEO_PATH,),
    "dashscope": (VIDEO_PATH, IMAGE_TO_VIDEO_PATH),
}
_GATEWAY_TASK = re.compile(r"/services/aigc/tasks/([^/]{1,200})")
_TASK = re.compile(r"/tasks/([^/]{1,200})")
_CANCEL = re.compile(r"/tasks/([^/]{1,200})/cancel")
_ASSET = re.compile(r"/w/([^/]{1,200})/assets/([^/]{1,200})\.(mp4|png)")

# What a request that fits nothing is told.
ROUTES: dict[bodies.Dialect, tuple[str, ...]] = {
    "aisa": (
        f"POST /apis/v1{VIDEO_PATH}",
        f"GET /apis/v1{GATEWAY_TASKS}/{{task_id}}",
        f"GET /apis/v1{GATEWAY_TASKS}?task_id={{task_id}}",
    ),
    "dashscope": (
        f"POST /api/v1{VIDEO_PATH}",
        f"POST /api/v1{IMAGE_TO_VIDEO_PATH}",
        "GET /api/v1/tasks/{task_id}",
        "GET /api/v1/tasks/",
        "POST /api/v1/tasks/{task_id}/cancel",
    ),
}


@dataclass(frozen=True, slots=True)
class Route:
    """What a request is about.

    Args:
        kind: What it asks for.
        dialect: In which dialect; None for assets and for paths of neither.
        task_id: Which task, where the request names one.
        by_query: Whether the id came as `?task_id=` (in `aisa`).
        world: The world in an asset's path.
        extension: The kind of asset.
    """

    kind: Kind
    dialect: bodies.Dialect | None = None
    task_id: str | None = None
    by_query: bool = False
    world: str = ""
    extension: str = ""


def route(method: str, path: str, query: str) -> Route:
    """Find out what a request is about; what fits nothing is `unmatched`, never an error."""
    asset = _ASSET.fullmatch(path)
    if asset and method in ("GET", "HEAD"):
        return Route("asset", task_id=asset[2], world=asset[1], extension=asset[3])
    for dialect, base in bodies.BASES.items():
        if path.startswith(base + "/"):
            rest = path[len(base) :]
            if method == "POST" and rest in _CREATES[dialect]:
                return Route("create", dialect)
            finder = _gateway if dialect == "aisa" else _classic
            return finder(method, rest, query) or Route("unmatched", dialect)
    return Route("unmatched")


def _gateway(method: str, rest: str, query: str) -> Route | None:
    if method != "GET":
        return None
    match = _GATEWAY_TASK.fullmatch(rest)
    if match:
        return Route("query", "aisa", match[1])
    task_id = first_parameter(query, "task_id") if rest.rstrip("/") == GATEWAY_TASKS else None
    return Route("query", "aisa", task_id, by_query=True) if task_id else None


def _classic(method: str, rest: str, query: str) -> Route | None:  # noqa: ARG001 - one signature for both
    if method == "GET" and rest in ("/tasks", "/tasks/"):
        return Route("list", "dashscope")
    match = _TASK.fullmatch(rest) if method == "GET" else None
    if match:
        return Route("query", "dashscope", match[1])
    match = _CANCEL.fullmatch(rest) if method == "POST" else None
    return Route("cancel", "dashscope", match[1]) if match else None


def first_parameter(query: str, name: str) -> str | None:
    """The first value of a query parameter, or None (also where the query cannot be read)."""
    try:
        values = parse_qs(query, max_num_fields=100).get(name)
    except ValueError:
        return None
    return values[0][:200] if values else None
