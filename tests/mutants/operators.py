"""mutmut's operators, and three that it lacks, on what stands in functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import libcst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

from tests.mutants.left_alone import CALLS, FUNCTIONS, LOGS, PROSE, SQL
from tests.mutants.mutant import ROOT, Mutant, change_between

Rewrite = Callable[[Any], Iterable[libcst.CSTNode]]


def _negated(node: libcst.If | libcst.While) -> Iterator[libcst.CSTNode]:
    inner = node.test.with_changes(lpar=[libcst.LeftParen()], rpar=[libcst.RightParen()])
    yield node.with_changes(test=libcst.UnaryOperation(libcst.Not(), inner))


def _left_out(node: libcst.Expr) -> Iterator[libcst.CSTNode]:
    if isinstance(node.value, libcst.Call | libcst.Await) and not _left_alone(node.value):
        yield libcst.Pass()


def _nothing_returned(node: libcst.Return) -> Iterator[libcst.CSTNode]:
    if node.value is not None and not (isinstance(node.value, libcst.Name) and node.value.value == "None"):
        yield node.with_changes(value=libcst.Name("None"))


OPERATORS: list[tuple[type, Rewrite]] = [
    *mutation_operators,
    (libcst.If, _negated),
    (libcst.While, _negated),
    (libcst.Expr, _left_out),
    (libcst.Return, _nothing_returned),
]
STATEMENTS = (libcst.BaseSmallStatement, libcst.BaseCompoundStatement, libcst.ExceptHandler, libcst.MatchCase)


class Finder(libcst.CSTVisitor):
    """Walks a module and keeps what may be changed: (function, statement's lines, node, its changed form)."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, libcst.FunctionDef, tuple[int, int], libcst.CSTNode, libcst.CSTNode, str]] = []
        self._names: list[str] = []
        self._function: libcst.FunctionDef | None = None
        self._function_name = ""
        self._statements: list[libcst.CSTNode] = []
        self._raising = 0

    def on_visit(self, node: libcst.CSTNode) -> bool:
        if _left_alone(node):
            return False
        if isinstance(node, libcst.ClassDef | libcst.FunctionDef):
            self._names.append(node.name.value)
        if isinstance(node, libcst.FunctionDef) and self._function is None:
            self._function, self._function_name = node, ".".join(self._names)
        if isinstance(node, STATEMENTS):
            self._statements.append(node)
        self._raising += isinstance(node, libcst.Raise)
        if self._function is not None and node is not self._function:
            self._change(node)
        return True

    def on_leave(self, original_node: libcst.CSTNode) -> None:
        if _left_alone(original_node):
            return
        if isinstance(original_node, libcst.ClassDef | libcst.FunctionDef):
            self._names.pop()
        if original_node is self._function:
            self._function = None
        if isinstance(original_node, STATEMENTS):
            self._statements.pop()
        self._raising -= isinstance(original_node, libcst.Raise)

    def _change(self, node: libcst.CSTNode) -> None:
        assert self._function is not None
        for kind, rewrite in OPERATORS:
            if not isinstance(node, kind):
                continue
            for changed in rewrite(node):
                if _matters(node, changed, raising=bool(self._raising)):
                    lines = self._lines(self._statements[-1] if self._statements else self._function)
                    operator = getattr(rewrite, "__name__", "?").removeprefix("operator_").strip("_")
                    self.found.append((self._function_name, self._function, lines, node, changed, operator))

    def _lines(self, statement: libcst.CSTNode) -> tuple[int, int]:
        if isinstance(statement, libcst.BaseCompoundStatement | libcst.ExceptHandler | libcst.MatchCase):
            start = self.get_metadata(PositionProvider, statement).start.line
            if isinstance(statement, libcst.FunctionDef):
                return start, self.get_metadata(PositionProvider, statement).end.line
            if isinstance(statement, libcst.Match):
                return start, start
            body = getattr(statement, "body", None)
            first = self.get_metadata(PositionProvider, body).start.line if body is not None else start
            return start, max(start, first - 1)
        position = self.get_metadata(PositionProvider, statement)
        return position.start.line, position.end.line


def _left_alone(node: libcst.CSTNode) -> bool:
    """Whether nothing in it can matter: types, docstrings, log text, `__repr__`."""
    match node:
        case libcst.Annotation() | libcst.Decorator() | libcst.Import() | libcst.ImportFrom():
            return True
        case libcst.Param():  # Defaults are evaluated at import; the mutator of tables has them.
            return True
        case libcst.FunctionDef(name=name, decorators=decorators):
            marks = {mark.decorator.value for mark in decorators if isinstance(mark.decorator, libcst.Name)}
            return name.value in FUNCTIONS or "overload" in marks or "abstractmethod" in marks
        case libcst.Call(func=libcst.Name(value=name)):
            return name in CALLS
        case libcst.Call(func=libcst.Attribute(value=libcst.Name(value=name))):
            return name in LOGS
        case libcst.Expr(value=libcst.SimpleString() | libcst.ConcatenatedString() | libcst.Ellipsis()):
            return True
        case libcst.If(test=libcst.Name(value="TYPE_CHECKING")):
            return True
        case libcst.Assert():
            return True
    return False


def _matters(node: libcst.CSTNode, changed: libcst.CSTNode, *, raising: bool) -> bool:
    if isinstance(node, libcst.BaseString):
        if raising or _is_prose(node):
            return False
        # SQL does not tell a small letter from a capital one, and one changed case shows what two would.
        return "XX" in getattr(changed, "value", "") or not (SQL.search(_text(node)) or _second_case(node, changed))
    if isinstance(node, libcst.Call) and isinstance(changed, libcst.Call):
        touched = [argument for argument in node.args if argument not in changed.args]
        # One positional argument less is a TypeError at the first call; that None goes instead tells more.
        dropped = len(changed.args) < len(node.args)
        if dropped and any(argument.keyword is None for argument in touched):
            return False
        return not any(_is_wording(argument.value, raising=raising) for argument in touched)
    if isinstance(node, libcst.Return | libcst.Assign) and node.value is not None:
        return not _is_wording(node.value, raising=False)
    return True


def _is_wording(value: libcst.BaseExpression, *, raising: bool) -> bool:
    is_text = isinstance(value, libcst.BaseString)
    return is_text and (raising or _is_prose(value))


def _is_prose(node: libcst.CSTNode) -> bool:
    text = _text(node)
    return bool(PROSE.search(text)) and not SQL.search(text)


def _text(node: libcst.CSTNode) -> str:
    return libcst.Module([]).code_for_node(node)


def _second_case(node: libcst.BaseString, changed: libcst.CSTNode) -> bool:
    """Whether this is the upper form of a string whose lower form is a mutant as well."""
    old, new = _text(node), _text(changed)
    return old != old.lower() and new == old.upper()


def function_mutants(path: Path) -> Iterator[Mutant]:
    """Yield every change of a module's functions.

    Args:
        path: The module.

    Yields:
        The mutants, in the order of the source.
    """
    wrapper = MetadataWrapper(libcst.parse_module(path.read_text()))
    finder = Finder()
    wrapper.visit(finder)
    relative = str(path.relative_to(ROOT))
    texts: dict[libcst.CSTNode, str] = {}
    for name, function, lines, node, changed, operator in finder.found:
        if function not in texts:
            texts[function] = wrapper.module.code_for_node(function)
        mutated = function.deep_replace(node, changed)
        assert isinstance(mutated, libcst.CSTNode)
        after = wrapper.module.code_for_node(mutated)
        if after != texts[function]:
            make = partial(_whole_module, wrapper.module, function, mutated)
            yield Mutant(relative, name, lines, change_between(texts[function], after), operator, make)


def _whole_module(module: libcst.Module, function: libcst.FunctionDef, mutated: libcst.CSTNode) -> str:
    changed = module.deep_replace(function, mutated)
    assert isinstance(changed, libcst.Module)
    return changed.code
