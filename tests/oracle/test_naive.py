"""The judges know nobody of those whom they judge."""

from __future__ import annotations

import ast
from pathlib import Path

JUDGED = {"resilient_poll", "fake_server"}
FOLDER = Path(__file__).parent


def imported(path: Path) -> set[str]:
    """The first words of all that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


def test_the_oracles_import_nothing_of_what_they_judge() -> None:
    """No model imports either package, or anything of the tests but other models: only the standard library."""
    models = [path for path in FOLDER.glob("*.py") if not path.name.startswith("test_")]
    assert len(models) > 5
    for path in models:
        text = path.read_text()
        assert not imported(path) & JUDGED, path.name
        assert "import_module" not in text
        assert "tests." not in text.replace("tests.oracle", ""), path.name
