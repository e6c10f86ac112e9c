"""Judges mutants in forks of a process that has imported and collected everything already.

A mutant of a function is put in place by giving the function its changed code; one of a table, or of a function that
runs at import, by importing the changed module in a process that has imported nothing of ours yet.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import resource
import signal
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import coverage
import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.plan import Plan
from tests.mutants.rebinding import can_be_rebound, keepers, rebind

EXAMPLES = int(os.environ.get("MUTANTS_EXAMPLES", "20"))
"""How many values a property is tried with; mutants are many, and most fall to the first few."""
SLOWEST_S = 0.5
"""A test that takes longer judges no mutants."""
PATIENCE = 8
"""A test that takes so many times as long as on the unchanged code, and :data:`PATIENCE_S` more, has noticed."""
PATIENCE_S = 1.5
MEMORY_BYTES = 4 << 30
OPTIONS = [
    *("-q", "-x", "-s", "--tb=no", "--no-header", "--no-summary", "-p", "no:cacheprovider", "-p", "no:xdist"),
    # Each of the two collects garbage at the end of every process.
    *("-p", "no:unraisableexception", "-p", "no:threadexception"),
    *("-p", "no:faulthandler", "-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"),
]
CONTROL_S = 2.0
"""How many seconds of tests an unchanged module is worth."""
KILLED, SURVIVED, UNTESTED, TIMED_OUT = "killed", "survived", "untested", "timed out"


def quick_profile() -> None:
    """Make properties try few values, always the same, and not look for the smallest."""
    settings.register_profile(
        "mutants",
        database=None,
        deadline=None,
        derandomize=True,
        max_examples=EXAMPLES,
        phases=[Phase.explicit, Phase.generate],
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("mutants")


class Judge:
    """A pytest plugin that runs given tests and tells the first that fails."""

    def __init__(self, tests: Sequence[str] | None = None) -> None:
        self.failed = ""
        self._order = None if tests is None else {test: at for at, test in enumerate(tests)}

    def pytest_sessionstart(self) -> None:
        quick_profile()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._order is not None:
            order = self._order
            items[:] = sorted((item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.failed:
            self.failed = f"import of {report.nodeid}"


def run_items(items: Sequence[pytest.Item], judge: Judge, seconds: dict[str, float] | None = None) -> None:
    """Run collected tests until one fails."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        if seconds is not None:
            limit(seconds[item.nodeid])
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if judge.failed:
            return


def limit(test_s: float) -> None:
    """End this process if a test takes much longer than it should: in processor time, or altogether."""
    patience_s = PATIENCE_S + PATIENCE * test_s
    signal.setitimer(signal.ITIMER_PROF, patience_s)
    signal.setitimer(signal.ITIMER_REAL, 6 * patience_s)


def in_a_fork(work: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """Do something in a fork of this process, and return what it returned; None if it was ended."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        for number in (signal.SIGPROF, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        gc.disable()  # It does not live long.
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        try:
            told = work()
        except BaseException as error:  # noqa: BLE001  # whatever the mutant made of it
            told = {"failed": f"{type(error).__name__}: {error}"[:200]}
        with contextlib.suppress(BaseException), os.fdopen(write, "w") as stream_out:
            stream_out.write(json.dumps(told))
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream_in:
        text = stream_in.read()
    os.waitpid(pid, 0)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    return json.loads(text) if text else None


def verdict(told: dict[str, Any] | None) -> tuple[str, str]:
    """Return how a mutant fared, and by which test."""
    if told is None:
        return TIMED_OUT, ""
    return (KILLED, told["failed"]) if told["failed"] else (SURVIVED, "")


def needs_new_process(mutant: Mutant) -> bool:
    """Return whether a mutant has to be there before anything of ours is imported."""
    return bool(mutant.names) and not can_be_rebound(mutant)


def may_have_run(mutant: Mutant, plan: Plan) -> bool:
    """Return whether a function had run, unchanged, before a mutant was put in place: surviving proves nothing."""
    return not mutant.names and (mutant.path, mutant.function) in plan.at_import


class Warm:
    """A pytest plugin that, instead of running the tests, judges mutants by them.

    Args:
        mutants: What to judge.
        plan: Filled here.
        tell: Called with each mutant, how it fared, by which test, and in how many seconds.
        budget_s: How many seconds of tests a mutant is worth.
        ends_s: When to start no more, by the monotonic clock.
        plan_file: Where to leave the plan.
    """

    def __init__(
        self,
        mutants: Sequence[Mutant],
        plan: Plan,
        tell: Callable[[Mutant, str, str, float], None],
        budget_s: float,
        ends_s: float,
        plan_file: Path,
    ) -> None:
        self._mutants, self._plan, self._tell, self._budget_s = mutants, plan, tell, budget_s
        self._ends_s, self._plan_file = ends_s, plan_file
        self._called: set[types.CodeType] = set()

    def pytest_sessionstart(self) -> None:
        """Note from here which functions run while the tests are imported and collected."""
        sys.setprofile(self._note)

    def _note(self, frame: types.FrameType, event: str, _: object) -> None:
        if event == "call":
            self._called.add(frame.f_code)

    def _stop(self) -> None:
        sys.setprofile(None)
        root = f"{ROOT}{os.sep}"
        self._plan.at_import = {
            (code.co_filename.removeprefix(root), code.co_qualname.split(".<locals>")[0])
            for code in self._called
            if code.co_filename.startswith(root) and code.co_flags & 0x1  # CO_OPTIMIZED: a function
        }
        self._called.clear()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        judge = next(plugin for plugin in session.config.pluginmanager.get_plugins() if isinstance(plugin, Judge))
        self._stop()
        items = {item.nodeid: item for item in session.items}
        if not self._plan.seconds:
            measure(session.items, judge, self._plan)
        self._plan.save(self._plan_file)
        functions = index_functions()
        gc.collect()
        gc.freeze()
        for path in sorted({mutant.path for mutant in self._mutants}):
            self._control(path, items, judge, functions)
        for mutant in self._mutants:
            if needs_new_process(mutant):
                continue
            started_s = time.monotonic()
            if started_s > self._ends_s:
                break
            tests, is_settled = self._tests(mutant)
            if not tests:
                if is_settled:
                    self._tell(mutant, UNTESTED, "", 0.0)
                continue
            told = in_a_fork(lambda: self._judge(mutant, [items[test] for test in tests], judge, functions))  # noqa: B023  # done at once
            outcome, by = verdict(told)
            if by:
                self._plan.killed(mutant, by)
            elif outcome == SURVIVED and not is_settled:
                continue
            self._tell(mutant, outcome, by, time.monotonic() - started_s)
        return True

    def _control(
        self, path: str, items: dict[str, pytest.Item], judge: Judge, functions: dict[Any, list[types.FunctionType]]
    ) -> None:
        """Judge a module that is as it was: what "notices" that judges no mutants."""
        unchanged = control_of(path)
        while tests := self._plan.tests_for(unchanged, CONTROL_S):
            told = in_a_fork(
                lambda: self._judge(unchanged, [items[test] for test in tests], judge, functions)
            )  # done at once
            outcome, by = verdict(told)
            if outcome == SURVIVED:
                return
            sys.stdout.write(f"{path} is as it was, and {by or 'some test'} notices something: {outcome}\n")
            if by not in self._plan.seconds:
                return
            self._plan.forget(by)

    def _tests(self, mutant: Mutant) -> tuple[list[str], bool]:
        """Return the tests that can judge a mutant here, and whether one that survives them has survived."""
        tests = self._plan.tests_for(mutant, self._budget_s)
        kept = keepers(mutant, {test.split("::")[0] for test in tests})
        here = [test for test in tests if test.split("::")[0] not in kept]
        return here, not kept and not may_have_run(mutant, self._plan)

    def _judge(
        self, mutant: Mutant, items: Sequence[pytest.Item], judge: Judge, functions: dict[Any, list[types.FunctionType]]
    ) -> dict[str, Any]:
        if mutant.names:
            rebind(mutant)
        else:
            put_in_place(mutant, functions)
        run_items(items, judge, self._plan.seconds)
        return {"failed": judge.failed}


def measure(found: Sequence[pytest.Item], judge: Judge, plan: Plan) -> None:
    """Run the tests on the unchanged code, for their times and for what each of them runs."""
    items = {item.nodeid: item for item in found}

    def times() -> dict[str, Any]:
        taken, bad = {}, []
        for item in found:
            started_s = time.process_time()
            run_items([item], judge)
            taken[item.nodeid] = time.process_time() - started_s
            if judge.failed:
                bad.append(judge.failed)
                judge.failed = ""
        return {"taken": taken, "bad": bad}

    told = in_a_fork(times)
    assert told is not None, "the tests end their own process"
    assert "taken" in told, told
    plan.seconds = {
        test: taken_s for test, taken_s in told["taken"].items() if taken_s <= SLOWEST_S and test not in told["bad"]
    }
    slow = [test for test in items if test not in plan.seconds]
    sys.stdout.write(
        f"{len(plan.seconds)} tests, {sum(plan.seconds.values()):.1f} s; set aside: {len(slow)} {told['bad']}" + "\n"
    )
    told = in_a_fork(lambda: trace([items[test] for test in plan.seconds], judge))
    assert told is not None, "the tests end their own process when they are measured"
    assert "lines" in told, told
    plan.lines = {path: {int(line): tests for line, tests in lines.items()} for path, lines in told["lines"].items()}


def trace(items: Sequence[pytest.Item], judge: Judge) -> dict[str, Any]:
    """Tell, for each line of the product, which tests run it."""
    lines: dict[str, dict[int, list[str]]] = {}
    tracer = coverage.Coverage(
        data_file=None, config_file=False, source=[str(ROOT / "resilient_poll"), str(ROOT / "fake_server")],
        concurrency=["thread"], messages=False,
    )  # fmt: skip
    tracer.start()
    for item in items:
        tracer.switch_context(item.nodeid)
        run_items([item], judge)
        judge.failed = ""
    tracer.stop()
    data = tracer.get_data()
    for path in data.measured_files():
        relative = os.path.relpath(path, ROOT)
        lines[relative] = {
            line: [test for test in tests if test] for line, tests in data.contexts_by_lineno(path).items()
        }
    return {"lines": lines}


def outermost(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield the code of the functions of a module and its classes, but not of functions in functions."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            if constant.co_flags & 0x1:  # CO_OPTIMIZED: a function, not a class's body
                yield constant
            else:
                yield from outermost(constant)


def index_functions() -> dict[Any, list[types.FunctionType]]:
    """Return all functions of the product by (file, name, first line)."""
    found: dict[Any, list[types.FunctionType]] = {}
    for thing in gc.get_objects():
        if type(thing) is types.FunctionType and thing.__code__.co_filename.startswith(str(ROOT)):
            code = thing.__code__
            found.setdefault((code.co_filename, code.co_qualname, code.co_firstlineno), []).append(thing)
    return found


def compiled(mutant: Mutant) -> types.CodeType:
    """Return the changed module's code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(mutant.make(), str(ROOT / mutant.path), "exec", dont_inherit=True)


def put_in_place(mutant: Mutant, functions: dict[Any, list[types.FunctionType]]) -> int:
    """Give the functions that a mutant changes their changed code; return how many."""
    changed = 0
    for code in outermost(compiled(mutant)):
        if code.co_qualname.startswith(mutant.function):
            for function in functions.get((code.co_filename, code.co_qualname, code.co_firstlineno), ()):
                if function.__code__ != code:
                    function.__code__ = code
                    changed += 1
    return changed


class ChangedModule(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module in its changed form.

    Attributes:
        name: The module's.
    """

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        path = Path(mutant.path)
        self._is_package = path.name == "__init__.py"
        self.name = ".".join((path.parent if self._is_package else path.with_suffix("")).parts)

    def find_spec(
        self,
        fullname: str,
        path: object = None,  # noqa: ARG002  # the protocol's names
        target: object = None,  # noqa: ARG002  # the protocol's names
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the changed module's spec; None for any other."""
        if fullname != self.name:
            return None
        spec = importlib.machinery.ModuleSpec(
            fullname, self, origin=str(ROOT / self._mutant.path), is_package=self._is_package
        )
        if self._is_package:
            spec.submodule_search_locations = [str((ROOT / self._mutant.path).parent)]
        spec.has_location = True
        return spec

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the changed code."""
        exec(compiled(self._mutant), module.__dict__)  # noqa: S102  # that is what importing is


def control_of(path: str) -> Mutant:
    """Return the mutant of a module that changes nothing."""
    text = (ROOT / path).read_text()
    return Mutant(path, "", (1, len(text.splitlines())), "nothing", "none", lambda: text)


def judge_cold(mutant: Mutant, plan: Plan, budget_s: float) -> tuple[str, str]:
    """Judge a mutant in a process that imports the changed module before anything else of ours."""
    tests = plan.tests_for(mutant, budget_s, is_new=True)
    if not tests:
        return UNTESTED, ""
    # The first file alone at first: to collect all of them takes longer than to run what is wanted of them.
    first = [test for test in tests if test.split("::")[0] == tests[0].split("::")[0]]
    rest = [test for test in tests if test not in first]
    outcome, by = SURVIVED, ""
    for some in filter(None, (first, rest)):
        outcome, by = verdict(in_a_fork(lambda: _import_and_run(mutant, plan, some)))  # noqa: B023  # done at once
        if by in plan.seconds:
            plan.killed(mutant, by)
        if outcome != SURVIVED:
            break
    return outcome, by


def _import_and_run(mutant: Mutant, plan: Plan, tests: Sequence[str]) -> dict[str, Any]:
    sys.meta_path.insert(0, changed := ChangedModule(mutant))
    # Now: pytest puts a finder of its own in front, for the packages of plugins, and the fake is one.
    importlib.import_module(changed.name)
    judge = Judge(tests)
    limit(5 + sum(plan.seconds[test] for test in tests))
    # By file: a test that is named after a row may have another name now.
    code = pytest.main([*OPTIONS, *sorted({test.split("::")[0] for test in tests})], plugins=[judge])
    return {"failed": judge.failed or ("" if code in (0, 1) else f"pytest ended with {code}")}
