"""Suites: lists of scenarios that later releases never change, so that a result stays comparable."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fake_server.scenario.library import shipped_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDER = "suites"


class SuiteError(ValueError):
    """There is no such suite, or a scenario of it is not what it was; the text says which."""


def suite_names() -> list[str]:
    """The names of all suites."""
    return sorted(path.stem for path in (shipped_folder() / FOLDER).glob("*.txt"))


def read_suite(name: str, files: Mapping[str, Path]) -> list[str]:
    """The scenarios of a suite.

    Args:
        name: Its name.
        files: Where each scenario is.

    Raises:
        SuiteError: There is none of this name, or one of its scenarios was changed since it was frozen.
    """
    if name not in suite_names():
        raise SuiteError(f"there is no suite {name!r}; there are {', '.join(suite_names()) or 'none'}")
    scenarios = []
    for line in (shipped_folder() / FOLDER / f"{name}.txt").read_text("utf-8").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        scenario, digest = line.split()
        if scenario not in files or digest_of(files[scenario]) != digest:
            raise SuiteError(f"the scenario {scenario!r} is not the one that the suite {name!r} was frozen with")
        scenarios.append(scenario)
    return scenarios


def digest_of(path: Path) -> str:
    """What a scenario's file is recognised by; the ends of its lines do not matter."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()[:16]
