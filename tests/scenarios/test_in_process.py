"""Every scenario, without a socket, with every driver, library and dialect."""

from __future__ import annotations

import functools
from types import ModuleType

import httpx
import httpx2
import pytest

from fake_server.engine import Engine
from fake_server.moment import Moment
from tests.scenarios.client_under_test import DRIVERS, Run
from tests.scenarios.generated import run_in_process
from tests.scenarios.judging import assert_bill_is_not_understated, assert_passed
from tests.support.shipped import all_shipped

LIBRARIES: dict[str, ModuleType] = {"httpx": httpx, "httpx2": httpx2}
SCENARIOS = all_shipped()
# A dropped connection is a fact of the wire; tests/scenarios/test_over_a_socket.py has those.
CASES = [
    (name, dialect)
    for name, scenario in SCENARIOS.items()
    if not scenario.needs_socket
    for dialect in scenario.dialects
]


@functools.cache
def run(name: str, dialect: str, driver: str, library_name: str) -> tuple[Run, Engine, Moment]:
    return run_in_process(SCENARIOS[name], dialect, driver, LIBRARIES[library_name])


@pytest.mark.thorough(plain=270)
@pytest.mark.parametrize("library_name", LIBRARIES)
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(("name", "dialect"), CASES)
def test_the_scenario_expects_what_happens(name: str, dialect: str, driver: str, library_name: str) -> None:
    """Every scenario's expectations hold, its faults were consumed, and no bill is understated."""
    result, engine, now = run(name, dialect, driver, library_name)
    assert_passed(engine.verdict(now, result.outcomes), result)
    assert_bill_is_not_understated(result, engine.bill(now).billed_tasks, SCENARIOS[name])


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
