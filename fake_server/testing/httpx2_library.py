"""The transport for httpx2; importing this module imports that library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2

from fake_server.testing.transport import engine_transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from fake_server.wire.messages import Reply


def make_transport(handle: Callable[[Any, bytes], Reply]) -> Any:
    """A transport for `httpx2.Client` and `httpx2.AsyncClient`, that asks a function."""
    return engine_transport(httpx2, handle)
