"""Two strict type checkers read the public API as a user does: what is right passes, what is wrong is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RIGHT = sorted([*(HERE / "as_users_do").glob("*.py"), *(ROOT / "examples" / "embedding").glob("*.py")])
WRONG = sorted((HERE / "misused").glob("*.py"))
MARK = "# refused"


def is_sdk_recipe(path: Path) -> bool:
    """Tell whether a file imports an SDK: mypy would read all of that, for longer than all else here."""
    return path.stem.endswith("_sdk")


def mypy_refuses() -> dict[Path, dict[int, str]]:
    """Return what ``mypy --strict`` finds in all the files, by file and line."""
    ran = subprocess.run(  # noqa: S603  # our own words
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--explicit-package-bases"),
            *(f"--cache-dir={ROOT / '.mypy_cache' / 'typing'}", "--config-file="),
            *(str(path) for path in [*RIGHT, *WRONG] if not is_sdk_recipe(path)),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not ran.stderr, ran.stderr
    found: dict[Path, dict[int, str]] = {}
    for line in ran.stdout.splitlines():
        said = re.fullmatch(r"(.+?):(\d+): error: (.*)", line)
        if said is None:
            assert ": note: " in line, ran.stdout
            continue
        found.setdefault(ROOT / said[1], {})[int(said[2])] = said[3]
    return found


def pyright_refuses() -> dict[Path, dict[int, str]]:
    """Return what pyright in its strict mode finds in all the files, by file and line."""
    ran = subprocess.run(  # noqa: S603  # our own words
        [
            *(sys.executable, "-m", "pyright", "--outputjson", f"--project={HERE}", f"--pythonpath={sys.executable}"),
            *map(str, [*RIGHT, *WRONG]),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        report = json.loads(ran.stdout)
    except json.JSONDecodeError:
        pytest.skip(f"pyright does not run here (its Node.js comes with the extra test): {ran.stderr[-300:]}")
    assert report["summary"]["filesAnalyzed"] >= len([*RIGHT, *WRONG])
    found: dict[Path, dict[int, str]] = {}
    for one in report["generalDiagnostics"]:
        found.setdefault(Path(one["file"]), {})[one["range"]["start"]["line"] + 1] = one["message"]
    return found


CHECKERS = {"mypy": mypy_refuses, "pyright": pyright_refuses}


def marked(path: Path) -> set[int]:
    """Return the lines that are to be refused."""
    return {number for number, line in enumerate(path.read_text().splitlines(), 1) if line.endswith(MARK)}


# One test for all files: a start of pyright takes longer than all that it then reads.
@pytest.mark.parametrize("checker", CHECKERS)
def test_what_a_user_writes_has_the_types_that_it_says(checker: str) -> None:
    """A strict checker finds nothing in users' files and their types are what they say; each wrong line is refused."""
    found = CHECKERS[checker]()
    assert {path: found[path] for path in RIGHT if path in found} == {}
    for path in WRONG:
        assert len(marked(path)) > 10
        refused, lines = found.get(path, {}), path.read_text().splitlines()
        assert {number: refused[number] for number in refused.keys() - marked(path)} == {}
        assert [lines[number - 1] for number in sorted(marked(path) - refused.keys())] == []
