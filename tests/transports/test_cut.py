"""The seam that keeps a blocking client's total time is there in both libraries, and is honest where it is not."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from resilient_poll.http.messages import ExchangeFailed, HttpRequest
from resilient_poll.transports import exchange as exchange_module
from resilient_poll.transports.cut import cut_at, install_cut, install_cut_below
from resilient_poll.transports.exchange import Exchange
from resilient_poll.transports.library import library_of
from tests.support.colours import LIBRARIES
from tests.support.raw_server import Connection, RawServer, http_answer

each_library = pytest.mark.parametrize("library", LIBRARIES)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


def drips(connection: Connection) -> None:
    connection.read_request()
    connection.drip(http_answer(200, b"x" * 500), 0.02)


def took_to_fail_s(client: Any, library: Any, url: str, within_s: float) -> float:
    began_s = time.monotonic()
    with cut_at(began_s + within_s), pytest.raises(library.TransportError):
        client.get(url)
    return time.monotonic() - began_s


@each_library
def test_the_seam_is_there(library: str) -> None:
    """A fresh client of either library can be cut, and then ends a drip at the instant of the cut."""
    module = LIBRARIES[library]
    with RawServer(drips) as server, module.Client(verify=False) as client:
        assert install_cut(client, library_of(client), time.monotonic)
        took_s = took_to_fail_s(client, module, server.url, 0.3)  # real: a drip is a fact of real time
    assert 0.25 < took_s < 0.3 + 0.25


@each_library
def test_without_a_cut_nothing_is_changed(library: str) -> None:
    """A client with the seam installed and no cut in force behaves as if it were not there."""
    module = LIBRARIES[library]
    with RawServer.answering(lambda _: http_answer(200, b"whole")) as server, module.Client(verify=False) as client:
        assert install_cut(client, library_of(client), time.monotonic)
        assert client.get(server.url).content == b"whole"
        with cut_at(None):
            assert client.get(server.url).content == b"whole"
        with cut_at(time.monotonic() + 5.0):
            assert client.get(server.url).content == b"whole"
        with cut_at(time.monotonic() - 1.0), pytest.raises(module.TimeoutException):
            client.get(server.url)


@each_library
def test_a_proxy_from_the_environment_is_cut_too(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drip through a proxy that the environment names ends at the instant of the cut as well."""
    module = LIBRARIES[library]
    with RawServer(drips) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "elsewhere.test")
        with module.Client(verify=False) as client:
            assert install_cut(client, library_of(client), time.monotonic)
            # real: a drip is a fact of real time
            took_s = took_to_fail_s(client, module, "http://api.test/x", 0.3)
    assert proxy.requests[0].path == "http://api.test/x", "a request that did not go through the proxy proves nothing"
    assert 0.25 < took_s < 0.3 + 0.25


@each_library
def test_tls_through_a_proxy_is_cut_too(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TLS handshake through a proxy that never ends is cut, for a tunnel is opened by the same seam."""
    module = LIBRARIES[library]

    def tunnel(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        connection.hang()

    with RawServer(tunnel) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with module.Client(verify=False, timeout=20.0) as client:
            assert install_cut(client, library_of(client), time.monotonic)
            # real: a handshake that hangs
            took_s = took_to_fail_s(client, module, "https://api.test/x", 0.3)
    assert proxy.requests[0].method == "CONNECT"
    assert 0.25 < took_s < 0.3 + 0.25


@each_library
def test_a_unix_socket_is_cut_too(library: str, tmp_path: Any) -> None:
    """A connection over a Unix socket obeys the same cut."""
    module = LIBRARIES[library]
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with module.Client(transport=module.HTTPTransport(uds=path), timeout=20.0) as client:
            assert install_cut(client, library_of(client), time.monotonic)
            took_s = took_to_fail_s(client, module, "http://api.test/x", 0.3)  # real: an answer that never comes
    assert 0.25 < took_s < 0.3 + 0.25


@each_library
def test_an_upload_that_is_taken_in_sips_is_cut(library: str, tmp_path: Any) -> None:
    """A body that leaves in many pieces is cut between two of them, and not given each time what the first one had."""
    module, path = LIBRARIES[library], str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener, module.HTTPTransport() as transport:
        listener.bind(path)
        listener.listen()
        looks: list[int] = []

        def clock() -> float:
            if looks:
                far.recv(1 << 20)  # A sip each second, and each look is a second later.
            looks.append(1)
            return float(len(looks))

        used = library_of(module.Client(transport=transport))
        assert install_cut_below(transport, used, clock)
        stream = transport._pool._network_backend.connect_unix_socket(path)
        far, _ = listener.accept()
        with far, cut_at(10.0), pytest.raises(used.write_timeout):
            stream.write(b"x" * 10_000_000, timeout=5.0)
        stream.close()
    assert len(looks) == 10


@each_library
def test_the_cut_belongs_to_one_thread(library: str) -> None:
    """A cut in one thread does not shorten another thread's request through the same client."""
    module = LIBRARIES[library]
    came: list[bytes] = []

    def slow(connection: Connection) -> None:
        connection.read_request()
        connection.drip(http_answer(200, b"whole"), 0.005)

    with RawServer(slow) as server, module.Client(verify=False) as client:
        assert install_cut(client, library_of(client), time.monotonic)
        other = threading.Thread(target=lambda: came.append(client.get(server.url).content))
        with cut_at(time.monotonic() + 0.05):
            other.start()
            with pytest.raises(module.TimeoutException):
                client.get(server.url)
        other.join()
    assert came == [b"whole"]


@each_library
def test_a_client_without_the_seam_says_so(library: str) -> None:
    """A client whose transport has no pool is left as it is, and says that it cannot be cut."""
    module = LIBRARIES[library]
    transport = module.MockTransport(lambda _: module.Response(200))
    with module.Client(transport=transport) as client:
        before = dict(vars(transport))
        assert not install_cut(client, library_of(client), time.monotonic)
        assert dict(vars(transport)) == before


def test_a_mounted_transport_without_the_seam_says_so() -> None:
    """One mounted transport that cannot be cut is enough for the whole client to say so, with nothing changed."""
    httpx = LIBRARIES["httpx"]
    mounts = {"http://other.test": httpx.MockTransport(lambda _: httpx.Response(200))}
    with httpx.Client(mounts=mounts, verify=False) as client:
        before = client._transport._pool._network_backend
        assert not install_cut(client, library_of(client), time.monotonic)
        assert client._transport._pool._network_backend is before


def test_without_the_seam_the_deadline_is_kept_by_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a library lose the seam, our own client keeps the time of a query in the weaker way."""
    monkeypatch.setattr(exchange_module, "install_cut", lambda *_: False)
    with RawServer(drips) as server, Exchange() as exchange:
        began_s = time.monotonic()
        with pytest.raises(ExchangeFailed, match="no whole answer within"):
            exchange.query(HttpRequest("GET", server.url), 0.3)  # real: a drip is a fact of real time
        took_s = time.monotonic() - began_s
    assert 0.25 < took_s < 0.3 + 0.25
