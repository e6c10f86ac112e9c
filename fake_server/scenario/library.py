"""Scenario files: where they lie, what they are called, and loading one.

A scenario's name is the stem of its file; themes are sub-folders. A name is looked up among the files that
were found, never joined to a path, so none can leave its folder.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from fake_server.scenario.model import Scenario
from fake_server.scenario.reader import read_scenario
from fake_server.scenario.yaml_nodes import Notes, Problem, ScenarioErrors, compose, compose_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ruamel.yaml.nodes import Node

__all__ = ["find_scenarios", "load_scenario", "load_scenario_text", "merged", "shipped_folder", "shipped_scenarios"]

# Names travel in API keys and URLs, so they stay within what both carry unescaped. No dot: it ends a name.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# Bodies for the contract tests lie beside the scenarios, and are none.
_NOT_SCENARIOS = "contract"
# Folders with more files than this were named by mistake.
MOST_FILES = 5_000


def load_scenario(path: Path) -> Scenario:
    """Read one file.

    Args:
        path: A YAML file; its stem is the scenario's name.

    Raises:
        ScenarioErrors: With every complaint about the file.
    """
    return _load(compose(path), path)


def load_scenario_text(name: str, raw: bytes) -> Scenario:
    """Read a scenario that lies in no file.

    Args:
        name: What it is to be called; complaints call it so too.
        raw: Its text, YAML or JSON.

    Raises:
        ScenarioErrors: With every complaint about it.
    """
    path = Path(f"{name}.yaml")
    return _load(compose_bytes(raw, path), path)


def _load(root: Node, path: Path) -> Scenario:
    notes = Notes()
    if not _NAME.fullmatch(path.stem):
        expected = "expected small letters, digits, - and _ (the name is used in keys and URLs)"
        notes.problems.append(Problem(1, 1, f"found the file name {path.stem!r}, {expected}"))
    scenario = read_scenario(root, path.stem, notes)
    if scenario is None or notes.problems:
        raise ScenarioErrors(path, notes.problems)
    return scenario


def shipped_folder() -> Path:
    """Where the scenarios that come with the fake lie: in the wheel, or at the top of a checkout."""
    here = Path(__file__).resolve().parents[1]
    inside = here / "scenarios"
    return inside if inside.is_dir() else here.parent / "scenarios"


def shipped_scenarios() -> dict[str, Path]:
    """Every shipped scenario: file by name, sorted by name."""
    return find_scenarios(shipped_folder())


def find_scenarios(folder: Path) -> dict[str, Path]:
    """Every scenario file below a folder: file by name, sorted by name.

    Raises:
        ScenarioErrors: If two files have one name, or a file (a link, say) lies outside the folder.
    """
    root = folder.resolve()
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.y*ml"))[:MOST_FILES]:
        if path.suffix not in (".yaml", ".yml") or _NOT_SCENARIOS in path.relative_to(folder).parts[:-1]:
            continue
        if not path.resolve().is_relative_to(root):
            raise ScenarioErrors(path, [Problem(1, 1, f"found a link out of {folder}, expected a file in it")])
        if path.stem in found:
            text = f"found a second scenario named {path.stem} (the first is {found[path.stem]}), expected one"
            raise ScenarioErrors(path, [Problem(1, 1, text)])
        found[path.stem] = path
    return dict(sorted(found.items()))


def merged(*sources: Mapping[str, Path]) -> dict[str, Path]:
    """Several tables of scenarios as one; later ones win."""
    return {name: path for source in sources for name, path in source.items()}
