"""A service without a socket that answers as a test says, through a caller's client of either library."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from resilient_poll.drive.clocks import VirtualClock
from tests.support.colours import COLOURS, LIBRARIES, dashscope_client

__all__ = ["EACH", "KEY", "Asked", "Broken", "Reply", "a_client", "said"]

KEY = "sk-canary-key-0123456789"
EACH = [(colour, library) for colour in COLOURS for library in LIBRARIES]
"""Every colour with a caller's client of either library."""


@dataclass(frozen=True)
class Reply:
    """What the service answers: a status, a body (JSON unless it is bytes) and headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Broken:
    """What the library raises in the place of an answer, by its name there."""

    error: str


@dataclass(frozen=True)
class Asked:
    """One request as the service saw it.

    Attributes:
        method: The method.
        path: The path, as it was sent.
        query: The query's parameters.
        headers: Names in lower case and values.
        body: The body.
        at_s: When, on the client's own clock.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at_s: float


Answers = Callable[[Asked], Reply | Broken]


@asynccontextmanager
async def a_client(
    colour: str, library: str, answers: Answers, clock: VirtualClock | None = None, **options: Any
) -> AsyncIterator[Any]:
    """Yield our client over a caller's client that asks a function."""
    clock, module = clock or VirtualClock(), LIBRARIES[library]

    def handle(request: Any) -> Any:
        asked = Asked(
            method=request.method,
            path=request.url.raw_path.partition(b"?")[0].decode(),
            query=dict(request.url.params),
            headers=dict(request.headers.items()),
            body=request.content,
            at_s=clock.now().monotonic_s,
        )
        reply = answers(asked)
        if isinstance(reply, Broken):
            raise getattr(module, reply.error)(reply.error, request=request)
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        return module.Response(reply.status, headers=dict(reply.headers), content=content)

    options = {"clock": clock if colour == "sync" else clock.for_async(), "make_seed": lambda: "seed", **options}
    transport = {"transport": module.MockTransport(handle)}
    async with dashscope_client(colour, library, "http://api.test/v1", transport, **options) as client:
        yield client


def said(task_id: str, word: str, **output: Any) -> Reply:
    """Return an answer about a task."""
    return Reply(200, {"request_id": "r", "output": {"task_id": task_id, "task_status": word, **output}})
