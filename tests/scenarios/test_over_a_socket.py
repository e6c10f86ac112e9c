"""Every scenario over a real socket, with every driver, library and dialect, and no second really slept.

The fake runs as users run it, on a manual clock; the client's clock moves it through the
admin pages, so a minute of polling takes as long as its requests.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType

import httpx
import httpx2
import pytest

from fake_server.faults.model import Latency, Wire
from fake_server.scenario import Scenario
from resilient_poll.drive.clocks import VirtualClock
from tests.scenarios.client_under_test import DRIVERS, Run, Setting, drive
from tests.scenarios.generated import BASE_PATHS
from tests.scenarios.judging import assert_bill_is_not_understated, assert_passed
from tests.scenarios.test_in_process import run as run_in_process
from tests.support.fake_process import FakeProcess, running_fake
from tests.support.shipped import all_shipped

LIBRARIES: dict[str, ModuleType | None] = {"own": None, "httpx": httpx, "httpx2": httpx2}
"""Our own client, and a caller's of either library."""
SCENARIOS = all_shipped()
PACED = frozenset({"drip", "stall"})
CASES = [(name, dialect) for name, scenario in SCENARIOS.items() for dialect in scenario.dialects]


@dataclass
class Row:
    """A row of a verdict, as the admin pages give it."""

    name: str
    expected: str
    actual: str
    verdict: str
    lines: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProcess]:
    """A fake for all scenarios; each run has a world of its own."""
    with running_fake("--clock", "manual") as process:
        yield process


def pairs(name: str) -> list[tuple[str, str]]:
    """The drivers and libraries that play a scenario here.

    All of them, but where faults need no socket: those were played by all without one, so each has one turn here.
    """
    if SCENARIOS[name].faults and not SCENARIOS[name].needs_socket:
        return list(zip(DRIVERS, LIBRARIES, strict=True))
    return [(driver, library) for driver in DRIVERS for library in LIBRARIES]


def keeps_waiting(scenario: Scenario) -> bool:
    """Whether some answers are held back: somebody must then move the clock while a client waits for them."""
    waits = [fault.effect for fault in scenario.faults]
    return any(
        isinstance(effect, Latency) or (isinstance(effect, Wire) and effect.wire.kind in PACED) for effect in waits
    )


@contextmanager
def going_by_itself(fake: FakeProcess, world: str, scenario: Scenario) -> Iterator[None]:
    """Move the clock of a world on while the block runs, if its scenario needs that."""
    if not keeps_waiting(scenario):
        yield
        return
    over = threading.Event()

    def go_on() -> None:
        with httpx.Client(base_url=fake.admin.base_url, timeout=20) as admin:
            while not over.wait(0.02):
                admin.post(f"worlds/{world}/clock/advance", json={"seconds": 0.5}).raise_for_status()

    ticking = threading.Thread(target=go_on)
    ticking.start()
    try:
        yield
    finally:
        over.set()
        ticking.join()


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
        with going_by_itself(fake, world, SCENARIOS[name]):
            result = drive(driver, setting)
        verdict = fake.page(f"worlds/{world}/verdict", outcome=result.outcomes)
        bill = fake.page(f"worlds/{world}/bill")
        # A rule for everyone that a scenario put nobody to the test of is no expectation of it, and leaves a PASS.
        rows = [
            Row(**row)
            for row in verdict["expectations"]
            if verdict["verdict"] != "PASS" or row["verdict"] != "NOT_EXERCISED"
        ]
        runs[which] = (result, rows, bill["billed_tasks"])
    return runs[which]


@pytest.mark.thorough(plain=53)
@pytest.mark.parametrize(
    ("name", "dialect", "driver", "library"),
    [(*case, *pair) for case in CASES for pair in pairs(case[0])],
)
def test_the_scenario_expects_what_happens(
    fake: FakeProcess, runs: Runs, name: str, dialect: str, driver: str, library: str
) -> None:
    """Over a socket every scenario's expectations hold and its faults were consumed, the wire's included."""
    result, rows, billed = run(fake, runs, name, dialect, driver, library)
    assert_passed(rows, result)
    assert_bill_is_not_understated(result, billed, SCENARIOS[name])


@pytest.mark.thorough(plain=16)
@pytest.mark.parametrize(("name", "dialect"), CASES)
def test_all_drivers_leave_the_same_trace(fake: FakeProcess, runs: Runs, name: str, dialect: str) -> None:
    """Over a socket, sync, asyncio and trio on both libraries leave one trace: that of the run without a socket."""
    is_waiting = keeps_waiting(SCENARIOS[name])
    without = _without_ages if is_waiting else _without_details
    traces = {
        (driver, library): without(run(fake, runs, name, dialect, driver, library)[0].trace)
        for driver, library in pairs(name)
    }
    first = traces["sync", "own"]
    if not SCENARIOS[name].needs_socket and not is_waiting:
        first = without(run_in_process(name, dialect, "sync", "httpx")[0].trace)
    assert first, "an empty trace proves nothing"
    for which, trace in traces.items():
        assert trace == first, which


def _without_details(trace: list[str]) -> list[str]:
    """Leave out how an operating system or library words a broken connection, which stays of its kind, and where the
    fake is."""
    lines = [re.sub(r"(Error) \((?!given up)[^)]*\)", r"\1", line) for line in trace]
    lines = [re.sub(r"Retry-After '[^']*'", "Retry-After …", line) for line in lines]  # there may be a date in it
    return [re.sub(r"http://(fake\.test|127\.0\.0\.1:\d+)/", "http://HERE/", line) for line in lines]


def _without_ages(trace: list[str]) -> list[str]:
    """Leave out how long ago by the fake's clock a task had ended: that clock went on by itself."""
    return [re.sub(r"delay_s=[^,]*, is_exact=\w+", "delay_s=…", line) for line in _without_details(trace)]
