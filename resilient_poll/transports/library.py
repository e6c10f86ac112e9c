"""What the exchanges need of an HTTP library, and how to find the library of a client."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from resilient_poll.errors import ConfigurationError
from resilient_poll.transports.once_body import OnceBytes

__all__ = ["HttpLibrary", "connections_of", "default_library", "library_of", "own_clients"]

_MOST_CONNECTIONS = 100
"""What the libraries allow by default too. All are kept for the next poll; they would close all but 20."""
_ADAPTERS = {
    "httpx": "resilient_poll.transports.httpx_library",
    "httpx2": "resilient_poll.transports.httpx2_library",
}


@dataclass(frozen=True, slots=True)
class HttpLibrary:
    """The names of one HTTP library that are used here. Both libraries spell them alike.

    They are ``Any`` because the two libraries' classes share no base.

    Attributes:
        name: The library's import name.
        request: Its request class.
        once_body: A body of its own stream classes that can be read once.
        no_body: The body of a request that has none.
        client: Its blocking client.
        async_client: Its awaiting client.
        limits: Its pool limits.
        tls_context: Makes the TLS settings that its clients share; reading the certificates takes tens of ms.
        invalid_url: What it raises when it finds no sense in a URL.
        read_timeout: What its network layer raises when a read takes too long.
        connect_timeout: The same for a connect.
        connect_error: What it raises when a connect fails.
        write_timeout: The same for a write.
        read_error: What it raises when a read fails.
        write_error: The same for a write.
        plain_stream: The name of its class of connections that a socket is all of, with or without TLS.
        queues_slowly: Whether its pool looks at everyone who waits for a connection again and again, so that with a
            thousand waiting most of the time goes into looking.
    """

    name: str
    request: Callable[..., Any]
    once_body: Callable[[bytes], OnceBytes]
    no_body: Any
    client: Callable[..., Any]
    async_client: Callable[..., Any]
    limits: Callable[..., Any]
    tls_context: Callable[..., Any]
    invalid_url: type[Exception]
    read_timeout: type[Exception]
    connect_timeout: type[Exception]
    connect_error: type[Exception]
    write_timeout: type[Exception]
    read_error: type[Exception]
    write_error: type[Exception]
    plain_stream: str
    queues_slowly: bool


def own_clients(make: Callable[..., Any], library: HttpLibrary) -> tuple[Any, Any]:
    """Make our own two clients of one kind: one for queries, and one for creates.

    The second keeps no connection, so each create goes out on a fresh one: a POST on an idle
    connection that the server is just closing is the commonest false doubt.

    Args:
        make: The library's client class.
        library: The library.

    Returns:
        The client for queries and downloads, and the one for creates.

    Raises:
        ConfigurationError: The environment (a proxy's URL, a certificate file) makes no sense.
    """
    try:
        context = library.tls_context()
        many = library.limits(max_connections=_MOST_CONNECTIONS, max_keepalive_connections=_MOST_CONNECTIONS)
        return (
            make(verify=context, limits=many),
            make(verify=context, limits=library.limits(max_keepalive_connections=0)),
        )
    except Exception as error:  # noqa: BLE001  # whatever the libraries make of the environment
        # Neither the error's words nor its trace: they may hold a proxy's password.
        raise ConfigurationError(
            f"the environment's proxy or certificate settings cannot be used ({type(error).__name__}): look at "
            "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR. Nothing was sent"
        ) from None


def connections_of(client: object) -> int | None:
    """Return how many connections a client uses at most, or None if it cannot be told.

    It is not public API of the libraries, so whoever asks must do without an answer.

    Args:
        client: A client of one of the libraries.
    """
    pool = getattr(getattr(client, "_transport", None), "_pool", None)
    most = getattr(pool, "_max_connections", None)
    return most if isinstance(most, int) and 0 < most < sys.maxsize else None


def default_library() -> HttpLibrary:
    """Return the library that a plain install brings."""
    return _load("httpx")


def library_of(client: object) -> HttpLibrary:
    """Return the library that a caller's client belongs to.

    Args:
        client: The caller's client.

    Raises:
        ConfigurationError: It belongs to neither.
    """
    for kind in type(client).__mro__:
        name = kind.__module__.partition(".")[0]
        if name in _ADAPTERS:
            return _load(name)
    raise ConfigurationError(
        f"http_client must be a client of {' or '.join(_ADAPTERS)}, "
        f"not {type(client).__module__}.{type(client).__name__}"
    )


def _load(name: str) -> HttpLibrary:
    library: HttpLibrary = import_module(_ADAPTERS[name]).LIBRARY
    return library
