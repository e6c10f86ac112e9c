"""The rules of the middleware know no clock, no chance and no I/O."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2] / "resilient_poll" / "transports" / "rules"
ALLOWED = {
    *("__future__", "collections", "dataclasses", "enum", "json", "math", "re", "threading", "typing"),
    *("resilient_poll.errors", "resilient_poll.transports.reading"),
}
"""A lock neither waits for time nor does anything; the other two are pure themselves."""


def test_the_rules_import_nothing_that_acts() -> None:
    """A rule imports data types, other rules, and nothing by which it could wait, draw, read or send."""
    found = []
    for path in sorted(ROOT.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                known = name in ALLOWED or name.partition(".")[0] in ALLOWED - {"resilient_poll"}
                if not known and not name.startswith("resilient_poll.transports.rules"):
                    found.append(f"{path.name}: {name}")
    assert not found


def test_both_libraries_have_the_same_transports() -> None:
    """The modules for both libraries differ in the library's name and in nothing else."""
    one, other = ((ROOT.parent / f"{library}.py").read_text() for library in ("httpx", "httpx2"))
    assert one != other
    assert other.replace("httpx2", "httpx") == one
