"""Puts a changed table in place in a process that has imported everything.

The changed statement, and what is made from it in its module, is run again in the module, and every module that
imported the names gets the new values. That is no good for names that are said outside of functions elsewhere (in a
class, a default, a decorator): somebody may have kept the old value there. Those mutants want a new process.
"""

from __future__ import annotations
import __future__

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache

from tests.mutants.mutant import MODULE, ROOT, Mutant

OURS = ("resilient_poll", "fake_server", "tests")


def can_be_rebound(mutant: Mutant) -> bool:
    """Return whether nobody but tests may have kept the old value of a table."""
    if mutant.function != MODULE or not mutant.names:
        return False
    tree = _tree(mutant.path)
    again = _to_run_again(tree, mutant.names)
    if not any(statement.lineno == mutant.lines[0] for statement in again):
        return False  # It stands in a class.
    names = _named(again)
    # Nobody else says a module's private names; those of the same spelling are other tables.
    is_private = all(name.startswith("_") for name in names)
    for path in [mutant.path] if is_private else _product():
        if names & _said_outside(path, frozenset(names) if path == mutant.path else frozenset()):
            return False
    return True


def keepers(mutant: Mutant, files: Iterable[str]) -> set[str]:
    """Return the files of tests that may have kept the old value: they judge such a mutant in a new process only."""
    if not mutant.names:
        return set()
    names = frozenset(_named(_to_run_again(_tree(mutant.path), mutant.names)))
    return {path for path in files if names & _said_outside(path, frozenset())}


def rebind(mutant: Mutant) -> None:
    """Put a changed table in place in every module that has it."""
    tree = ast.parse(mutant.make())
    again = _to_run_again(tree, mutant.names)
    ours = [module for name, module in list(sys.modules.items()) if name.split(".")[0] in OURS]
    here = next(module for module in ours if getattr(module, "__file__", None) == str(ROOT / mutant.path))
    for statement in again:
        old = {name: vars(here)[name] for name in _named([statement]) if name in vars(here)}
        # As every module begins: an annotation may name what only a type checker imports.
        flags = __future__.annotations.compiler_flag
        code = compile(ast.Module([statement], []), str(ROOT / mutant.path), "exec", flags, dont_inherit=True)
        exec(code, vars(here))  # noqa: S102  # as importing it would
        for name, value in old.items():
            for module in ours:
                if vars(module).get(name) is value:
                    setattr(module, name, vars(here)[name])


def _to_run_again(tree: ast.Module, names: Iterable[str]) -> list[ast.Assign | ast.AnnAssign]:
    """The statement that makes the table, and those that make others from it, in order."""
    wanted, found = set(names), []
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = _named([statement])
            if targets & wanted or _loaded(statement) & wanted:
                found.append(statement)
                wanted |= targets
    return found


def _named(statements: Iterable[ast.Assign | ast.AnnAssign]) -> set[str]:
    return {
        node.id
        for statement in statements
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        for node in ast.walk(target)
        if isinstance(node, ast.Name)
    }


def _loaded(node: ast.AST) -> set[str]:
    return {
        word
        for child in ast.walk(node)
        for word in (getattr(child, "id", None), getattr(child, "attr", None))
        if isinstance(word, str)
    }


@cache
def _tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


@cache
def _product() -> tuple[str, ...]:
    places = (*OURS[:2], "tests/support")
    return tuple(str(path.relative_to(ROOT)) for place in places for path in sorted((ROOT / place).rglob("*.py")))


@cache
def _said_outside(path: str, run_again: frozenset[str]) -> frozenset[str]:
    """The names that are said where a module is imported, but in the statements that are run again."""
    return frozenset(_outside(_tree(path).body, run_again))


def _outside(body: Iterable[ast.stmt], run_again: frozenset[str]) -> Iterator[str]:
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for part in [*statement.decorator_list, *statement.args.defaults, *statement.args.kw_defaults]:
                    if part is not None:
                        yield from _loaded(part)
            case ast.ClassDef():
                for part in [*statement.decorator_list, *statement.bases]:
                    yield from _loaded(part)
                yield from _outside(statement.body, frozenset())
            case ast.Import() | ast.ImportFrom():
                continue
            case ast.AnnAssign() | ast.Assign() if _named([statement]) & run_again:
                continue
            case ast.AnnAssign():
                yield from _loaded(statement.value) if statement.value is not None else ()
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case _:
                yield from _loaded(statement)
