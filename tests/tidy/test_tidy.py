"""The style of the house, where a machine can see it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERIC = [
    *("machine", "drive", "http", "transports", "ledger", "operations"),
    *("embedding.py", "generic.py", "errors.py", "error_kinds.py", "standing.py", "events.py"),
]
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60


def modules(*places: str) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_the_generic_parts_know_no_service() -> None:
    """The generic parts contain no word of DashScope's."""
    words = re.compile(r"dashscope|aisa|alibaba|task_status|wan\d|\bPENDING\b|\bvideo\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in modules(*(f"resilient_poll/{place}" for place in GENERIC))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words.search(line)
    ]
    assert not found, "\n".join(found)


def test_the_fake_borrows_no_words() -> None:
    """The fake names neither the client's package nor its phases."""
    words = re.compile(r"resilient_poll|UNRECOGNIZED|UNLISTED|PARTIAL_POSSIBLE|UNDETERMINED|ON_SUCCESS|NOT_YET")
    found = [str(path.relative_to(ROOT)) for path in modules("fake_server") if words.search(path.read_text())]
    assert not found


def test_modules_are_short() -> None:
    """No module is longer than a few hundred lines."""
    long = {
        str(path.relative_to(ROOT)): lines
        for path in modules("resilient_poll", "fake_server")
        if (lines := len(path.read_text().splitlines())) > LONGEST_MODULE
    }
    assert not long


def test_functions_need_no_scrolling() -> None:
    """No function is longer than a screen, its docstring not counted."""
    long = []
    for path in modules("resilient_poll", "fake_server"):
        for function in functions(path):
            documented = ast.get_docstring(function) is not None
            body = function.body[1:] if documented else function.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if length > LONGEST_FUNCTION:
                long.append(f"{path.relative_to(ROOT)}:{function.lineno} {function.name}: {length}")
    assert not long, "\n".join(long)


def test_every_test_states_its_property() -> None:
    """Every test says in a sentence what must hold."""
    silent = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path in modules("tests")
        for function in functions(path)
        if function.name.startswith("test_") and not (ast.get_docstring(function) or "").rstrip().endswith(".")
    ]
    assert not silent, "\n".join(silent)


def test_public_names_are_documented() -> None:
    """Every public module, class and function of both packages has a docstring."""
    silent = []
    for path in modules("resilient_poll", "fake_server"):
        tree = ast.parse(path.read_text())
        if ast.get_docstring(tree) is None:
            silent.append(str(path.relative_to(ROOT)))
        for node in tree.body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            members = [node, *(node.body if isinstance(node, ast.ClassDef) else [])]
            silent += [
                f"{path.relative_to(ROOT)}:{member.lineno} {member.name}"
                for member in members
                if isinstance(member, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and not member.name.startswith("_")
                and not any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in member.decorator_list)
                and ast.get_docstring(member) is None
            ]
    assert not silent, "\n".join(silent)


@pytest.mark.parametrize("pattern", [r"\b(time|asyncio|anyio|trio)\.sleep\("])
def test_tests_do_not_sleep(pattern: str) -> None:
    """No test sleeps for real, except where the line says why."""
    sleepy = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in modules("tests")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line) and "# real:" not in line and "virtual" not in line and "pattern" not in line
    ]
    assert not sleepy, "\n".join(sleepy)


def test_every_ignore_has_its_reason() -> None:
    """A line that silences a checker says why, or names a rule whose reason stands in pyproject.toml."""
    bare = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in modules("resilient_poll", "fake_server", "examples")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"# (noqa|type: ignore|pragma)", line)
        and not re.search(r"(noqa|ignore|pragma)[^#]*?(  #| - )", line)
    ]
    assert not bare, "\n".join(bare)
