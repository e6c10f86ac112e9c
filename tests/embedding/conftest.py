"""Time for recipes that bring no clock of their own: every wait of theirs passes on a virtual one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from resilient_poll.drive.clocks import VirtualClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """The clock that polls and transports wait by, unless they are given another."""
    clock = VirtualClock()
    awaiting = clock.for_async()
    monkeypatch.setattr("resilient_poll.generic.RealClock", lambda: clock)
    monkeypatch.setattr("resilient_poll.generic.RealAsyncClock", lambda: awaiting)
    blocking_time = SimpleNamespace(
        monotonic=lambda: clock.now().monotonic_s, time=lambda: clock.now().wall_s, sleep=clock.sleep
    )
    awaiting_time = SimpleNamespace(current_time=blocking_time.monotonic, sleep=awaiting.sleep)
    monkeypatch.setattr("resilient_poll.transports.middleware.watch.time", blocking_time)
    monkeypatch.setattr("resilient_poll.transports.middleware.watch.anyio", awaiting_time)
    return clock
