"""Which tests judge a mutant: those that run the changed lines, killers and fast ones first."""

from __future__ import annotations

import ast
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutants.mutant import MODULE, ROOT, Mutant


@dataclass
class Plan:
    """What one look at the unchanged code told.

    Attributes:
        key: What changes when the code or the tests do.
        seconds: What each test took.
        lines: By module and line, the tests that ran it.
        at_import: Functions (module, name) that run while modules are imported; a change of theirs has to be there
            first.
    """

    key: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    at_import: set[tuple[str, str]] = field(default_factory=set)
    kills: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _reaches: dict[str, Counter[str]] = field(default_factory=dict)
    _mentions: dict[str, set[tuple[str, int, int]]] | None = None

    def save(self, path: Path) -> None:
        """Write it, so that the mutants that need a new process can be judged by it as well."""
        whole = {"key": self.key, "seconds": self.seconds, "lines": self.lines, "at_import": sorted(self.at_import)}
        path.write_text(json.dumps(whole))

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read what :meth:`save` wrote."""
        whole = json.loads(path.read_text())
        lines = {
            module: {int(line): tests for line, tests in found.items()} for module, found in whole["lines"].items()
        }
        return cls(whole["key"], whole["seconds"], lines, {(module, name) for module, name in whole["at_import"]})

    def killed(self, mutant: Mutant, test: str) -> None:
        """Remember who noticed; whoever noticed one change of a function may notice the next."""
        self.kills[mutant.path, mutant.function][test] += 1
        self.kills[mutant.path, ""][test] += 1

    def forget(self, test: str) -> None:
        """Let a test judge nothing any more."""
        self.seconds.pop(test, None)
        for ran in self.lines.values():
            for tests in ran.values():
                if test in tests:
                    tests.remove(test)

    def tests_for(self, mutant: Mutant, budget_s: float, *, is_new: bool = False) -> list[str]:
        """Return the tests that should notice a mutant, in the order in which to run them.

        Args:
            mutant: The mutant.
            budget_s: How many seconds they may take together on the unchanged code; one is taken always.
            is_new: Whether the mutant is there before anything is imported.
        """
        if mutant.names:
            found = self._by_names(mutant.names, mutant.path)
        else:
            found = self._by_lines(mutant)
            if is_new:  # What calls it while it is imported was not seen.
                found |= self._by_names(mutant.function.split(".")[:1], mutant.path)
        here, near = self.kills[mutant.path, mutant.function], self.kills[mutant.path, ""]
        reach = self._reach(mutant.path)
        worth = {test: reach[test] / (self.seconds[test] + 0.01) for test in found}
        ordered = sorted(found, key=lambda test: (-here[test], -min(near[test], 3), -worth[test], test))
        taken: list[str] = []
        spent_s = 0.0
        for test in ordered:
            if not taken or spent_s + self.seconds[test] <= budget_s:
                taken.append(test)
                spent_s += self.seconds[test]
        return taken

    def _reach(self, path: str) -> Counter[str]:
        """How many lines of a module each test runs: whoever runs many in a short time is asked first."""
        if path not in self._reaches:
            self._reaches[path] = Counter(test for tests in self.lines.get(path, {}).values() for test in tests)
        return self._reaches[path]

    def _by_lines(self, mutant: Mutant) -> set[str]:
        ran = self.lines.get(mutant.path, {})
        first, last = mutant.lines
        return {test for line in range(first, last + 1) for test in ran.get(line, ())}

    def _by_names(self, names: Iterable[str], path: str) -> set[str]:
        """The tests that name a table, be it by way of another, or run a function that does."""
        found: set[str] = set()
        said = self.mentions()
        for name in names:
            for where, first, last in said.get(name, ()):
                if first == 0:
                    found.update(self._tests_in(where))
                ran = self.lines.get(where, {})
                found.update(test for line in range(first, last + 1) for test in ran.get(line, ()))
        return found | {test for tests in self.lines.get(path, {}).values() for test in tests}

    def _tests_in(self, function: str) -> list[str]:
        return [test for test in self.seconds if test.split("[")[0].replace("::", " ").endswith(function)]

    def mentions(self) -> dict[str, set[tuple[str, int, int]]]:
        """Return, by name, the functions that say it: (module, first line, last line), or (file and test, 0, 0)."""
        if self._mentions is None:
            said: dict[str, set[tuple[str, int, int]]] = defaultdict(set)
            passed_on: dict[str, set[str]] = defaultdict(set)
            for path in self.lines:
                _read(path, ast.parse((ROOT / path).read_text()).body, said, passed_on)
            for path in {test.split("::")[0] for test in self.seconds}:
                for node in ast.walk(ast.parse((ROOT / path).read_text())):
                    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
                        for name in _words(node):
                            said[name].add((f"{path} {node.name}", 0, 0))
            for _ in range(3):
                for name, others in list(passed_on.items()):
                    for other in others:
                        said[name] |= said.get(other, set())
            self._mentions = dict(said)
        return self._mentions


def _read(
    path: str, body: Iterable[ast.stmt], said: dict[str, set[tuple[str, int, int]]], passed_on: dict[str, set[str]]
) -> None:
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            _read(path, statement.body, said, passed_on)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            for name in _words(statement):
                said[name].add((path, statement.lineno, statement.end_lineno or statement.lineno))
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for name in _words(statement):
                passed_on[name] |= {target.id for target in targets if isinstance(target, ast.Name)} - {name}


def _words(node: ast.AST) -> set[str]:
    return {
        word
        for child in ast.walk(node)
        for word in (getattr(child, "id", None), getattr(child, "attr", None))
        if isinstance(word, str)
    }


__all__ = ["MODULE", "Plan"]
