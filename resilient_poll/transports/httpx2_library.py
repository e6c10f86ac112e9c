"""The adapter for httpx2: the one module that imports it."""

from __future__ import annotations

import httpcore2
import httpx2

from resilient_poll.transports.library import HttpLibrary
from resilient_poll.transports.once_body import OnceBytes

__all__ = ["LIBRARY"]


class _OnceBody(OnceBytes, httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """httpx2 asserts that streams are of its own classes."""


LIBRARY = HttpLibrary(
    name="httpx2",
    request=httpx2.Request,
    once_body=_OnceBody,
    client=httpx2.Client,
    async_client=httpx2.AsyncClient,
    limits=httpx2.Limits,
    read_timeout=httpcore2.ReadTimeout,
    connect_timeout=httpcore2.ConnectTimeout,
    write_timeout=httpcore2.WriteTimeout,
)
