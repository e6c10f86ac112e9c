"""Real failures of both libraries on real sockets, and what each means for a request that costs money."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from resilient_poll.http.sent import describe, is_library_error, surely_not_sent
from tests.support.colours import COLOURS, LIBRARIES, got, run_in
from tests.support.raw_server import Connection, RawServer

TIMEOUT_S = 0.3


@contextmanager
def nobody_listens() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def queue_is_full() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for one in crowd:
            one.close()


@contextmanager
def no_such_host() -> Iterator[str]:
    yield "http://no-such-host.invalid"


@contextmanager
def speaks_no_tls() -> Iterator[str]:
    with RawServer(_closes_at_once) as server:
        yield server.url.replace("http://", "https://")


@contextmanager
def _served(script: Callable[[Connection], None]) -> Iterator[str]:
    with RawServer(script) as server:
        yield server.url


def _closes_at_once(connection: Connection) -> None:
    connection.socket.recv(1)


def _hangs(connection: Connection) -> None:
    connection.read_request()
    connection.hang()


def _closes_without_answer(connection: Connection) -> None:
    connection.read_request()


def _resets(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def _talks_nonsense(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"SMTP ready when you are\r\n\r\n")


def _breaks_off(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")


# id, the world, the library's error, whether the body is taken, whether it surely did not arrive
FAILURES: list[tuple[str, Callable[[], Any], str, bool, bool]] = [
    ("connection refused", nobody_listens, "ConnectError", False, True),
    ("connect time-out", queue_is_full, "ConnectTimeout", False, True),
    ("no such host", no_such_host, "ConnectError", False, True),
    ("no TLS there", speaks_no_tls, "ConnectError", False, True),
    ("read time-out", lambda: _served(_hangs), "ReadTimeout", True, False),
    ("closes without answer", lambda: _served(_closes_without_answer), "RemoteProtocolError", True, False),
    ("reset", lambda: _served(_resets), "ReadError", True, False),
    ("nonsense", lambda: _served(_talks_nonsense), "RemoteProtocolError", True, False),
    ("body breaks off", lambda: _served(_breaks_off), "RemoteProtocolError", True, False),
]


async def failure_of(colour: str, library: Any, url: str) -> tuple[Exception, bool]:
    """Send a POST with a watched body and return its error, and whether the body was taken."""
    taken: list[bool] = []

    class Body(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __iter__(self) -> Iterator[bytes]:
            taken.append(True)
            yield b"{}"

        async def __aiter__(self) -> Any:
            taken.append(True)
            yield b"{}"

    request = library.Request("POST", url, headers={"host": "h", "content-length": "2"}, stream=Body())
    request.extensions = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT_S)}
    is_async = colour != "sync"
    client = (library.AsyncClient if is_async else library.Client)(trust_env=False)
    try:
        await got(client.send(request))
    except Exception as error:  # noqa: BLE001  # which one is the question
        return error, bool(taken)
    finally:
        await got(client.aclose() if is_async else client.close())
    raise AssertionError("the request did not fail")


@pytest.mark.thorough(plain=4)
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("world", "name", "is_taken", "is_free"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_a_real_failure_means_what_the_table_says(
    colour: str, library: str, world: Callable[[], Any], name: str, is_taken: bool, is_free: bool
) -> None:
    """Each failure is its library's own, and is free exactly where the body was never taken."""
    with world() as url:
        error, was_taken = run_in(colour, lambda: failure_of(colour, LIBRARIES[library], url))
    assert is_library_error(error)
    assert type(error).__name__ == name
    assert was_taken == is_taken
    assert surely_not_sent(error, body_was_read=was_taken) is is_free
    # Without a watched body the error's class has to do, and comes to the same here.
    assert surely_not_sent(error, body_was_read=None) is is_free


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_became_of_the_body_beats_the_errors_class(library: str) -> None:
    """A connect error after a body was taken is no proof of anything, and a read error before it is harmless."""
    module = LIBRARIES[library]
    assert not surely_not_sent(module.ConnectError("no route"), body_was_read=True)
    assert surely_not_sent(module.ReadError("reset"), body_was_read=False)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_full_pool_is_surely_not_sent(library: str) -> None:
    """A request that never got a connection from its pool never left."""
    module = LIBRARIES[library]

    def hold(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
        connection.hang()

    with (
        RawServer(hold) as server,
        module.Client(limits=module.Limits(max_connections=1), timeout=TIMEOUT_S, trust_env=False) as client,
        client.stream("GET", server.url),
        pytest.raises(module.PoolTimeout) as caught,
    ):
        client.post(server.url, content=b"{}")
    assert surely_not_sent(caught.value, body_was_read=None)


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_error_of_the_layer_below_counts_as_the_librarys(library: str) -> None:
    """What a transport of one's own lets through from the network layer is a failure of the network, too."""
    core = pytest.importorskip({"httpx": "httpcore", "httpx2": "httpcore2"}[library])
    assert is_library_error(core.ReadTimeout())
    assert is_library_error(core.RemoteProtocolError())
    assert is_library_error(core.ConnectError())
    assert surely_not_sent(core.ConnectError(), body_was_read=None)
    assert not surely_not_sent(core.ReadError(), body_was_read=None)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyError("x"), AssertionError(), ssl.CertificateError()])
def test_other_errors_are_nobodys(error: Exception) -> None:
    """An error that no HTTP library raised is not taken for one of theirs."""
    assert not is_library_error(error)


def test_a_class_of_the_same_name_elsewhere_is_not_the_librarys() -> None:
    """The name alone proves nothing: a program's own ``ConnectError`` is not the library's."""
    own = type("ConnectError", (Exception,), {})
    assert not is_library_error(own())
    assert not surely_not_sent(own(), body_was_read=None)


def test_a_description_is_one_short_clause() -> None:
    """A description names the error and is one line of bounded length."""
    text = describe(ValueError("one\ntwo  three " + "x" * 1000))
    assert text.startswith("ValueError (one two three ")
    assert "\n" not in text
    assert len(text) < 250
    assert describe(ValueError()) == "ValueError"
