"""The adapter for httpx2: the one module that imports it."""

from __future__ import annotations

import httpcore2
import httpx2
from httpx2 import (
    AsyncBaseTransport,
    AsyncByteStream,
    AsyncHTTPTransport,
    BaseTransport,
    ByteStream,
    HTTPTransport,
    ReadTimeout,
    Request,
    Response,
    SyncByteStream,
    TimeoutException,
    TransportError,
)

from resilient_poll.transports.library import HttpLibrary
from resilient_poll.transports.once_body import OnceBytes, OnceRequest

__all__ = [
    "LIBRARY",
    "AsyncBaseTransport",
    "AsyncByteStream",
    "AsyncHTTPTransport",
    "BaseTransport",
    "ByteStream",
    "HTTPTransport",
    "ReadTimeout",
    "Request",
    "Response",
    "SyncByteStream",
    "TimeoutException",
    "TransportError",
]


class _OnceBody(OnceBytes, httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """httpx2 asserts that streams are of its own classes."""


class _OnceRequest(OnceRequest, httpx2.Request):
    """A request whose body stays one that is sent once."""


LIBRARY = HttpLibrary(
    name="httpx2",
    request=_OnceRequest,
    once_body=_OnceBody,
    no_body=httpx2.ByteStream(b""),
    client=httpx2.Client,
    async_client=httpx2.AsyncClient,
    limits=httpx2.Limits,
    tls_context=httpx2.create_ssl_context,
    invalid_url=httpx2.InvalidURL,
    read_timeout=httpcore2.ReadTimeout,
    connect_timeout=httpcore2.ConnectTimeout,
    connect_error=httpcore2.ConnectError,
    write_timeout=httpcore2.WriteTimeout,
    read_error=httpcore2.ReadError,
    write_error=httpcore2.WriteError,
    plain_stream="httpcore2._backends.sync.SyncStream",
    queues_slowly=False,
)
