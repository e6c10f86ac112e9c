"""Runs tests of a copy in a fork of this process, which has loaded what is big and not ours.

A start of pytest with all that tests import costs a second or two, and most of it is the libraries' own. What is ours
(the packages and their tests) is loaded anew in each fork, from the copy, and that is looked at afterwards.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Outcome", "Ran", "Report", "load_libraries", "run_all"]

LONGEST_RUN_S = 600
"""A planted bug may make a test hang, which is no way to be caught: the run is killed by then, and told."""
_OURS = ("resilient_poll", "fake_server", "tests", "benchmarks", "examples")
_LIBRARIES = (
    *(
        "pytest",
        "_pytest.assertion.rewrite",
        "hypothesis",
        "hypothesis.stateful",
        "xdist.plugin",
        "anyio.pytest_plugin",
    ),
    *("httpx", "httpx2", "anyio", "anyio._backends._asyncio", "trio.testing", "starlette.applications", "uvicorn"),
    *(
        "click",
        "rich.console",
        "rich.table",
        "ruamel.yaml",
        "psycopg",
        "jmespath",
        "sqlite3",
        "asyncio",
        "unittest.mock",
    ),
    *("urllib.request", "email.utils", "decimal", "ssl", "multiprocessing"),
)


class Report(NamedTuple):
    """What became of one stage of one test.

    Attributes:
        node: The test.
        stage: ``collect``, ``setup``, ``call`` or ``teardown``.
        outcome: ``passed``, ``failed`` or ``skipped``.
        error: The names of the error's class and its bases, a group's members included; empty if there was none.
        said: The first line of the error.
    """

    node: str
    stage: str
    outcome: str
    error: tuple[str, ...]
    said: str


@dataclass(frozen=True, slots=True)
class Ran:
    """What to run.

    Attributes:
        name: What it is called.
        copy: The folder of the copy.
        nodes: The tests.
    """

    name: str
    copy: Path
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run.

    Attributes:
        reports: Of each stage of each test.
        elsewhere: Modules of ours that did not come from the copy.
        trouble: Why there is less than that: it was killed, or broke before it began.
        cpu_s: Seconds of processor time, processes that it started included.
        printed: The end of what it printed.
    """

    reports: tuple[Report, ...]
    elsewhere: tuple[str, ...]
    trouble: str | None
    cpu_s: float
    printed: str


def load_libraries() -> None:
    """Load what is big and not ours; what is not installed is left out."""
    for name in _LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError:
            continue


def run_all(runs: Sequence[Ran], *, at_once: int, folder: Path) -> Iterator[tuple[Ran, Outcome]]:
    """Run tests of copies, and yield what became of them as it becomes known.

    Args:
        runs: What to run.
        at_once: How many at the same time.
        folder: Where what they print goes.
    """
    waiting, out = list(reversed(runs)), dict[int, Ran]()
    try:
        while waiting or out:
            while waiting and len(out) < at_once:
                run = waiting.pop()
                out[_start(run, folder)] = run
            pid, status, used = os.wait4(-1, 0)
            run = out.pop(pid)
            _end_group(pid)
            yield run, _outcome(run, status, used.ru_utime + used.ru_stime, folder)
    finally:
        for pid in out:
            _end_group(pid)
            os.waitpid(pid, 0)


def _end_group(pid: int) -> None:
    """End what a run left behind."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _start(run: Ran, folder: Path) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setpgid(0, 0)
        signal.alarm(LONGEST_RUN_S)
        printed = os.open(folder / f"{run.name}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        said = _in_the_fork(run)
        (folder / f"{run.name}.json").write_text(json.dumps(said), encoding="utf-8")
        code = 0
    except BaseException:  # noqa: BLE001  # it is printed, and the fork must never go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _in_the_fork(run: Ran) -> Mapping[str, Any]:
    root = Path(__file__).resolve().parents[2]
    os.chdir(run.copy)
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    elsewhere = {"", ".", str(root), str(Path.cwd())}
    sys.path[:] = [str(run.copy), *(place for place in sys.path if place not in elsewhere)]
    importlib.invalidate_caches()
    # What tests start finds the copy before the package that is installed for development.
    os.environ["PYTHONPATH"] = str(run.copy)
    # As deep as `make test` tries properties, with the same values, whatever else runs deeper at the time.
    for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "HYPOTHESIS_PROFILE", "PROPERTY_EXAMPLES"):
        os.environ.pop(name, None)
    import pytest  # noqa: PLC0415  # it is loaded already

    watcher = _Watcher()
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(run.copy)]
    # The libraries' own plugins are loaded already, and hold no assertions to be explained.
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    pytest.main([*options, *run.nodes], plugins=[watcher])
    ours = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in _OURS]
    files = {str(module.__file__) for module in ours if getattr(module, "__file__", None)}
    inside = f"{run.copy}{os.sep}"
    strangers = sorted(file for file in files if not file.startswith(inside))
    return {"reports": watcher.reports, "elsewhere": strangers}


def _outcome(run: Ran, status: int, cpu_s: float, folder: Path) -> Outcome:
    text = (folder / f"{run.name}.txt").read_text(encoding="utf-8", errors="replace")
    printed = text[-4000:]
    if os.WIFSIGNALED(status):
        what = f"it was ended by signal {os.WTERMSIG(status)} (14: after {LONGEST_RUN_S} s)"
        return Outcome((), (), what, cpu_s, printed)
    if os.WEXITSTATUS(status) != 0:
        return Outcome((), (), f"it broke with exit code {os.WEXITSTATUS(status)}", cpu_s, printed)
    said = json.loads((folder / f"{run.name}.json").read_text(encoding="utf-8"))
    reports = tuple(
        Report(node, stage, outcome, tuple(error), line) for node, stage, outcome, error, line in said["reports"]
    )
    return Outcome(reports, tuple(said["elsewhere"]), None, cpu_s, printed)


class _Watcher:
    """Notes what becomes of tests, and lets Hypothesis stop at the first example: nobody reads the smallest."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, str, str, list[str], str]] = []
        self._errors: dict[str, BaseException] = {}

    def pytest_collection(self) -> None:
        """After the conftest, and before any test module is imported."""
        from hypothesis import Phase, settings  # noqa: PLC0415  # see above

        phases = [phase for phase in settings().phases if phase not in {Phase.shrink, Phase.explain, Phase.reuse}]
        settings.register_profile("planted", settings(), phases=phases, deadline=None, database=None, print_blob=False)
        settings.load_profile("planted")

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        """Note what was raised; the report is made by pytest itself."""
        if call.excinfo is not None:
            self._errors[f"{item.nodeid} {call.when}"] = call.excinfo.value

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note a stage."""
        self._note(report.nodeid, report.when, report.outcome)

    def pytest_collectreport(self, report: Any) -> None:
        """Note what could not be collected."""
        if report.outcome != "passed":
            said = " ".join(report.longreprtext.split())[-200:]
            self.reports.append((report.nodeid, "collect", report.outcome, [], said))

    def _note(self, node: str, stage: str, outcome: str) -> None:
        error = self._errors.pop(f"{node} {stage}", None)
        said = "" if error is None else " ".join(str(error).split())[:200]
        self.reports.append((node, stage, outcome, [] if error is None else _kinds(error), said))


def _kinds(error: BaseException) -> list[str]:
    if isinstance(error, BaseExceptionGroup):
        return sorted({kind for inner in error.exceptions for kind in _kinds(inner)})
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__]
