"""A service whose keys are canaries: nothing of them stands in what it says."""

from __future__ import annotations

import threading
from typing import Any

from fake_server.clock import ManualClock
from fake_server.scenario import shipped_scenarios
from fake_server.server import Address, bind, make_server
from fake_server.worlds import World, Worlds

__all__ = ["CANARY", "CanaryService"]

CANARY = "sk-Kanari\"<%2F&\\'+=/~{:04d}x7f3a9c51d2e8b604"
"""A key in which stands what needs escaping somewhere, and no word that is said anyway."""


class CanaryService:
    """A fake on a socket in this process that plays any scenario for keys that name none.

    Args:
        options: Those of its worlds.

    Attributes:
        url: Where it is.
        worlds: What it serves.
    """

    def __init__(self, **options: Any) -> None:
        self.worlds = Worlds(shipped_scenarios(), "succeeds", **options)
        listener = bind("127.0.0.1", 0)
        address = Address("127.0.0.1", listener.getsockname()[1])
        self.url, is_up = address.url, threading.Event()
        self._server = make_server(self.worlds, address, is_up.set)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        assert is_up.wait(30)
        self._keys = 0
        self._clock: ManualClock | None = None
        self._is_over = threading.Event()
        self._hurrying = threading.Thread(target=self._hurry, daemon=True)
        self._hurrying.start()

    def open_world(self, scenario: str) -> tuple[str, World]:
        """Return a key that nobody has used, and its world, which plays a scenario."""
        self._keys += 1
        key = CANARY.format(self._keys)
        self.worlds.default = scenario
        world = self.worlds.for_key(key)
        assert isinstance(world, World)
        self._clock = world.clock if isinstance(world.clock, ManualClock) else None
        return key, world

    def _hurry(self) -> None:
        """Move the clock to whatever an answer waits for, which a client that waits for it in earnest cannot do."""
        while not self._is_over.wait(0.01):  # real: the fake has no other sign that an answer waits
            clock = self._clock
            if clock is not None and (due_s := clock.next_due_s) is not None:
                clock.advance(max(0.0, due_s - clock.now().monotonic_s))

    def stop(self) -> None:
        """End it."""
        self._is_over.set()
        self._hurrying.join(30)
        self._server.should_exit = True
        self._thread.join(30)
