"""Every scenario over a real socket, with every driver, library and dialect, and no second really slept.

The fake runs as users run it, on a manual clock; the client's clock moves it through the
admin pages, so a minute of polling takes as long as its requests.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import httpx
import httpx2
import pytest

from fake_server.scenario import load_scenario, shipped_scenarios
from resilient_poll.drive.clocks import VirtualClock
from tests.scenarios.client_under_test import DRIVERS, Run, Setting, drive
from tests.scenarios.generated import BASE_PATHS
from tests.scenarios.judging import assert_bill_is_not_understated, assert_passed
from tests.scenarios.test_in_process import run as run_in_process
from tests.support.fake_process import FakeProcess, running_fake

LIBRARIES: dict[str, ModuleType | None] = {"own": None, "httpx": httpx, "httpx2": httpx2}
"""Our own client, and a caller's of either library."""
SCENARIOS = {name: load_scenario(path) for name, path in shipped_scenarios().items()}
CASES = [(name, dialect) for name, scenario in SCENARIOS.items() for dialect in scenario.dialects]


@dataclass
class Row:
    """A row of a verdict, as the admin pages give it."""

    name: str
    expected: str
    actual: str
    verdict: str


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProcess]:
    """A fake for all scenarios; each run has a world of its own."""
    with running_fake("--clock", "manual") as process:
        yield process


Runs = dict[tuple[str, str, str, str], tuple[Run, list[Row], int]]


@pytest.fixture(scope="module")
def runs(fake: FakeProcess) -> Runs:
    """What was run already: a trace is compared with runs that other tests made."""
    del fake  # it must outlive the runs
    return {}


def run(
    fake: FakeProcess, runs: Runs, name: str, dialect: str, driver: str, library: str
) -> tuple[Run, list[Row], int]:
    which = (name, dialect, driver, library)
    if which not in runs:
        key = f"sk-{name}.{dialect}-{driver}-{library}"
        world = fake.open_world(key)
        clock = VirtualClock(on_sleep=functools.partial(fake.advance, world))

        def make_client(is_async: bool) -> object:
            module = LIBRARIES[library]
            if module is None:
                return None
            # Nothing here speaks TLS, and loading the certificates takes longer than a run.
            return module.AsyncClient(verify=False) if is_async else module.Client(verify=False)

        setting = Setting(SCENARIOS[name], dialect, key, fake.url + BASE_PATHS[dialect], make_client, clock)
        result = drive(driver, setting)
        verdict = fake.page(f"worlds/{world}/verdict", outcome=result.outcomes)
        bill = fake.page(f"worlds/{world}/bill")
        runs[which] = (result, [Row(**row) for row in verdict["expectations"]], bill["billed_tasks"])
    return runs[which]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(("name", "dialect"), CASES)
def test_the_scenario_expects_what_happens(
    fake: FakeProcess, runs: Runs, name: str, dialect: str, driver: str, library: str
) -> None:
    """Over a socket every scenario's expectations hold and its faults were consumed, the wire's included."""
    result, rows, billed = run(fake, runs, name, dialect, driver, library)
    assert_passed(rows, result)
    assert_bill_is_not_understated(result, billed)


@pytest.mark.parametrize(("name", "dialect"), CASES)
def test_all_drivers_leave_the_same_trace(fake: FakeProcess, runs: Runs, name: str, dialect: str) -> None:
    """Over a socket, sync, asyncio and trio on both libraries leave one trace: that of the run without a socket."""
    traces = {
        (driver, library): _without_details(run(fake, runs, name, dialect, driver, library)[0].trace)
        for driver in DRIVERS
        for library in LIBRARIES
    }
    first = traces["sync", "own"]
    if not SCENARIOS[name].needs_socket:
        first = _without_details(run_in_process(name, dialect, "sync", "httpx")[0].trace)
    assert first, "an empty trace proves nothing"
    for which, trace in traces.items():
        assert trace == first, which


def _without_details(trace: list[str]) -> list[str]:
    """Leave out how an operating system or library words a broken connection; its kind stays."""
    return [re.sub(r"(Error) \((?!given up)[^)]*\)", r"\1", line) for line in trace]
