"""A caller who waits again and again for less than a query with all its pauses takes."""

from __future__ import annotations

from itertools import pairwise

import httpx
import pytest
import trio
import trio.testing

from resilient_poll import AsyncDashScope, Event, Polled, StillGoing
from tests.scenarios.generated import BASE_PATHS
from tests.support.in_process import ORIGIN
from tests.support.many_world import INPUT, MODEL, ManyWorld, MockedTime

WORK_S = 20.0


@pytest.mark.parametrize(("timeout_s", "round_trip_s"), [(0.6, 0.15), (0.3, 0.15), (1.0, 0.6)])
def test_a_loop_of_short_waits_hears_of_the_video(timeout_s: float, round_trip_s: float) -> None:
    """Whoever loops around short waits for a video gets it soon after it is made, and neither spins nor hammers."""

    events: list[Event] = []

    async def main() -> tuple[float, int]:
        slow = MockedTime(ManyWorld([f"RUNNING {WORK_S:.0f}s -> SUCCEEDED"]), round_trip_s)
        async with (
            httpx.AsyncClient(transport=slow.transport()) as http_client,
            AsyncDashScope(
                dialect="aisa",
                api_key="sk-generated",
                base_url=ORIGIN + BASE_PATHS["aisa"],
                http_client=http_client,
                on_event=events.append,
            ) as client,
        ):
            task = await client.submit(MODEL, INPUT)
            began_s = trio.current_time()
            waits = 0
            while True:
                waits += 1
                try:
                    assert (await task.wait(timeout=timeout_s)).video_url
                    break
                except StillGoing:
                    assert trio.current_time() - began_s < 2 * WORK_S
                    assert waits < 1000, "it spins"
            return trio.current_time() - began_s, waits

    took_s, waits = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert took_s <= WORK_S + 0.5 + 2 * timeout_s + round_trip_s
    assert waits <= 2 * took_s / timeout_s + 2
    heard_s = [event.at_s for event in events if isinstance(event, Polled)]
    # From one answer to the next it is the floor and the way there and back, or the rest of a wait that was cut.
    assert all(later_s - sooner_s > 0.5 for sooner_s, later_s in pairwise(heard_s))
    assert len(heard_s) > 5
