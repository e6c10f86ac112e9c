"""The clocks that drivers wait by."""

from __future__ import annotations

import asyncio
import time

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from resilient_poll.drive.clocks import RealAsyncClock, RealClock, VirtualClock


def test_the_real_clock_is_the_systems() -> None:
    """The blocking clock shows the system's monotonic and wall time, and sleeps."""
    clock = RealClock()
    before, now, after = time.monotonic(), clock.now(), time.monotonic()
    assert before <= now.monotonic_s <= after
    assert abs(now.wall_s - time.time()) < 5
    clock.sleep(0.001)  # real: a millisecond, to see it move
    assert clock.now().monotonic_s >= now.monotonic_s + 0.001


def test_the_async_clock_is_the_loops() -> None:
    """The awaiting clock shows the loop's own time, which on trio is the mock where there is one."""

    async def on_trio() -> float:
        clock = RealAsyncClock()
        start = clock.now().monotonic_s
        await clock.sleep(1000.0)
        return clock.now().monotonic_s - start

    assert trio.run(on_trio, clock=trio.testing.MockClock(autojump_threshold=0)) == pytest.approx(1000.0)

    async def on_asyncio() -> float:
        await RealAsyncClock().sleep(0.001)
        return abs(RealAsyncClock().now().monotonic_s - asyncio.get_running_loop().time())

    assert asyncio.run(on_asyncio()) < 5


@given(st.lists(st.floats(0, 1000), max_size=20))
def test_a_virtual_clock_moves_by_its_sleeps(naps: list[float]) -> None:
    """A virtual clock moves by what is slept on it, both of its hands alike, and keeps count."""
    told: list[float] = []
    clock = VirtualClock(on_sleep=told.append)
    start = clock.now()
    for nap in naps:
        clock.sleep(nap)
    now = clock.now()
    assert now.monotonic_s - start.monotonic_s == pytest.approx(sum(naps))
    assert now.wall_s - start.wall_s == pytest.approx(sum(naps), abs=1e-3)
    assert clock.slept_s == told == naps


def test_a_virtual_clock_does_not_go_back() -> None:
    """A negative advance is refused: a clock that goes back would prove nothing."""
    with pytest.raises(ValueError, match="does not go back"):
        VirtualClock().advance(-1.0)
