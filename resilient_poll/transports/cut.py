"""Keep a total deadline in a blocking client: every read, write and connect is cut to what remains.

A blocking HTTP client has a timeout per read only, and an answer that drips a byte each
20 ms never trips it. So the network layer of our own clients asks, before each operation,
how long is left of the whole request. What this cannot cut is the look-up of a host name,
which the operating system does in one piece.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from resilient_poll.transports.library import HttpLibrary

__all__ = ["cut_at", "end_cut", "install_cut", "install_cut_below", "start_cut"]

_CUT_S: ContextVar[float | None] = ContextVar("resilient_poll_cut_s", default=None)


start_cut = _CUT_S.set
end_cut = _CUT_S.reset
"""What :func:`cut_at` does, where a block would cost more than what is in it: the one returns what the other wants."""


class _CutAt:
    """A block whose operations are cut. A class, since a generator's context costs more than what it does here."""

    __slots__ = ("_at_s", "_token")

    def __init__(self, at_s: float | None) -> None:
        self._at_s = at_s

    def __enter__(self) -> None:
        self._token = _CUT_S.set(self._at_s)

    def __exit__(self, *reason: object) -> None:
        _CUT_S.reset(self._token)


def cut_at(at_s: float | None) -> _CutAt:
    """Cut everything that this thread sends or reads inside the block at an instant.

    Args:
        at_s: The instant, on the clock that :func:`install_cut` was given; None for no cut.
    """
    return _CutAt(at_s)


def install_cut_below(transport: Any, library: HttpLibrary, monotonic: Callable[[], float]) -> bool:
    """Make one blocking transport of a library obey :func:`cut_at`; see :func:`install_cut`.

    Args:
        transport: The library's own transport, which nobody uses yet.
        library: Its library.
        monotonic: The clock.

    Returns:
        False if it has no such seam, or obeys already; nothing is changed then.
    """
    pool = getattr(transport, "_pool", None)
    backend = getattr(pool, "_network_backend", None)
    if pool is None or backend is None or isinstance(backend, _CutBackend):
        return False
    pool._network_backend = _CutBackend(backend, library, monotonic)  # noqa: SLF001  # see install_cut
    return True


def install_cut(client: Any, library: HttpLibrary, monotonic: Callable[[], float]) -> bool:
    """Make a blocking client of our own obey :func:`cut_at`.

    The seam is not public API of the libraries: they take a network backend for their
    pools, but build the pools themselves, proxies from the environment included. So its
    presence is checked, and a test pins it for both libraries.

    Args:
        client: A client that nobody has used yet.
        library: Its library.
        monotonic: The clock.

    Returns:
        False if the client has no such seam; nothing is changed then.
    """
    mounted = [transport for transport in getattr(client, "_mounts", {}).values() if transport is not None]
    pools = [getattr(transport, "_pool", None) for transport in (getattr(client, "_transport", None), *mounted)]
    if not all(hasattr(pool, "_network_backend") for pool in pools):
        return False
    for pool in pools:
        pool._network_backend = _CutBackend(pool._network_backend, library, monotonic)  # type: ignore[union-attr]  # noqa: SLF001  # see above
    return True


class _CutBackend:
    def __init__(self, inner: Any, library: HttpLibrary, monotonic: Callable[[], float]) -> None:
        self._inner = inner
        self._library = library
        self.now_s = monotonic

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> _CutStream:
        *others, last = self._addresses(host, port)
        for behind, address in zip(range(len(others), 0, -1), others, strict=True):
            left_s = self.remaining(timeout, self._library.connect_timeout)
            # Each address has its share of what is left, so that one that hangs leaves time for those behind it.
            share_s = None if left_s is None else left_s / (behind + 1)
            try:
                return self._connect(address, port, share_s, local_address, socket_options)
            except (self._library.connect_timeout, self._library.connect_error):
                continue
        left_s = self.remaining(timeout, self._library.connect_timeout)
        return self._connect(last, port, left_s, local_address, socket_options)

    def _connect(
        self, host: str, port: int, timeout_s: float | None, local_address: str | None, socket_options: Any
    ) -> _CutStream:
        stream = self._inner.connect_tcp(
            host, port, timeout=timeout_s, local_address=local_address, socket_options=socket_options
        )
        return self.cut(stream)

    def cut(self, stream: Any) -> _CutStream:
        """Return a connection of the library's as one that is cut."""
        kind = type(stream)
        is_plain = f"{kind.__module__}.{kind.__qualname__}" == self._library.plain_stream
        held = stream.get_extra_info("socket") if is_plain else None
        if isinstance(held, socket.socket):
            return _CutSocket(stream, held, self, self._library)
        return _CutStream(stream, self, self._library)

    @staticmethod
    def _addresses(host: str, port: int) -> list[str]:
        """Return what to connect to. The operating system would give each address the whole time."""
        if _CUT_S.get() is None:
            return [host]
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            return [host]  # The connect fails in the same way, with the library's own error.
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        return addresses if len(addresses) > 1 else [host]

    def connect_unix_socket(self, path: str, timeout: float | None = None, socket_options: Any = None) -> _CutStream:
        cut_s = self.remaining(timeout, self._library.connect_timeout)
        return self.cut(self._inner.connect_unix_socket(path, timeout=cut_s, socket_options=socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)

    def remaining(self, timeout_s: float | None, too_late: type[Exception]) -> float | None:
        cut_s = _CUT_S.get()
        if cut_s is None:
            return timeout_s
        left_s = cut_s - self.now_s()
        if left_s <= 0:
            raise too_late("the request's total time is up")
        return left_s if timeout_s is None else min(timeout_s, left_s)


class _CutStream:
    def __init__(self, inner: Any, backend: _CutBackend, library: HttpLibrary) -> None:
        self._inner = inner
        self._backend = backend
        self._library = library
        # What every read and write needs is bound once.
        self._remaining = backend.remaining
        self._read = inner.read
        self._write = inner.write
        self._read_timeout = library.read_timeout
        self._write_timeout = library.write_timeout

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data: bytes = self._read(max_bytes, self._remaining(timeout, self._read_timeout))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer:  # Of the three that a request without a body has, one.
            self._write(buffer, self._remaining(timeout, self._write_timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> _CutStream:
        cut_s = self._backend.remaining(timeout, self._library.connect_timeout)
        stream = self._inner.start_tls(ssl_context, server_hostname=server_hostname, timeout=cut_s)
        return self._backend.cut(stream)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _CutSocket(_CutStream):
    """One whose socket is all that there is of it, in the clear or with TLS.

    It is read and written here, so that a body that goes out in many pieces is cut at each of them, where the library
    would give each the time that was left at the first.
    """

    def __init__(self, inner: Any, held: socket.socket, backend: _CutBackend, library: HttpLibrary) -> None:
        super().__init__(inner, backend, library)
        self._now_s = backend.now_s
        self._receive = held.recv
        self._send = held.send
        self._timeout_of = held.gettimeout
        self._set_timeout = held.settimeout
        self._read_error = library.read_error
        self._write_error = library.write_error

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        cut_s = _CUT_S.get()
        # Mostly there is more time than the read may take by itself.
        if cut_s is not None and (timeout is None or cut_s - self._now_s() < timeout):
            timeout = self._remaining(timeout, self._read_timeout)
        try:
            if timeout != self._timeout_of():  # To ask costs nothing, and to set is a call of the system.
                self._set_timeout(timeout)
            return self._receive(max_bytes)
        except TimeoutError as error:
            raise self._read_timeout(error) from error
        except OSError as error:
            raise self._read_error(error) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest: bytes | memoryview = buffer
        while rest:
            left_s = self._remaining(timeout, self._write_timeout)
            try:
                if left_s != self._timeout_of():
                    self._set_timeout(left_s)
                sent_bytes = self._send(rest)
            except TimeoutError as error:
                raise self._write_timeout(error) from error
            except OSError as error:
                raise self._write_error(error) from error
            if sent_bytes == len(rest):
                return
            rest = memoryview(rest)[sent_bytes:]
