"""Scenarios that nobody wrote: sync, asyncio and trio on httpx and httpx2 do and say the same at the same times."""

from __future__ import annotations

import os
from typing import Any

import pytest

from resilient_poll.drive import async_driver
from resilient_poll.drive.clocks import AsyncClock
from resilient_poll.machine import Done
from tests.differential.generated import Differing, compare_many

COUNT = int(os.environ.get("DIFFERENTIAL_SCENARIOS", "20"))


def test_all_ways_give_one_trace() -> None:
    """Over generated scenarios with quotas, faults and lives without end, all six ways leave one trace and one bill."""
    tally = compare_many(COUNT)
    assert tally.runs == 6 * tally.scenarios >= 6 * COUNT
    assert tally.lines > 20 * COUNT
    # What was compared must have been worth it: of a few scenarios a part, of a thousand all of it.
    assert len(tally.outcomes) >= (8 if COUNT >= 1000 else 3), tally.outcomes
    assert len(tally.faults) >= (8 if COUNT >= 1000 else 1), tally.faults


def test_a_way_that_dawdles_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the async loop sleeps a moment after every answer."""
    genuine = async_driver.step

    async def dawdle(machine: Any, perform: Any, clock: AsyncClock, publish: Any) -> Done | None:
        done = await genuine(machine, perform, clock, publish)
        if done is None:
            await clock.sleep(0.001)
        return done

    monkeypatch.setattr(async_driver, "step", dawdle)
    with pytest.raises(Differing, match="asyncio on httpx"):
        compare_many(20, is_shrunk=False)
