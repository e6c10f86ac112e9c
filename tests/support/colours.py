"""One test body for three colours: blocking, asyncio and trio, with either library or our own client.

The blocking client's methods return values where the awaiting one's return awaitables;
:func:`got` takes both, so a test is written once, and a coroutine that never suspends
runs it in blocking code.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any, TypeVar

import httpx
import httpx2
import trio

from resilient_poll import AsyncDashScope, DashScope

__all__ = ["COLOURS", "INPUT", "LIBRARIES", "MODEL", "WAYS", "dashscope_client", "got", "run_in"]

Result = TypeVar("Result")

COLOURS = ("sync", "asyncio", "trio")
LIBRARIES: dict[str, ModuleType] = {"httpx": httpx, "httpx2": httpx2}
WAYS = [(colour, library) for colour in COLOURS for library in ("own", *LIBRARIES)]
"""Every colour with our own client and with a caller's of either library."""
MODEL, INPUT = "wan2.5-t2v-preview", {"prompt": "a cat"}


def run_in(colour: str, main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a test body in a colour."""
    if colour == "asyncio":
        return asyncio.run(main())
    if colour == "trio":
        result: Result = trio.run(main)
        return result
    body = main()
    try:
        body.send(None)
    except StopIteration as finished:
        value: Result = finished.value
        return value
    body.close()
    raise AssertionError("a blocking test body suspended")


async def got(value: Any) -> Any:
    """Return a value, awaited if it must be."""
    return await value if inspect.isawaitable(value) else value


@asynccontextmanager
async def dashscope_client(
    colour: str, library: str, base_url: str, client_options: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Any]:
    """Yield our client, over its own connections or a caller's client that was made with some options."""
    is_async = colour != "sync"
    http_client = None
    if library != "own":
        module = LIBRARIES[library]
        # Nothing here speaks TLS, and loading the certificates takes longer than a test.
        http_client = (module.AsyncClient if is_async else module.Client)(**{"verify": False} | (client_options or {}))
    settings = {"dialect": "dashscope", "api_key": "sk-canary-key-0123456789", "base_url": base_url, **options}
    client = (AsyncDashScope if is_async else DashScope)(http_client=http_client, **settings)
    try:
        yield client
    finally:
        await got(client.close())
        if http_client is not None:
            await got(http_client.aclose() if is_async else http_client.close())
