"""The application on a socket: uvicorn with uvloop and httptools, and connections of our own."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import uvicorn

from fake_server.app import make_app
from fake_server.connection import Connection
from fake_server.reach.names import WILDCARDS, own_names
from fake_server.reach.parent import call_when_orphaned
from fake_server.version import version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fake_server.reach.certificates import Certificate
    from fake_server.worlds import Worlds

# Waiting connections: more clients than any test starts at once.
BACKLOG = 2048
# How long answers in progress may take when the server is told to stop.
SHUTDOWN_S = 1
# Longer than any client here waits between two polls; uvicorn's 5 s would close connections between them,
# and a client that then sends on one of them would see a fault that nobody scripted.
KEEP_ALIVE_S = 120
# Objects made before Python looks for rings among them. A request makes some hundreds, which are gone with it; at
# Python's 700 the search is a twentieth of a request's cost.
OBJECTS_BETWEEN_COLLECTIONS = 10_000
Loop = Literal["asyncio", "uvloop"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens."""

    host: str
    port: int
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The address as a URL that this machine can open; a wildcard is told as the loopback."""
        host = "127.0.0.1" if self.host in WILDCARDS else self.host
        return f"{self.scheme}://[{host}]:{self.port}" if ":" in host else f"{self.scheme}://{host}:{self.port}"


class Server(uvicorn.Server):
    """uvicorn, which tells where it listens once it does, and ends quietly when it is told to.

    Args:
        config: How to serve.
        announce: Called once connections are accepted.
    """

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        self._announce()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM. uvicorn raises them again afterwards; ending is no failure here."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Signals reach the main thread only; whoever runs a server beside it stops it there.
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Args:
        host: A name or address; an empty one is every address.
        port: A port, or 0 for a free one.

    Raises:
        OSError: If the host is not known or the port is taken.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # Or a restart within a minute finds its own port still taken by connections that are long over.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def make_server(
    worlds: Worlds,
    address: Address,
    announce: Callable[[], None],
    *,
    public_url: str | None = None,
    certificate: Certificate | None = None,
    admin_token: str | None = None,
    loop: Loop | None = None,
) -> Server:
    """A server that is ready to `run(sockets=[listener])`; setting `should_exit` ends it.

    Args:
        worlds: What to serve.
        address: Where it will listen.
        announce: Called once connections are accepted.
        public_url: What URLs in answers start with, instead of the request's own scheme and host.
        certificate: What it shows, to speak TLS and nothing else; None: it speaks plain HTTP.
        admin_token: What requests for the admin pages must carry; None: they are for this machine only.
        loop: The event loop; by default uvloop where it is installed.
    """
    own_hosts = frozenset(own_names(address.host, public_url))
    application: Any = make_app(worlds, public_url=public_url, own_hosts=own_hosts, admin_token=admin_token)
    config = uvicorn.Config(
        application,
        http=Connection,
        ws="none",
        lifespan="off",
        loop=loop or ("uvloop" if importlib.util.find_spec("uvloop") else "asyncio"),
        log_config=None,
        log_level="error",  # a fault of the fake itself is told on stderr, and nothing else is
        access_log=False,
        date_header=False,  # every answer carries its world's own date
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    if certificate is not None:
        config.load()  # or it would be loaded later, and make a context of files
        config.ssl = certificate.context
    return Server(config, announce)


@dataclass(frozen=True, slots=True)
class Serving:
    """How a server is reached, and what is told of it.

    Args:
        host: The host as it was asked for.
        public_url: What URLs in answers start with, instead of the request's own scheme and host.
        certificate: What it shows, to speak TLS; None: plain HTTP.
        admin_token: What requests for the admin pages must carry.
        seed: What its chance is drawn by, where that is told.
        exit_with_parent: Whether it ends with the process that started it.
    """

    host: str
    public_url: str | None = None
    certificate: Certificate | None = None
    admin_token: str | None = field(default=None, repr=False)
    seed: int | None = None
    exit_with_parent: bool = False

    def line(self, port: int) -> dict[str, object]:
        """What a server says of itself once it listens."""
        url = self.address(port).url
        told: dict[str, object] = {"url": url, "admin_url": f"{url}/__admin", "pid": os.getpid(), "version": version()}
        if self.certificate is not None:
            told["ca_file"] = str(self.certificate.ca_file)
        if self.seed is not None:
            told["seed"] = self.seed
        return told

    def address(self, port: int) -> Address:
        """Where it listens."""
        return Address(self.host, port, "http" if self.certificate is None else "https")


def serve(worlds: Worlds, listener: socket.socket, serving: Serving) -> None:
    """Serve until SIGINT or SIGTERM, and say on stdout, in one line of JSON, where.

    Args:
        worlds: What to serve.
        listener: A socket of :func:`bind`; it is closed at the end.
        serving: How.
    """
    port = int(listener.getsockname()[1])

    def announce() -> None:
        sys.stdout.write(json.dumps(serving.line(port)) + "\n")
        sys.stdout.flush()

    gc.freeze()  # What was imported and read until now stays, and need not be looked at again.
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    server = make_server(
        worlds,
        serving.address(port),
        announce,
        public_url=serving.public_url,
        certificate=serving.certificate,
        admin_token=serving.admin_token,
    )
    if serving.exit_with_parent:
        call_when_orphaned(lambda: setattr(server, "should_exit", True))
    server.run(sockets=[listener])
