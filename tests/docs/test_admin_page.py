"""What docs/admin.md shows is true: its session runs against a server."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from fake_server.scenario import shipped_scenarios
from fake_server.server import Address, bind, make_server
from fake_server.worlds import MOST_WORLDS, Worlds

PAGE = (Path(__file__).parents[2] / "docs" / "admin.md").read_text()


def test_the_session_runs() -> None:
    """The session on the page does what its comments say."""
    (session,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    listener = bind("127.0.0.1", 0)
    address, is_up = Address("127.0.0.1", listener.getsockname()[1]), threading.Event()
    server = make_server(Worlds(shipped_scenarios(), "succeeds", manual=True), address, is_up.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        assert is_up.wait(30)
        names = {"url": address.url}
        exec(session, names)  # noqa: S102 - our own page
        for client in ("fake", "service"):
            names[client].close()  # type: ignore[attr-defined]  # made by the session
    finally:
        server.should_exit = True
        thread.join(30)


def test_the_page_knows_the_bounds() -> None:
    """The numbers on the page are those of the code."""
    assert f"at most {MOST_WORLDS:,} worlds" in PAGE
