"""Complaints about a scenario with their places: line and column, and the JSON pointer that a program can follow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from fake_server.rules.fields import Mistake
from fake_server.scenario.yaml_nodes import MOST_PROBLEMS, ScenarioErrors, compose_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ruamel.yaml.nodes import Node


def places_of(raw: bytes, errors: ScenarioErrors) -> tuple[list[Mistake], list[dict[str, Any]]]:
    """Every complaint with its pointer, and beside it line and column.

    Args:
        raw: The text of the scenario.
        errors: What was wrong with it.
    """
    try:
        known = list(_pointers(compose_bytes(raw, Path("scenario")), ""))
    except ScenarioErrors:
        known = []  # No YAML at all: there is nothing to point into.
    known.sort()
    mistakes = []
    shown = errors.problems[:MOST_PROBLEMS]
    for problem in shown:
        before = [pointer for line, column, pointer in known if (line, column) <= (problem.line, problem.column)]
        mistakes.append(Mistake(before[-1] if before else "", problem.text))
    return mistakes, [{"line": problem.line, "column": problem.column} for problem in shown]


def _pointers(node: Node, pointer: str) -> Iterator[tuple[int, int, str]]:
    """Where each value begins, and its key, with the pointer to it."""
    yield node.start_mark.line + 1, node.start_mark.column + 1, pointer
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _pointers(item, f"{pointer}/{index}")
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            word = str(key.value) if isinstance(key, ScalarNode) else ""
            below = f"{pointer}/{word.replace('~', '~0').replace('/', '~1')}"
            yield key.start_mark.line + 1, key.start_mark.column + 1, below
            yield from _pointers(value, below)
