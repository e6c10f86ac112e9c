"""Which scenarios are run, in which dialect, and what a command is told of each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fake_server.wire.endpoints import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fake_server.scenario.model import Scenario
    from fake_server.wire.bodies import Dialect

# In this order where a scenario is run in one dialect only: a fake of DashScope is asked for DashScope first.
PREFERENCE: tuple[Dialect, ...] = ("dashscope", "aisa")
BASE_PATHS: dict[Dialect, str] = {"dashscope": "/api/v1", "aisa": "/apis/v1"}
# What the environment of a command holds; `docs/driver.md` is made from it.
VARIABLES: Final[dict[str, str]] = {
    "DASHSCOPE_BASE_URL": "where the fake is, for the dialect `dashscope`: what `dashscope.Client` 2.x reads",
    "DASHSCOPE_HTTP_BASE_URL": "the same: what the older classes of `dashscope` read",
    "DASHSCOPE_API_KEY": "the API key; it picks the scenario and a world of its own",
    "AISA_BASE_URL": "where the fake is, for the dialect `aisa`",
    "AISA_API_KEY": "the same API key",
    "FAKE_DASHSCOPE_SCENARIO": "the scenario's name",
    "FAKE_DASHSCOPE_DIALECT": "`dashscope` or `aisa`: how to speak in this run",
    "FAKE_DASHSCOPE_TASK": "what to do, as JSON",
    "FAKE_DASHSCOPE_DEADLINE_S": "how long to wait for a task after it was accepted, in seconds",
    "FAKE_DASHSCOPE_OUTPUT": "the file to save the result in",
}
TASK_KEYS: Final[dict[str, str]] = {
    "tasks": "how many tasks to create; 1 in most scenarios",
    "endpoint": "what kind of thing to make, by the names of scenarios/README.md; `video` in most",
    "path": "the endpoint's path below the base URL",
    "model": "the `model` of the create",
    "prompt": "`input.prompt`, or null where the input has none",
    "input": "the whole `input` of the create",
    "parameters": "its `parameters`",
    "cancel": "at which status to cancel the task, or null",
    "download": "whether to save what was made",
    "submit_timeout_s": "how long to try to submit each, in seconds",
}


@dataclass(frozen=True, slots=True)
class Planned:
    """One run.

    Args:
        scenario: What is played.
        dialect: In which dialect.
        left_out: Why it is not run, or None.
    """

    scenario: Scenario
    dialect: Dialect
    left_out: str | None = None

    @property
    def title(self) -> str:
        """What reports call it."""
        return f"{self.scenario.name} ({self.dialect})"


def plan_runs(scenarios: Iterable[Scenario], dialects: str, longest_s: float | None) -> list[Planned]:
    """Plan the runs.

    Args:
        scenarios: What was chosen.
        dialects: `dashscope`, `aisa`, `both`, or `any`: the first that a scenario has.
        longest_s: Scenarios that take a good client longer, in its own seconds, are left out; None for no limit.
    """
    return [
        _planned(scenario, dialect, longest_s) for scenario in scenarios for dialect in _dialects_of(scenario, dialects)
    ]


def _dialects_of(scenario: Scenario, wanted: str) -> list[Dialect]:
    offered: list[Dialect] = [dialect for dialect in PREFERENCE if dialect in scenario.dialects]
    if wanted == "both":
        return offered
    if wanted == "any":
        return offered[:1]
    return [dialect for dialect in PREFERENCE if dialect == wanted]


def _planned(scenario: Scenario, dialect: Dialect, longest_s: float | None) -> Planned:
    if dialect not in scenario.dialects:
        return Planned(scenario, dialect, f"is about {', '.join(scenario.dialects)} only")
    if longest_s is not None and scenario.takes_s > longest_s:
        text = f"takes a good client {scenario.takes_s:g} s of its own time; --longest {scenario.takes_s:g} includes it"
        return Planned(scenario, dialect, text)
    return Planned(scenario, dialect)


def environment(planned: Planned, url: str, key: str, deadline_s: float, output: str) -> Mapping[str, str]:
    """The variables that tell a command where the fake is and what to do; `docs/driver.md` is their page.

    Args:
        planned: The run.
        url: Where the fake is.
        key: The API key, which picks the run's world.
        deadline_s: After how many seconds from the acceptance of its task a client gives up.
        output: Where it saves what it made.
    """
    brief = planned.scenario.client
    task = {
        "tasks": brief.tasks,
        "endpoint": brief.endpoint,
        "path": BY_NAME[brief.endpoint].path,
        "model": brief.model,
        "prompt": brief.input.get("prompt"),
        "input": dict(brief.input),
        "parameters": dict(brief.parameters),
        "cancel": brief.cancel,
        "download": brief.download,
        "submit_timeout_s": brief.submit_timeout_s,
    }
    dashscope, aisa = (url + BASE_PATHS[dialect] for dialect in PREFERENCE)
    return {
        "DASHSCOPE_API_KEY": key,
        "DASHSCOPE_BASE_URL": dashscope,
        "DASHSCOPE_HTTP_BASE_URL": dashscope,
        "AISA_API_KEY": key,
        "AISA_BASE_URL": aisa,
        "FAKE_DASHSCOPE_SCENARIO": planned.scenario.name,
        "FAKE_DASHSCOPE_DIALECT": planned.dialect,
        "FAKE_DASHSCOPE_TASK": json.dumps(task),
        "FAKE_DASHSCOPE_DEADLINE_S": f"{deadline_s:g}",
        "FAKE_DASHSCOPE_OUTPUT": output,
        # A proxy would stand between a client and its faults.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
