"""What peers are shown: a service on the loopback interface that answers by a script, and time that does not pass."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import Any

import httpx

from resilient_poll import Lifecycle, Outcome, poll
from resilient_poll.drive.clocks import VirtualClock
from resilient_poll.http.retry_after import read_retry_after
from resilient_poll.machine.observations import StatusSeen

__all__ = ["LIFECYCLE", "Answer", "Enough", "Seen", "Service", "naps", "ours", "ours_ended", "peer", "serving", "told"]

LIFECYCLE = Lifecycle.of(
    running=["running"], succeeded=["succeeded"], failed=["failed"], canceled=["canceled", "cancelled"]
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One fault, as it was seen in this run.

    Attributes:
        peer: The package and its version.
        provoked: What was done to both.
        theirs: What the peer did.
        ours: What ours did.
        is_shown: Whether the peer shows the fault.
    """

    peer: str
    provoked: str
    theirs: str
    ours: str
    is_shown: bool


def peer(package: str) -> str:
    """Return a package and its version."""
    return f"`{package}` {version(package)}"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the service.

    Attributes:
        body: As JSON.
        status: The HTTP status.
        headers: Beside the usual ones.
        is_cut: Whether the connection ends in the middle of the body.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cut: bool = False


class Service:
    """Answers one thing after the other, and the last one for ever.

    Args:
        answers: What it says; ``{url}`` in a header is the service's own.

    Attributes:
        url: Where it is.
        requests: How many came.
    """

    def __init__(self, answers: list[Answer]) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self.url = ""
        self.requests = 0

    def next(self) -> Answer:
        """Return the next answer."""
        with self._lock:
            self.requests += 1
            return self._answers[min(self.requests, len(self._answers)) - 1]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no news."""


@contextmanager
def serving(*answers: Answer) -> Iterator[Service]:
    """Run a service on a free port."""
    service = Service(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            answer = service.next()
            body = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value.replace("{url}", service.url))
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if answer.is_cut else body)
            self.close_connection = answer.is_cut

        do_POST = do_PUT = do_GET  # noqa: N815  # the names that the standard library calls

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Enough(Exception):
    """A peer has slept so often that it would go on for ever."""


@contextmanager
def naps(most: int = 50, sleep: Callable[[float], object] = lambda _: None) -> Iterator[list[float]]:
    """Replace ``time.sleep`` by one that only notes; the peers below take no clock.

    Args:
        most: After so many, :class:`Enough` is raised.
        sleep: Is called for each.
    """
    slept_s: list[float] = []
    real = time.sleep

    def nap(seconds: float) -> None:
        slept_s.append(seconds)
        if len(slept_s) >= most:
            raise Enough
        sleep(seconds)

    time.sleep = nap  # type: ignore[assignment]  # whole numbers are floats enough
    try:
        yield slept_s
    finally:
        time.sleep = real


def told(function: Callable[[], Any]) -> str:
    """Return what a call came to, in a few words: nothing, or the name of what it raised."""
    try:
        function()
    except Enough:
        return "goes on for ever"
    except Exception as error:  # noqa: BLE001  # that is what is asked for
        return f"`{type(error).__name__}`"
    return "ends"


def ours(*answers: Answer, **options: Any) -> tuple[Outcome | Exception, list[float], int]:
    """Wait with ours for a service that answers so.

    Returns:
        The outcome or what was raised, the pauses, and the number of polls.
    """
    clock = VirtualClock()
    options.setdefault("lifecycle", LIFECYCLE)
    with serving(*answers) as service, httpx.Client(trust_env=False) as client:

        def ask() -> StatusSeen:
            response = client.get(service.url).raise_for_status()
            said = response.json()
            # The service's Date is of this machine's clock, and the virtual clock shows another time.
            hint = read_retry_after(response.headers.get_list("retry-after"), [], clock.now().wall_s)
            return StatusSeen(status=said["status"], result=said, retry_after_s=hint.seconds)

        came: Outcome | Exception
        try:
            came = poll(ask, clock=clock, **options)
        except Exception as error:  # noqa: BLE001  # that is what is asked for
            came = error
        return came, clock.slept_s, service.requests


def ours_ended(came: Outcome | Exception, polls: int) -> str:
    """Return how a wait of ours ended, in a few words."""
    name = f"`{type(came).__name__}`" if isinstance(came, Exception) else "success"
    return f"{name} after {polls} polls" if polls > 1 else f"{name} at the first poll"
