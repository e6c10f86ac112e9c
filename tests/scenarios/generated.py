"""Scenarios that Hypothesis writes, as YAML that the fake's own reader must accept."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from types import ModuleType

import httpx
from hypothesis import strategies as st

from fake_server.engine import Engine
from fake_server.moment import Moment
from fake_server.scenario import Scenario, load_scenario
from resilient_poll.drive.clocks import VirtualClock
from tests.scenarios.client_under_test import Run, Setting, drive
from tests.support.in_process import ORIGIN, answer_from, engine_transport

BASE_PATHS = {"aisa": "/apis/v1", "dashscope": "/api/v1"}
WAITING = ("PENDING", "RUNNING", "UNKNOWN", "RENDERING", "SUSPENDED")
ENDS = ("SUCCEEDED", "FAILED DataInspectionFailed", "FAILED InternalError.Algo", "CANCELED")

lengths = st.one_of(
    st.integers(1, 4).map(lambda polls: f"{polls} polls" if polls > 1 else "1 poll"),
    st.integers(1, 90).map(lambda seconds: f"{seconds}s"),
)
steps = st.builds("{} {}".format, st.sampled_from(WAITING), lengths)
# Some never end: the last step then has no length and lasts.
last_steps = st.sampled_from([*ENDS, *ENDS, "RUNNING", "UNKNOWN", "PENDING"])
lifecycles = st.builds(lambda path, last: " -> ".join([*path, last]), st.lists(steps, max_size=5), last_steps)
tasks = st.builds(
    lambda lifecycle, share: (
        f"  - lifecycle: {lifecycle}\n" + (f"    billed_share: {share}\n" if lifecycle.endswith("CANCELED") else "")
    ),
    lifecycles,
    st.sampled_from(["0", "0.4"]),
)
throttles = st.builds(
    "  - throttle: {{retry_after: {}s, form: {}}}".format, st.integers(0, 20), st.sampled_from(["seconds", "http-date"])
)
passes = st.integers(1, 4).map("  - pass: {}".format)
poll_statuses = st.sampled_from([408, 500, 502, 503, 401, 403]).map("  - status: {}".format)
create_statuses = st.sampled_from(
    ["  - status: 400", "  - status: 500", "  - status: 500\n    when: after_commit", "  - status: 408"]
)


def _section(name: str, entries: list[str]) -> str:
    return f"{name}:\n" + "\n".join(entries) + "\n" if entries else ""


scenario_texts = st.builds(
    lambda task, create, poll, timeout_s: (
        f"version: 1\nsummary: Written by a machine.\nclient: {{timeout: {timeout_s}s, submit_timeout: 60s}}\n"
        f"tasks:\n{task}{_section('create', create)}{_section('poll', poll)}expect: {{outcome: SUCCEEDED}}\n"
    ),
    tasks,
    st.lists(throttles | create_statuses, max_size=2),
    st.lists(throttles | passes | poll_statuses, max_size=5),
    st.integers(2, 400),
)


@functools.lru_cache(maxsize=4096)
def read(text: str) -> Scenario:
    """Return the scenario of a text, by way of a file and the fake's own reader."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generated.yaml"
        path.write_text(text)
        return load_scenario(path)


def run_in_process(
    scenario: Scenario, dialect: str, driver: str, library: ModuleType = httpx
) -> tuple[Run, Engine, Moment]:
    """Run a scenario without a socket.

    Returns:
        What the client did, the fake that it met, and when it was over.
    """
    clock = VirtualClock()
    start = clock.now()
    engine = Engine(scenario, world="w1", seed=0, started=Moment(start.monotonic_s, start.wall_s))

    def make_client(is_async: bool) -> object:
        transport = engine_transport(library, functools.partial(answer_from, engine, clock))
        return library.AsyncClient(transport=transport) if is_async else library.Client(transport=transport)

    setting = Setting(scenario, dialect, "sk-generated", ORIGIN + BASE_PATHS[dialect], make_client, clock)
    result = drive(driver, setting)
    now = clock.now()
    return result, engine, Moment(now.monotonic_s, now.wall_s)
