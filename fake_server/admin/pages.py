"""The table of admin pages: routes, index, OpenAPI and documentation are all made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.responses import Response

    from fake_server.admin.asking import Ask
    from fake_server.admin.shapes import Shape

    Handler = Callable[[Ask], Awaitable[dict[str, Any] | Response]]

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Body:
    """What a page takes.

    Args:
        shape: Its JSON Schema.
        example: One that works.
        required: Whether it may be left out.
        media_type: What it is sent as.
    """

    shape: Shape
    example: Any
    required: bool = True
    media_type: str = JSON


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Args:
        verb: Its HTTP method.
        path: Its path below the root; parts in braces vary.
        handler: What answers.
        what: A line for the index.
        answer: The JSON Schema of its answer.
        query: The JSON Schema of each parameter of the query.
        example_query: A query that works, with its question mark.
        body: What it takes, or None.
        status: The HTTP status of its answer.
        fails: Further statuses that it may answer with, beside 400 and, if it takes a body, 413.
        media_type: What its answer is sent as.
    """

    verb: str
    path: str
    handler: Handler
    what: str
    answer: Shape
    query: Mapping[str, Shape] = field(default_factory=dict)
    example_query: str = ""
    body: Body | None = None
    status: int = 200
    fails: tuple[int, ...] = ()
    media_type: str = JSON

    @property
    def name(self) -> str:
        """The page's name, from that of its handler."""
        return self.handler.__name__
