"""The mutator of tables: what stands outside of functions, and every literal with rows.

One row is dropped, two neighbours swap their values, a number becomes one more or one less, a word another word. mutmut
changes function bodies only, and the tables are the heart of this project.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from tests.mutants.left_alone import CALLS, LOGS, NAMES, PROSE, SQL
from tests.mutants.mutant import MODULE, ROOT, Mutant, change_between

Edit: TypeAlias = tuple[int, int, bytes]
ROWS = ast.Dict | ast.Set | ast.Tuple | ast.List


class Source:
    """A module's text, and where in it a node stands."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.tree = ast.parse(text)
        self.orderless = {id(rows) for node in ast.walk(self.tree) for rows in _in_no_order(node)}
        self._starts = [0]
        for line in self.text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt | ast.pattern) -> tuple[int, int]:
        """Return the first byte of a node, and the one after its last."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: ast.expr | ast.stmt) -> bytes:
        """Return the text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def edited(self, edits: tuple[Edit, ...]) -> str:
        """Return the whole text with some spans replaced."""
        text = self.text
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text.decode()


def _in_no_order(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the rows of which a node takes all, in whatever order they stand."""
    match node:
        case ast.Set(elts=parts):
            yield from (part.value for part in parts if isinstance(part, ast.Starred))
        case ast.Call(func=ast.Name(id="set" | "frozenset" | "any" | "all" | "sum" | "max" | "min"), args=parts):
            yield from parts
        case ast.Compare(ops=operators, comparators=parts):
            in_these = (part for how, part in zip(operators, parts, strict=True) if isinstance(how, ast.In | ast.NotIn))
            yield from in_these


def table_mutants(path: Path) -> Iterator[Mutant]:
    """Yield every change of a module's tables, constants, defaults and enumerations.

    Args:
        path: The module.

    Yields:
        The mutants that are still Python, in the order of the source.
    """
    source = Source(path.read_text())
    relative = str(path.relative_to(ROOT))
    for function, statement, names, edits, operator in _changes(source):
        changed = source.edited(edits)
        try:
            compile(changed, relative, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            continue
        first, last = statement.lineno, statement.end_lineno or statement.lineno
        fewer = source.text.count(b"\n") - changed.count("\n")
        before, after = _lines(source.text.decode(), first, last), _lines(changed, first, last - fewer)
        yield Mutant(
            relative,
            function,
            (first, last),
            change_between(before, after),
            operator,
            partial(source.edited, edits),
            names,
        )


def _lines(text: str, first: int, last: int) -> str:
    return "\n".join(text.splitlines()[first - 1 : last])


Change: TypeAlias = tuple[str, ast.stmt, frozenset[str], tuple[Edit, ...], str]


def _changes(source: Source) -> Iterator[Change]:
    yield from _in_body(source, source.tree.body, [], frozenset())


def _in_body(source: Source, body: list[ast.stmt], outer: list[str], classes: frozenset[str]) -> Iterator[Change]:
    """What runs at import: a module's body or a class's, and the functions in it."""
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                name = ".".join([*outer, statement.name])
                yield from _in_function(source, statement, name)
                for default in [*statement.args.defaults, *statement.args.kw_defaults]:
                    if default is not None:
                        for edits, operator in _in_expression(source, default):
                            yield name, statement, classes | {statement.name}, edits, operator
            case ast.ClassDef(name=name):
                if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in statement.bases):
                    continue
                if any(isinstance(base, ast.Name) and base.id.endswith("Enum") for base in statement.bases):
                    yield from _members(source, statement)
                yield from _in_body(source, statement.body, [*outer, name], classes | {name})
            case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.Expr(value=ast.Constant()):
                continue
            case ast.Assign() | ast.AnnAssign():
                names_here = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
                named = {node.id for node in names_here if isinstance(node.ctx, ast.Store)}
                if statement.value is None or named & NAMES or _is_type_alias(statement):
                    continue
                for edits, operator in _in_expression(source, statement.value):
                    yield MODULE, statement, classes | named, edits, operator


def _is_type_alias(statement: ast.Assign | ast.AnnAssign) -> bool:
    if isinstance(statement, ast.AnnAssign):
        return "TypeAlias" in ast.unparse(statement.annotation)
    if not isinstance(statement.value, ast.Subscript | ast.BinOp):
        return False
    # Key = tuple[object, int] is one; LIMITS = {…} | OTHERS and DAY_S = 24 * 60 are none.
    parts = list(ast.walk(statement.value))
    has_number = any(isinstance(part, ast.Constant) and isinstance(part.value, int | float) for part in parts)
    return not has_number and not any(isinstance(part, ast.Dict | ast.Set | ast.List) for part in parts)


def _members(source: Source, declared: ast.ClassDef) -> Iterator[Change]:
    """Of an enumeration: two neighbours swap their values."""
    members = [node for node in declared.body if isinstance(node, ast.Assign)]
    for one, other in pairwise(members):
        if source.of(one.value) != source.of(other.value):
            names = {declared.name} | {target.id for target in one.targets if isinstance(target, ast.Name)}
            edits = (*_swap(source, one.value, other.value),)
            yield MODULE, declared, frozenset(names), edits, "swapped rows"


def _in_function(source: Source, function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> Iterator[Change]:
    """The literals with rows in a function, and the rows of its `match` statements."""
    statements = [node for node in ast.walk(function) if isinstance(node, ast.stmt) and node is not function]
    for statement in statements:
        if isinstance(statement, ast.Match):
            for one, other in pairwise(statement.cases):
                edits = _swapped_bodies(source, one, other)
                if edits:
                    yield name, statement, frozenset(), edits, "swapped rows"
        if isinstance(statement, ast.Raise | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for label, expression in ast.iter_fields(statement):
            if label != "annotation" and isinstance(expression, ast.expr):
                for rows in ast.walk(expression):
                    if isinstance(rows, ROWS) and isinstance(getattr(rows, "ctx", ast.Load()), ast.Load):
                        for edits in _rows(source, rows):
                            yield name, statement, frozenset(), edits, "rows"


def _swapped_bodies(source: Source, one: ast.match_case, other: ast.match_case) -> tuple[Edit, ...]:
    spans = [(source.span(case.body[0])[0], source.span(case.body[-1])[1]) for case in (one, other)]
    texts = [source.text[start:end] for start, end in spans]
    if texts[0] == texts[1] or _binds(one) or _binds(other):
        return ()
    return (*spans[0], texts[1]), (*spans[1], texts[0])


def _binds(case: ast.match_case) -> bool:
    """Whether its body lives on names that only its own pattern gives."""
    return any(getattr(node, "name", None) for node in ast.walk(case.pattern))


def _in_expression(source: Source, expression: ast.expr) -> Iterator[tuple[tuple[Edit, ...], str]]:
    """Everything that one can change in an expression that is evaluated once, at import."""
    if isinstance(expression, ast.Lambda):
        return
    if isinstance(expression, ast.Call):
        called = expression.func
        if isinstance(called, ast.Name) and called.id in CALLS:
            return
        if (
            isinstance(called, ast.Attribute)
            and isinstance(called.value, ast.Name)
            and called.value.id in LOGS | {"logging"}
        ):
            return
    if isinstance(expression, ROWS):
        for edits in _rows(source, expression):
            yield edits, "rows"
    if isinstance(expression, ast.Constant):
        yield from _constant(source, expression)
    for child in ast.iter_child_nodes(expression):
        if isinstance(child, ast.expr):
            yield from _in_expression(source, child)
        elif isinstance(child, ast.keyword):
            yield from _in_expression(source, child.value)


def _constant(source: Source, constant: ast.Constant) -> Iterator[tuple[tuple[Edit, ...], str]]:
    start, end = source.span(constant)
    match constant.value:
        case bool() as truth:
            yield ((start, end, repr(not truth).encode()),), "flag"
        case int() | float() as number:
            yield ((start, end, repr(number + 1).encode()),), "number"
            yield ((start, end, repr(number - 1).encode()),), "number"
        case str() as text if text and not (PROSE.search(text) and not SQL.search(text)):
            yield ((start, end, repr(text + "X").encode()),), "word"
        case bytes() as text if text:
            yield ((start, end, repr(text + b"X").encode()),), "word"


def _rows(source: Source, rows: ast.Dict | ast.Set | ast.Tuple | ast.List) -> Iterator[tuple[Edit, ...]]:
    """Each row dropped, and each pair of neighbours swapped."""
    if isinstance(rows, ast.Dict):
        values = rows.values
        spans = [
            (source.span(key)[0] if key is not None else source.span(value)[0] - 2, source.span(value)[1])
            for key, value in zip(rows.keys, values, strict=True)
        ]
        swappable = [key is not None for key in rows.keys]
    else:
        values = rows.elts
        spans = [source.span(value) for value in values]
        has_order = not isinstance(rows, ast.Set) and id(rows) not in source.orderless
        swappable = [has_order and not isinstance(value, ast.Starred) for value in values]
    if any(_is_sentence(value) for value in values):
        return
    if len(values) == 1:
        yield (
            (*source.span(rows), {ast.Dict: b"{}", ast.Set: b"set()", ast.Tuple: b"()", ast.List: b"[]"}[type(rows)]),
        )
        return
    for at in range(len(values)):
        if len(values) == 2:  # One row is left; of a tuple, with the comma that makes it one.
            left = source.text[slice(*spans[1 - at])]
            yield ((spans[0][0], spans[1][1], left + b"," * isinstance(rows, ast.Tuple)),)
        elif at + 1 < len(values):
            yield ((spans[at][0], spans[at + 1][0], b""),)
        else:
            yield ((spans[at - 1][1], spans[at][1], b""),)
    for at in range(len(values) - 1):
        if swappable[at] and swappable[at + 1] and source.of(values[at]) != source.of(values[at + 1]):
            yield (*_swap(source, values[at], values[at + 1]),)


def _is_sentence(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str) and bool(PROSE.search(value.value))


def _swap(source: Source, one: ast.expr, other: ast.expr) -> tuple[Edit, Edit]:
    return (*source.span(one), source.of(other)), (*source.span(other), source.of(one))
