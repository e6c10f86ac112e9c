"""Suites: scenarios that later releases never change, so that a result stays comparable.

A suite keeps copies of its scenarios, so that the scenarios themselves can go on changing. Beside them `suite.json`
says which of the rules for everyone are judged (one that is made later judges nobody by surprise), and the digest of
each copy. `python -m fake_server.check.suites NAME` makes a new one; none is ever changed.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fake_server.rules.conduct import RULES
from fake_server.scenario.library import find_scenarios, load_scenario, shipped_scenarios

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).resolve().parent / "frozen"
FILE = "suite.json"
# What takes a good client longer is in no suite: a suite is run whole.
LONGEST_S = 20.0
_NAME = re.compile(r"[0-9]{4}-[0-9]{2}")


class SuiteError(ValueError):
    """There is no such suite, or a scenario of it is not what it was; the text says which."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A frozen set of scenarios.

    Args:
        files: Where each scenario's copy is.
        rules: Which of the rules for everyone are judged.
    """

    files: Mapping[str, Path]
    rules: frozenset[str]


def suite_names(folder: Path = FOLDER) -> list[str]:
    """The names of all suites."""
    return sorted(path.parent.name for path in folder.glob(f"*/{FILE}"))


def read_suite(name: str, folder: Path = FOLDER) -> Suite:
    """Read a suite.

    Args:
        name: Its name.
        folder: Where suites are.

    Raises:
        SuiteError: There is none of this name, or its copies are not those that it was frozen with.
    """
    if name not in suite_names(folder):
        raise SuiteError(f"there is no suite {name!r}; there is {', '.join(suite_names(folder)) or 'none'}")
    said = json.loads((folder / name / FILE).read_text("utf-8"))
    files = find_scenarios(folder / name)
    changed = [
        each for each in {**said["scenarios"], **files} if said["scenarios"].get(each) != _digest(files.get(each))
    ]
    if changed:
        raise SuiteError(f"of the suite {name!r} these are not what it was frozen with: {', '.join(changed)}")
    return Suite(files, frozenset(said["rules"]))


def freeze(name: str, folder: Path = FOLDER) -> Suite:
    """Make a suite of all the scenarios of today that are short.

    Args:
        name: What to call it: a year and a month.
        folder: Where suites are.

    Raises:
        SuiteError: There is one of this name, or it is no such name.
    """
    if not _NAME.fullmatch(name) or (folder / name).exists():
        raise SuiteError(f"found the name {name!r}, expected that of no suite yet, such as 2026-11")
    (folder / name).mkdir(parents=True)
    digests: dict[str, str | None] = {}
    for scenario, path in shipped_scenarios().items():
        if load_scenario(path).takes_s <= LONGEST_S:
            copy = folder / name / f"{scenario}.yaml"
            copy.write_bytes(path.read_bytes())
            digests[scenario] = _digest(copy)
    text = json.dumps({"rules": sorted(RULES), "scenarios": digests}, indent=2)
    (folder / name / FILE).write_text(text + "\n", "utf-8")
    return read_suite(name, folder)


def _digest(path: Path | None) -> str | None:
    """What a file is recognised by; the ends of its lines do not matter."""
    return None if path is None else hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()[:16]


if __name__ == "__main__":
    sys.stderr.write(f"{len(freeze(sys.argv[1]).files)} scenarios\n")
