"""What a test does to one world, and asks of it: the same on a socket and without one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fake_server.check.judging import sum_up
from fake_server.faults.model import Fault
from fake_server.operating import Operator, TaskRow, Transition, task_rows, transitions
from fake_server.scenario import (
    Scenario,
    find_scenarios,
    load_scenario,
    load_scenario_text,
    merged,
    read_fault,
    shipped_scenarios,
)
from fake_server.scenario.yaml_nodes import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fake_server.engine import Engine
    from fake_server.moment import Moment
    from fake_server.rules.billing import Bill
    from fake_server.rules.expectations import Judgement
    from fake_server.rules.expectations import Verdict as Word
    from fake_server.rules.journal import Entry
    from fake_server.wire.bodies import Dialect

Result = TypeVar("Result")
# A scenario's name; a file; its text; or what a YAML or JSON parser makes of that.
Source = str | Path | Mapping[str, Any] | Scenario

BASE_PATHS: dict[Dialect, str] = {"dashscope": "/api/v1", "aisa": "/apis/v1"}
MOST_TOLD = 1_000
# What a scenario without a name is called. One name for all: a server takes a bounded number of names.
_UNNAMED = "own"


@dataclass(frozen=True, slots=True, repr=False)
class Verdict:
    """What the fake says of a client.

    Args:
        verdict: `PASS`, `FAIL`, `INCOMPLETE` where tasks that are not over could still change it, or `NOT_EXERCISED`
            where a scripted fault never struck, or nothing was created.
        rows: Each expectation, judged: those of the scenario, then the rules for everyone.
    """

    verdict: Word
    rows: tuple[Judgement, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed and everything scripted happened."""
        return self.verdict == "PASS"

    def of(self, name: str) -> Word:
        """The verdict of one expectation, such as `create_once`.

        Raises:
            KeyError: There is none of this name.
        """
        return {row.name: row.verdict for row in self.rows}[name]

    def __str__(self) -> str:
        """The verdict, and a line for each expectation that failed, or that proves nothing although it should."""
        wrong = [row for row in self.rows if sum_up([row]) != "PASS"]
        lines = [f"{row.verdict} {row.name}: {row.actual}; expected {row.expected}{_proof(row)}" for row in wrong]
        if self.verdict == "NOT_EXERCISED" and not lines:
            lines = ["nothing was created in this world"]
        return "\n".join([self.verdict, *lines])

    # A test's `assert fake.verdict("SUCCEEDED").passed` shows this when it fails.
    __repr__ = __str__


def _proof(row: Judgement) -> str:
    return f" (lines {', '.join(map(str, row.lines))} of the journal)" if row.lines else ""


def scenario_of(source: Source, folder: Path | None = None) -> Scenario:
    """A scenario, however it is given.

    Args:
        source: Its name, its file, its text (of several lines), what a parser made of that, or itself.
        folder: Where own scenarios lie, beside the shipped ones.

    Raises:
        LookupError: There is none of this name.
        ScenarioErrors: It is broken.
    """
    if isinstance(source, Scenario):
        return source
    if isinstance(source, Path):
        return load_scenario(source)
    if isinstance(source, str) and "\n" not in source:
        files = scenario_files(folder)
        if source not in files:
            raise LookupError(f"there is no scenario {source!r}{did_you_mean(source, files)}")
        return load_scenario(files[source])
    raw = source if isinstance(source, str) else json.dumps(source, ensure_ascii=False)
    return load_scenario_text(_UNNAMED, raw.encode("utf-8", "replace"))


def scenario_files(folder: Path | None) -> dict[str, Path]:
    """The files of the shipped scenarios and those of a folder, by name.

    Raises:
        ScenarioErrors: Two files of the folder have one name, or one lies outside of it.
    """
    return merged(shipped_scenarios(), find_scenarios(folder) if folder else {})


def fault_of(fault: str | Mapping[str, Any] | Fault, keys: Mapping[str, Any]) -> Fault:
    """A fault, however it is given.

    Args:
        fault: Its name, an entry as it stands under `faults:`, or itself.
        keys: Further keys of the entry; those that Python reserves with an underscore behind (`for_`).

    Raises:
        FaultErrors: It is none.
    """
    if isinstance(fault, Fault):
        return fault
    entry = {"fault": fault} if isinstance(fault, str) else dict(fault)
    return read_fault({**entry, **{key.rstrip("_"): value for key, value in keys.items()}})


class Hand:
    """A test's hand on one world. Times are seconds since the world began.

    Attributes:
        name: The world's name.
        key: The API key that leads to it.
        origin: Where the fake is, such as `http://127.0.0.1:43211`.
    """

    name: str
    key: str
    origin: str

    def base_url(self, dialect: Dialect = "dashscope") -> str:
        """The base URL for a client of a dialect, `dashscope` or `aisa`."""
        return self.origin + BASE_PATHS[dialect]

    def environment(self) -> dict[str, str]:
        """The variables by which clients find the fake, for both dialects; for a process, or `monkeypatch.setenv`."""
        return {
            "DASHSCOPE_API_KEY": self.key,
            "DASHSCOPE_BASE_URL": self.base_url(),
            "DASHSCOPE_HTTP_BASE_URL": self.base_url(),
            "AISA_API_KEY": self.key,
            "AISA_BASE_URL": self.base_url("aisa"),
        }

    def __repr__(self) -> str:
        """Where it is; no key."""
        return f"<{type(self).__name__} {self.name} at {self.origin}>"

    @property
    def scenario(self) -> Scenario:
        """What is played."""
        return self._do(lambda engine, _: engine.scenario)

    @property
    def now_s(self) -> float:
        """Seconds since this world began."""
        return self._do(lambda engine, now: now.monotonic_s - engine.started.monotonic_s)

    @property
    def journal(self) -> tuple[Entry, ...]:
        """What was asked and answered, a line each; the latest thousand."""
        return self._do(lambda engine, _: engine.journal.entries)

    @property
    def bill(self) -> Bill:
        """The true bill, whatever a client was told."""
        return self._do(lambda engine, now: engine.bill(now))

    @property
    def tasks(self) -> list[TaskRow]:
        """The tasks as they truly are, in order of creation; the latest thousand."""
        return self._do(lambda engine, now: task_rows(engine, now, MOST_TOLD)[0])

    def verdict(self, outcome: str | Sequence[str] = ()) -> Verdict:
        """Judge the client by the scenario's expectations and by the rules for everyone.

        Args:
            outcome: What it reports, one word (`SUCCEEDED`, `IN_DOUBT` …) or one for each task; nothing if it reports
                nothing.
        """
        outcomes = (outcome,) if isinstance(outcome, str) else tuple(outcome)

        def judge(engine: Engine, now: Moment) -> Verdict:
            gave_up = "STILL_GOING" in outcomes
            rows = (*engine.verdict(now, outcomes), *engine.conduct.judge(gave_up=gave_up))
            return Verdict(sum_up(rows, created=engine.journal.counters["create_requests"] > 0), rows)

        return self._do(judge)

    def advance(self, seconds: float) -> list[Transition]:
        """Let time pass on the manual clock.

        Args:
            seconds: How much.

        Returns:
            What became of the tasks meanwhile, in order of time.

        Raises:
            ValueError: The seconds are negative or more than ten years, or this clock is the machine's.
        """
        before_s = self._do(lambda _, now: now.monotonic_s)
        self._advance(seconds)
        return self._do(lambda engine, now: transitions(engine, before_s, now, MOST_TOLD)[0])

    def arm(self, fault: str | Mapping[str, Any] | Fault, **keys: Any) -> str:
        """Let a fault strike from now on, as in `arm("status", status=503, on="query", first=2)`.

        Args:
            fault: Its name, an entry as it stands under a scenario's `faults:`, or itself.
            **keys: Further keys of the entry; `for_` stands for `for`.

        Returns:
            Its name, for :meth:`disarm`.

        Raises:
            FaultErrors: It is no fault.
            ValueError: Too many are armed.
        """
        read = fault_of(fault, keys)
        self._check_fault(read)
        return self._do(lambda engine, _: engine.arm(read))

    def disarm(self, name: str) -> bool:
        """Let a fault strike no more; whether there was one of this name."""
        return self._do(lambda engine, _: engine.disarm(name))

    def move(self, task_id: str, status: str, code: str | None = None, message: str | None = None) -> None:
        """Bring a task to a status now, with a failure's code and sentence for FAILED.

        Raises:
            NotPossibleError: There is no such task, or it has ended.
        """
        self._do(lambda engine, now: Operator(engine, now).move(task_id, status, code, message))

    def expire(self, task_id: str) -> None:
        """Let the service forget a task.

        Raises:
            NotPossibleError: There is no such task.
        """
        self._do(lambda engine, now: Operator(engine, now).expire(task_id))

    def _do(self, function: Callable[[Engine, Moment], Result]) -> Result:
        """Call a function with the world's engine and the present, while nothing else touches either."""
        raise NotImplementedError  # each world says how: over a socket, or without one

    def _advance(self, seconds: float) -> None:
        raise NotImplementedError  # each world says how: over a socket, or without one

    def _check_fault(self, fault: Fault) -> None:
        """Refuse a fault that cannot be shown here."""
