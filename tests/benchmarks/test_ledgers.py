"""The ledgers that benchmarks use: what they time and stall is what they say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ledgers import Histogram, StalledLedger, TimedLedger
from resilient_poll import AsyncDashScope
from resilient_poll.ledger.entry import Namespace
from tests.support.fake_process import running_fake

LONGEST_S = 30.0
HERE = Namespace("https://api.test/v1", "generic", "main")


@given(values=st.lists(st.floats(0.001, 1e7), min_size=1, max_size=60), part=st.floats(0.01, 1.0))
def test_a_quantile_is_right_to_one_per_cent(values: list[float], part: float) -> None:
    """A quantile of the histogram is, to one per cent, the figure that so many of all do not exceed."""
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = min(value for value in values if sum(other <= value for other in values) >= part * len(values) - 1e-9)
    assert histogram.quantile(part) == pytest.approx(exact, rel=0.01)
    assert histogram.most == max(values)


def test_each_write_is_timed_once(tmp_path: Path) -> None:
    """Every write is counted under its own name, and its time is not negative."""
    with TimedLedger(tmp_path / "ledger.sqlite3") as ledger, ledger.open_owner() as owner:
        for number in range(3):
            entry = ledger.begin(HERE, f"key-{number}", "digest", now_wall_s=1.0)
            assert ledger.license(entry, owner, now_wall_s=1.0) is not None
    counted = {name: took._counts.total() for name, took in ledger.took_us.items()}
    assert counted == {"begin": 3, "license": 3, "accept": 0, "observe": 0, "delivered": 0}
    assert ledger.took_us["begin"].quantile(0.5) > 0


def test_only_writes_that_must_be_on_the_disk_stand_still(tmp_path: Path) -> None:
    """A commit that wrote something durable stalls for as long as asked; one that wrote nothing and reads do not."""
    stalls: list[float] = []
    with StalledLedger(tmp_path / "ledger.sqlite3", 0.5, stalls.append) as ledger:
        entry = ledger.begin(HERE, "key", "digest", now_wall_s=1.0)
        assert stalls == [0.5]
        assert ledger.begin(HERE, "key", "digest", now_wall_s=1.0) == entry
        assert ledger.find(HERE, "key") == entry
        assert (stalls, ledger.stalls) == ([0.5], 1)


def test_the_event_loop_goes_on_while_a_disk_stands_still(tmp_path: Path) -> None:
    """While a write of a submit stands still, the event loop carries out a thousand steps of somebody else."""
    steps: list[int] = []
    loops: list[asyncio.AbstractEventLoop] = []

    def stand_still(_: float) -> None:
        # In the thread that writes; were it the loop's own, this would wait for itself.
        steps.append(asyncio.run_coroutine_threadsafe(thousand_steps(), loops[0]).result(LONGEST_S))

    async def submit(base_url: str) -> None:
        loops.append(asyncio.get_running_loop())
        options = {"dialect": "aisa", "api_key": "sk-succeeds.stalled", "base_url": base_url}
        with StalledLedger(tmp_path / "ledger.sqlite3", 0.5, stand_still) as ledger:
            async with AsyncDashScope(**options, ledger=ledger) as client:  # type: ignore[arg-type]  # all texts
                await client.submit("wan2.5-t2v-preview", {"prompt": "a cat"}, idempotency_key="order-17")
            assert ledger.stalls == 3

    with running_fake() as fake:
        asyncio.run(submit(f"{fake.url}/apis/v1"))
    assert steps == [1000, 1000, 1000]  # The intent, the licence, the id.


async def thousand_steps() -> int:
    """Let others run a thousand times."""
    for _ in range(1000):
        await asyncio.sleep(0)  # real: no time at all, only a turn of the loop
    return 1000
