"""The rules of the middleware know no clock, no chance and no I/O."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "resilient_poll" / "transports" / "rules"
ALLOWED = {
    *("__future__", "collections", "dataclasses", "enum", "json", "math", "re", "threading", "typing"),
    *("resilient_poll.errors", "resilient_poll.http"),
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
                known = any(name == one or name.startswith(f"{one}.") for one in ALLOWED) or name.partition(".")[
                    0
                ] in ALLOWED - {"resilient_poll"}
                if not known and not name.startswith("resilient_poll.transports.rules"):
                    found.append(f"{path.name}: {name}")
    assert not found


def test_both_libraries_have_the_same_transports() -> None:
    """The modules for both libraries differ in the library's name and in nothing else."""
    one, other = ((ROOT.parent / f"{library}.py").read_text() for library in ("httpx", "httpx2"))
    assert one != other
    assert other.replace("httpx2", "httpx") == one


@pytest.mark.parametrize(("library", "other"), [("httpx", "httpx2"), ("httpx2", "httpx")])
def test_the_other_library_is_not_imported(library: str, other: str) -> None:
    """Whoever uses the transports for one library loads that one only, and the front door's policies load none."""
    code = (
        "import sys, resilient_poll; resilient_poll.RetryPolicy(); resilient_poll.BreakerPolicy(); "
        "print('httpx' in sys.modules, 'httpx2' in sys.modules); "
        f"import resilient_poll.transports.{library}; print('{library}' in sys.modules, '{other}' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # our own
    assert ran.stdout.split() == ["False", "False", "True", "False"]
