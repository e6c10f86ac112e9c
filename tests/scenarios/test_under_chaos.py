"""Our client under chaos: whatever strikes by chance, nothing is paid twice, forgotten or hammered."""

from __future__ import annotations

import functools
from dataclasses import replace

import httpx
import pytest
from hypothesis import strategies as st

from fake_server.engine import Engine
from fake_server.moment import Moment
from fake_server.scenario import chaos_faults, load_scenario, shipped_scenarios
from resilient_poll.drive.clocks import VirtualClock
from tests.scenarios.client_under_test import Run, Setting, drive
from tests.scenarios.generated import BASE_PATHS
from tests.support.in_process import ORIGIN, answer_from, engine_transport
from tests.support.properties import Property

# What can be shown without a socket; tests over one have the rest.
STORMS = {
    level: tuple(fault for fault in chaos_faults(level) if not fault.needs_socket) for level in ("light", "heavy")
}
# A download that a foreign host was named for is rightly given up; here is asked what becomes of the task.
SUCCEEDS = load_scenario(shipped_scenarios()["succeeds"])
SCENARIO = replace(SUCCEEDS, client=replace(SUCCEEDS.client, download=False))
A_YEAR_S = 365 * 86_400.0


def run(level: str, dialect: str, driver: str, seed: int) -> tuple[Run, Engine, Moment]:
    """One task from submit to its end, with faults by a seed."""
    clock = VirtualClock()
    start = clock.now()
    engine = Engine(SCENARIO, started=Moment(start.monotonic_s, start.wall_s), faults=STORMS[level], draw_seed=seed)

    def make_client(is_async: bool) -> object:
        transport = engine_transport(httpx, functools.partial(answer_from, engine, clock))
        return httpx.AsyncClient(transport=transport) if is_async else httpx.Client(transport=transport)

    setting = Setting(SCENARIO, dialect, "sk-chaos", ORIGIN + BASE_PATHS[dialect], make_client, clock)
    result = drive(driver, setting)
    now = clock.now()
    return result, engine, Moment(now.monotonic_s, now.wall_s)


def holds(level: str, dialect: str, seed: int) -> None:
    result, engine, now = run(level, dialect, "sync", seed)
    (outcome,), (belief,) = result.outcomes, result.bills
    counters = engine.journal.counters
    doubled = sum(armed.fired for armed in engine.armed() if armed.fault.name == "duplicated_create")
    assert len(engine.tasks) <= 1 + doubled, "one create at most was carried out"
    assert counters["early_creates"] == counters["early_polls"] == 0
    later = Moment(now.monotonic_s + A_YEAR_S, now.wall_s + A_YEAR_S)
    if belief == "BILLED":
        assert 1 <= engine.bill(now).billed_tasks <= 1 + doubled  # nobody polls the double, so it may not have ended
    if belief in {"NONE", "yes"}:
        assert engine.bill(later).billed_tasks == 0
    assert outcome in {"SUCCEEDED", "IN_DOUBT", "THROTTLED", "STILL_GOING"}, result.trace
    if outcome == "THROTTLED":
        assert not engine.tasks
    if level == "light":
        assert outcome in {"SUCCEEDED", "THROTTLED"}, result.trace


CHAOS = Property(
    holds,
    examples=60,
    level=st.sampled_from(sorted(STORMS)),
    dialect=st.sampled_from(["aisa", "dashscope"]),
    seed=st.integers(0, 100_000),
)


def test_nothing_is_paid_twice_forgotten_or_hammered() -> None:
    """Under chaos of either level and any seed, at most one create counts, and belief and bill are compatible."""
    CHAOS.holds()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("level", sorted(STORMS))
def test_chaos_strikes_all_drivers_alike(level: str, seed: int) -> None:
    """Sync, asyncio and trio leave one trace under one seed."""
    first = run(level, "dashscope", "sync", seed)[0].trace
    assert first == run(level, "dashscope", "asyncio", seed)[0].trace
    assert first == run(level, "dashscope", "trio", seed)[0].trace


def test_a_client_that_submits_again_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a driver does everything twice."""
    genuine = drive
    monkeypatch.setattr(f"{__name__}.drive", lambda driver, setting: [genuine(driver, setting) for _ in range(2)][1])
    CHAOS.catches_the_planted_fault()
