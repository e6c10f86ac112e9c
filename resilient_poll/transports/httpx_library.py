"""The adapter for httpx: the one module that imports it."""

from __future__ import annotations

import httpcore
import httpx

from resilient_poll.transports.library import HttpLibrary
from resilient_poll.transports.once_body import OnceBytes

__all__ = ["LIBRARY"]


class _OnceBody(OnceBytes, httpx.SyncByteStream, httpx.AsyncByteStream):
    """httpx asserts that streams are of its own classes."""


LIBRARY = HttpLibrary(
    name="httpx",
    request=httpx.Request,
    once_body=_OnceBody,
    client=httpx.Client,
    async_client=httpx.AsyncClient,
    limits=httpx.Limits,
    read_timeout=httpcore.ReadTimeout,
    connect_timeout=httpcore.ConnectTimeout,
    write_timeout=httpcore.WriteTimeout,
)
