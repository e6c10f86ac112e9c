"""Property 8: sync, asyncio and trio give the same trace, and a snapshot resumes to the same end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx
import httpx2
import pytest
from hypothesis import strategies as st

from resilient_poll.drive import async_driver
from resilient_poll.drive.clocks import AsyncClock, VirtualClock
from resilient_poll.machine import Done, Observation, Phase, Poller, StatusSeen, TaskRecord, WaitPolicy, snapshot
from tests.scenarios.generated import read, run_in_process, scenario_texts
from tests.support.machine_strategies import LIFECYCLE, failures, words
from tests.support.polling_world import new_poller
from tests.support.properties import Property

LIBRARIES = {"httpx": httpx, "httpx2": httpx2}


def same_trace(text: str, dialect: str, library: str) -> None:
    scenario = read(text)
    expected = run_in_process(scenario, dialect, "sync")[0].trace
    assert expected, "an empty trace proves nothing"
    for driver in ("asyncio", "trio"):
        assert run_in_process(scenario, dialect, driver, LIBRARIES[library])[0].trace == expected


def resumes(heard: Sequence[Observation], at: int) -> None:
    clock = VirtualClock()
    straight = new_poller(WaitPolicy(), clock)
    for observation in heard:
        clock.advance(2.0)
        straight.receive(observation, clock.now())

    clock = VirtualClock()
    poller = new_poller(WaitPolicy(), clock)
    for ordinal, observation in enumerate(heard):
        if ordinal == at % len(heard):
            kept = json.loads(json.dumps(snapshot.take(poller.record, clock.now())))
            restored = snapshot.restore(kept, clock.now())
            poller = Poller(restored, LIFECYCLE, WaitPolicy(), clock.now())
            was_free = poller.record.phase in {Phase.FAILED, Phase.CANCELED}
            assert isinstance(poller.next_command(clock.now()), Done) == was_free, "a restored task is asked about"
        clock.advance(2.0)
        poller.receive(observation, clock.now())
    assert _lasting(poller.record, clock) == _lasting(straight.record, clock)


def _lasting(record: TaskRecord, clock: VirtualClock) -> dict[str, Any]:
    now = clock.now()
    spent = {phase: round(seconds, 3) for phase, seconds in record.time_per_phase(now).items()}
    return {
        "phase": record.phase,
        "billing": record.billing,
        "status": record.status,
        "seen": record.seen,
        "has_run": record.has_run,
        "polls": record.polls,
        "spent": spent,
    }


SAME_TRACE = Property(
    same_trace,
    examples=60,
    text=scenario_texts,
    dialect=st.sampled_from(["aisa", "dashscope"]),
    library=st.sampled_from(sorted(LIBRARIES)),
)
heard = st.lists(st.builds(StatusSeen, status=words) | failures, min_size=1, max_size=12)
RESUMES = Property(resumes, heard=heard, at=st.integers(0, 11))


def test_all_drivers_give_the_same_trace() -> None:
    """Over generated lives and faults, sync, asyncio and trio do and say the same at the same times."""
    SAME_TRACE.holds()


def test_a_snapshot_resumes_to_the_same_end() -> None:
    """A task that is snapshot anywhere, carried as JSON and restored, ends where it would have ended."""
    RESUMES.holds()


def test_a_driver_that_dawdles_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the async loop sleeps a moment after every answer."""
    genuine = async_driver.step

    async def dawdle(machine: Any, perform: Any, clock: AsyncClock, publish: Any) -> Done | None:
        done = await genuine(machine, perform, clock, publish)
        if done is None:
            await clock.sleep(0.1)
        return done

    monkeypatch.setattr(async_driver, "step", dawdle)
    SAME_TRACE.catches_the_planted_fault()


@pytest.mark.parametrize(("name", "value"), [("has_run", False), ("seen", False), ("polls", 0), ("earlier_s", {})])
def test_a_forgetful_snapshot_is_caught(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    """Planted: the snapshot loses one of the things that it must carry."""
    genuine = snapshot.take
    monkeypatch.setattr(snapshot, "take", lambda record, now: {**genuine(record, now), name: value})
    RESUMES.catches_the_planted_fault()
