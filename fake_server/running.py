"""A fake that runs in a thread of this process, on a socket of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import TYPE_CHECKING, TypeVar

from fake_server.server import Address, bind, make_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from fake_server.worlds import Worlds

Result = TypeVar("Result")

# A server is up within 0.3 s; a machine that is busy beyond this has other worries.
LONGEST_START_S = 30.0
# Answers in progress get a second, and the thread some more to end.
LONGEST_STOP_S = 10.0


class RunningServer:
    """The fake on a free port of the loopback, from `with` to its end.

    Args:
        worlds: What it serves.
        host: Where it listens.
        public_url: What URLs in answers start with, instead of the request's own scheme and host.

    Attributes:
        url: Where it is, such as `http://127.0.0.1:43211`; set once it is up.
        worlds: What it serves. Its thread works on them: use :meth:`call`.
    """

    def __init__(self, worlds: Worlds, host: str = "127.0.0.1", public_url: str | None = None) -> None:
        self.worlds = worlds
        self.url = ""
        self._host = host
        self._public_url = public_url
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_up = threading.Event()

    def __enter__(self) -> RunningServer:
        """Start.

        Raises:
            OSError: There is no such address here.
            RuntimeError: The server did not come up.
        """
        listener = bind(self._host, 0)
        address = Address(self._host, int(listener.getsockname()[1]))
        self.url = address.url
        self._server = make_server(self.worlds, address, self._announce, public_url=self._public_url)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name=f"fake on {address.url}", daemon=True
        )
        self._thread.start()
        if not self._is_up.wait(LONGEST_START_S):
            raise RuntimeError(f"the fake did not start on {address.url} within {LONGEST_START_S:.0f} s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._server.should_exit = True
        self._thread.join(LONGEST_STOP_S)

    def call(self, function: Callable[[], Result]) -> Result:
        """Call a function in the server's thread, between two requests, and return what it returns.

        Args:
            function: Looks at the worlds or changes them; it must not wait.
        """
        assert self._loop is not None, "the server is not up"  # noqa: S101 - __enter__ returns once it is
        answered: concurrent.futures.Future[Result] = concurrent.futures.Future()

        def work() -> None:
            try:
                answered.set_result(function())
            except BaseException as error:  # noqa: BLE001 - it belongs to the thread that asked
                answered.set_exception(error)

        self._loop.call_soon_threadsafe(work)
        return answered.result(LONGEST_START_S)

    def _announce(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_up.set()
