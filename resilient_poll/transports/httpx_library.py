"""The adapter for httpx: the one module that imports it."""

from __future__ import annotations

import httpcore
import httpx
from httpx import (
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


class _OnceBody(OnceBytes, httpx.SyncByteStream, httpx.AsyncByteStream):
    """httpx asserts that streams are of its own classes."""


class _OnceRequest(OnceRequest, httpx.Request):
    """A request whose body stays one that is sent once."""


LIBRARY = HttpLibrary(
    name="httpx",
    request=_OnceRequest,
    once_body=_OnceBody,
    no_body=httpx.ByteStream(b""),
    client=httpx.Client,
    async_client=httpx.AsyncClient,
    limits=httpx.Limits,
    tls_context=httpx.create_ssl_context,
    invalid_url=httpx.InvalidURL,
    read_timeout=httpcore.ReadTimeout,
    connect_timeout=httpcore.ConnectTimeout,
    connect_error=httpcore.ConnectError,
    write_timeout=httpcore.WriteTimeout,
    read_error=httpcore.ReadError,
    write_error=httpcore.WriteError,
    plain_stream="httpcore._backends.sync.SyncStream",
    queues_slowly=True,
)
