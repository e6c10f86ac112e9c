"""Every scenario, without a socket, with every driver, library and dialect."""

from __future__ import annotations

import functools
from types import ModuleType

import httpx
import httpx2
import pytest

from fake_server.clock import Moment
from fake_server.engine import Engine
from fake_server.scenario import load_scenario, shipped_scenarios
from resilient_poll.drive.clocks import VirtualClock
from tests.scenarios.client_under_test import DRIVERS, Run, Setting, drive
from tests.scenarios.judging import assert_bill_is_not_understated, assert_passed
from tests.support.in_process import ORIGIN, answer_from, engine_transport

LIBRARIES: dict[str, ModuleType] = {"httpx": httpx, "httpx2": httpx2}
BASE_PATHS = {"aisa": "/apis/v1", "dashscope": "/api/v1"}
SCENARIOS = {name: load_scenario(path) for name, path in shipped_scenarios().items()}
# A dropped connection is a fact of the wire; tests/scenarios/test_over_a_socket.py has those.
CASES = [
    (name, dialect) for name, scenario in SCENARIOS.items() if not scenario.needs_socket for dialect in scenario.dialects
]


@functools.cache
def run(name: str, dialect: str, driver: str, library_name: str) -> tuple[Run, Engine, VirtualClock]:
    scenario, library, clock = SCENARIOS[name], LIBRARIES[library_name], VirtualClock()
    start = clock.now()
    engine = Engine(scenario, world="w1", seed=0, started=Moment(start.monotonic_s, start.wall_s))

    def make_client(is_async: bool) -> object:
        transport = engine_transport(library, functools.partial(answer_from, engine, clock))
        return library.AsyncClient(transport=transport) if is_async else library.Client(transport=transport)

    setting = Setting(scenario, dialect, f"sk-{name}", ORIGIN + BASE_PATHS[dialect], make_client, clock)
    return drive(driver, setting), engine, clock


@pytest.mark.parametrize("library_name", LIBRARIES)
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(("name", "dialect"), CASES)
def test_the_scenario_expects_what_happens(name: str, dialect: str, driver: str, library_name: str) -> None:
    """Every scenario's expectations hold, its faults were consumed, and no bill is understated."""
    result, engine, clock = run(name, dialect, driver, library_name)
    now = clock.now()
    moment = Moment(now.monotonic_s, now.wall_s)
    assert_passed(engine.verdict(moment, result.outcomes), result)
    assert_bill_is_not_understated(result, [(row.billed, row.status) for row in engine.bill(moment).tasks])


@pytest.mark.parametrize(("name", "dialect"), CASES)
def test_all_drivers_leave_the_same_trace(name: str, dialect: str) -> None:
    """Sync, asyncio and trio, on httpx and httpx2, do and say the same at the same times."""
    traces = {
        (driver, library): run(name, dialect, driver, library)[0].trace for driver in DRIVERS for library in LIBRARIES
    }
    first = traces[("sync", "httpx")]
    assert first, "an empty trace proves nothing"
    for which, trace in traces.items():
        assert trace == first, which
