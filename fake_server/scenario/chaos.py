"""Chaos files: faults that strike whatever scenario is played, by chance and a seed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fake_server.scenario.fault_reader import read_faults
from fake_server.scenario.fields import of_version, text
from fake_server.scenario.yaml_nodes import Notes, ScenarioErrors, compose

if TYPE_CHECKING:
    from fake_server.faults.model import Fault

__all__ = ["CHAOS_LEVELS", "chaos_faults"]

CHAOS_LEVELS = ("light", "heavy")
_FOLDER = Path(__file__).resolve().parents[1] / "chaos"
_KEYS = ("version", "summary", "faults")


def chaos_faults(level_or_file: str) -> tuple[Fault, ...]:
    """The faults of a level, or of a file.

    None of them must have fired for a run to count, unless its entry says `must_fire: true`.

    Args:
        level_or_file: `light`, `heavy`, or the path of a file with `version`, `summary` and `faults`.

    Raises:
        ScenarioErrors: With every complaint about the file.
    """
    is_level = level_or_file in CHAOS_LEVELS
    path = _FOLDER / f"{level_or_file}.yaml" if is_level else Path(level_or_file)
    notes = Notes()
    root = compose(path)
    fields = notes.as_mapping(root, "a chaos file: a mapping with version, summary and faults", _KEYS) or {}
    for key in _KEYS:
        if fields and key not in fields:
            notes.at(root, f"found no {key}, expected one")
    faults: tuple[Fault, ...] = ()
    if "version" in fields:
        of_version().read(fields["version"][1], notes)
    if "summary" in fields:
        text("a sentence", 300).read(fields["summary"][1], notes)
    if "faults" in fields:
        origin = f"chaos {level_or_file if is_level else path.stem}"
        faults = read_faults(fields["faults"][1], notes, origin, must_fire=False)
    if notes.problems:
        raise ScenarioErrors(path, notes.problems)
    return faults
