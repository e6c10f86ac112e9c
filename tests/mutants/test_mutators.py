"""The mutators: what they change, what they leave alone, and that their mutants can be put in place."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from tests.mutants import report, tables
from tests.mutants.mutant import Mutant, change_between, numbered

TABLES = '''
"""A page of words that nobody changes, whatever they say."""
__all__ = ["LIMIT"]
LIMIT = 3
WORDS = {"a": 1, "b": 2}
ONE = frozenset({"x"})
ORDER = ("first", "second")
class Kind(Enum):
    A = "a"
    B = "b"
def decide(kind, patience=2.5):
    match kind:
        case "a":
            return 1
        case _:
            return 2
'''


@pytest.fixture
def changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Mutant]:
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    (tmp_path / "module.py").write_text(TABLES)
    return {mutant.change: mutant for mutant in tables.table_mutants(tmp_path / "module.py")}


@pytest.mark.parametrize(
    "change",
    [
        "LIMIT = 3 => LIMIT = 4",
        "LIMIT = 3 => LIMIT = 2",
        'WORDS = {"a": 1, "b": 2} => WORDS = {"b": 2}',
        'WORDS = {"a": 1, "b": 2} => WORDS = {"a": 1}',
        'WORDS = {"a": 1, "b": 2} => WORDS = {"a": 2, "b": 1}',
        'WORDS = {"a": 1, "b": 2} => WORDS = {\'aX\': 1, "b": 2}',
        'ONE = frozenset({"x"}) => ONE = frozenset(set())',
        'ORDER = ("first", "second") => ORDER = ("second", "first")',
        'ORDER = ("first", "second") => ORDER = ("first",)',
        'A = "a" B = "b" => A = "b" B = "a"',
        "A = \"a\" => A = 'aX'",
        "def decide(kind, patience=2.5): => def decide(kind, patience=3.5):",
        "case _: return 2 => return 2 case _:",
        'ORDER = ("first", "second") => ORDER = ("second",)',
    ],
)
def test_a_table_is_changed_row_by_row(changes: dict[str, Mutant], change: str) -> None:
    """Rows are dropped and swapped, numbers and words changed, one at a time, and each change is valid Python."""
    assert change in changes, "\n".join(changes)
    ast.parse(changes[change].make())


def test_what_cannot_matter_is_left_alone(changes: dict[str, Mutant]) -> None:
    """Neither docstrings nor the list of public names are changed."""
    assert not any("__all__" in change or "page of words" in change for change in changes)


def test_what_has_no_order_is_not_put_in_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that go into a set, or are only looked through, are dropped and not swapped."""
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    (tmp_path / "module.py").write_text('A = {*("a", "b"), "c"}\nB = frozenset(("d", "e"))\nC = 1 in (2, 3)\n')
    found = {mutant.change for mutant in tables.table_mutants(tmp_path / "module.py")}
    assert 'A = {*("a", "b"), "c"} => A = {*("b",), "c"}' in found
    assert not any('("b", "a")' in change or '("e", "d")' in change or "(3, 2)" in change for change in found)


def test_a_changed_table_differs_in_one_place(changes: dict[str, Mutant]) -> None:
    """A mutant is the module with its one change, and nothing else."""
    for change, mutant in changes.items():
        assert change_between(TABLES, mutant.make()) == change


def test_functions_are_changed_but_not_their_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decisions in functions and properties are changed; the text of errors, logs and reprs is not."""
    operators = pytest.importorskip("tests.mutants.operators", reason="mutmut is installed by `make mutants` only")
    monkeypatch.setattr(operators, "ROOT", tmp_path)
    (tmp_path / "module.py").write_text(
        "class Box:\n"
        "    @property\n"
        "    def is_full(self) -> bool:\n"
        "        if self.count >= 3:\n"
        "            raise ValueError('there is no room in it, take another')\n"
        "        _log.info('all is well', self.count + 1)\n"
        "        return self.open and self.count > 1\n"
        "    def __repr__(self) -> str:\n"
        "        return 'a box' if self.count > 1 else 'no box'\n"
    )
    found = {mutant.change for mutant in operators.function_mutants(tmp_path / "module.py")}
    assert "if self.count >= 3: => if self.count > 3:" in found
    assert "if self.count >= 3: => if not (self.count >= 3):" in found
    assert "return self.open and self.count > 1 => return self.open or self.count > 1" in found
    assert not any("room" in change or "well" in change or "box" in change for change in found)


def test_equal_changes_have_different_names() -> None:
    """Two equal changes in one function can be told apart."""
    twice = [Mutant("a.py", "f", (1, 1), "x => y", "word", str), Mutant("a.py", "f", (2, 2), "x => y", "word", str)]
    assert [mutant.name for mutant in numbered(twice)] == ["a.py::f::x => y", "a.py::f::x => y #1"]


def test_the_page_says_what_was_judged() -> None:
    """The scores and survivors on the page are those of the stored results."""
    stored = json.loads(report.STORED.read_text())
    reasons = report.read_reasons()
    page = report.PAGE.read_text()
    for line in [*report.score_rows(stored, reasons), *report.survivor_lines(stored, reasons)]:
        assert line.rstrip() in page, "run `python -m tests.mutants --write`"


def test_nothing_survives_without_a_reason() -> None:
    """All mutants were judged, nine in ten of each module were noticed, and each that was not stands under a reason."""
    stored, reasons = json.loads(report.STORED.read_text()), report.read_reasons()
    for room, modules in stored["rooms"].items():
        assert report.explained(stored["survivors"][room], reasons)[1] == []
        for path, count in modules.items():
            noticed = sum(count.get(outcome, 0) for outcome in report.NOTICED)
            missed = sum(count.get(outcome, 0) for outcome in ("survived", "untested"))
            assert noticed + missed == count["mutants"], f"{path}: not all of it was judged"
            assert noticed >= 0.9 * count["mutants"], f"{path}: too little of it is noticed"


def test_no_reason_outlives_its_mutants() -> None:
    """Each part of each reason stands for a mutant that did survive."""
    stored = json.loads(report.STORED.read_text())
    everyone = [name for names in stored["survivors"].values() for name in names]
    for reason in report.read_reasons():
        for wanted in reason["mutants"]:
            assert any(all(part in name for part in wanted.split(" & ")) for name in everyone), wanted
