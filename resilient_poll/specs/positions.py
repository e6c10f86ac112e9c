"""YAML and JSON with positions: each complaint names line and column, what was found and what was expected."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, TypeVar

from resilient_poll.errors import ConfigurationError

try:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
except ImportError as error:
    raise ConfigurationError(
        "declarations in files need the package ruamel.yaml: pip install 'resilient-poll[specs]'"
    ) from error

__all__ = [
    "LARGEST_FILE_BYTES",
    "Found",
    "MappingNode",
    "Node",
    "Notes",
    "Problem",
    "ScalarNode",
    "SequenceNode",
    "compose",
    "plain",
]

LARGEST_FILE_BYTES = 100_000
"""A declaration is a page. What is larger is a mistake or an attack."""
MOST_BRACKETS = 1_000
"""More opening brackets than a page holds; nested in each other they take the parser seconds."""
DEEPEST = 12
"""A declaration nests five deep."""
MOST_PROBLEMS = 50
_QUOTED = 60
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,15})(\.[0-9]{1,15})?")

Value = TypeVar("Value")
Found = dict[str, tuple[Node, Node]]
"""Key and value by key."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One complaint; line and column count from 1."""

    line: int
    column: int
    text: str


class _Refused(Exception):
    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__()


def quote(text: str) -> str:
    """Return a found value for a complaint: short, on one line, printable."""
    shown = text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"
    return "".join(one if one.isprintable() else "�" for one in shown)


@dataclass(slots=True)
class Notes:
    """Collects the complaints of one file, and reads nodes into values.

    Each method returns None, and notes why, where a node is not what was expected.

    Attributes:
        name: What messages call the file.
        problems: The complaints.
    """

    name: str
    problems: list[Problem] = field(default_factory=list)

    def error(self) -> ConfigurationError:
        """Return the error that tells all complaints, one a line."""
        rows = sorted(set(self.problems))
        lines = [f"{self.name}:{row.line}:{row.column}: {row.text}" for row in rows[:MOST_PROBLEMS]]
        if len(rows) > MOST_PROBLEMS:
            lines.append(f"{self.name}: … and {len(rows) - MOST_PROBLEMS} more")
        return ConfigurationError("\n".join(lines))

    def at(self, node: Node, text: str) -> None:
        """Note a complaint at a node."""
        self.problems.append(Problem(node.start_mark.line + 1, node.start_mark.column + 1, text))

    def wrong(self, node: Node, expected: str, known: Collection[str] = ()) -> None:
        """Note that something else was expected at a node."""
        near = difflib.get_close_matches(str(node.value), sorted(known), n=1) if isinstance(node, ScalarNode) else []
        self.at(node, f"found {_described(node)}, expected {expected}{f'; did you mean {near[0]}?' if near else ''}")

    def made(self, node: Node, make: Callable[..., Value], *values: Any, **named: Any) -> Value | None:
        """Return what is made of values; what makes no sense is noted at the node."""
        try:
            return make(*values, **named)
        except ConfigurationError as error:
            self.at(node, " ".join(str(error).split()))
            return None

    def mapping(self, node: Node, expected: str, keys: Collection[str] | None) -> Found | None:
        """Return keys and values; unknown and repeated keys are noted. No ``keys`` allow all."""
        if not isinstance(node, MappingNode):
            self.wrong(node, expected)
            return None
        found: Found = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, ScalarNode) else None
            if key is None:
                self.wrong(key_node, "a word as key")
            elif key in found:
                first = found[key][0].start_mark.line + 1
                self.at(key_node, f"found the key {quote(key)} again, expected it once (first on line {first})")
            elif keys is not None and key not in keys:
                near = difflib.get_close_matches(key, sorted(keys), n=1)
                mean = f"; did you mean {near[0]}?" if near else ""
                self.at(key_node, f"found the key {quote(key)}, expected one of {', '.join(keys)}{mean}")
            else:
                found[key] = (key_node, value_node)
        return found

    def items(self, node: Node, expected: str) -> list[Node]:
        """Return the items of a list."""
        if isinstance(node, SequenceNode):
            return list(node.value)
        self.wrong(node, expected)
        return []

    def text(self, node: Node, expected: str) -> str | None:
        """Return a text; numbers and words that YAML reads as such are taken as they are written."""
        if isinstance(node, ScalarNode) and (node.value or node.style):
            try:
                return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")  # JSON writes pairs.
            except UnicodeDecodeError:
                self.at(node, "found half a character, expected text")
                return None
        self.wrong(node, expected)
        return None

    def choice(self, node: Node, choices: Collection[str]) -> str | None:
        """Return one of some words."""
        if isinstance(node, ScalarNode) and node.value in choices:
            return str(node.value)
        self.wrong(node, "one of " + ", ".join(choices), choices)
        return None

    def flag(self, node: Node) -> bool | None:
        """Return ``true`` or ``false``."""
        if isinstance(node, ScalarNode) and node.style is None and node.value in {"true", "false"}:
            return bool(node.value == "true")
        self.wrong(node, "true or false")
        return None

    def number(self, node: Node, expected: str) -> float | None:
        """Return a number."""
        if isinstance(node, ScalarNode) and node.style is None and _NUMBER.fullmatch(node.value):
            return float(node.value)
        self.wrong(node, expected)
        return None

    def whole(self, node: Node, expected: str) -> int | None:
        """Return a whole number."""
        value = plain(node)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        self.wrong(node, expected)
        return None


def plain(node: Node) -> str | int | float | bool | None:
    """Return a scalar as JSON would read it; None for what is none."""
    if not isinstance(node, ScalarNode):
        return None
    value = str(node.value)
    if node.style is not None:
        return value
    if value in {"true", "false"}:
        return value == "true"
    if match := _NUMBER.fullmatch(value):
        return float(value) if match[1] else int(value)
    return None if value in {"", "null", "~"} else value


def _described(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    return quote(str(node.value)) if node.value else "nothing"


def compose(text: str, notes: Notes) -> Node:
    """Return the root node of a text.

    Raises:
        ConfigurationError: It is too large, or not plain YAML. Anchors, aliases and tags are refused: they are how
            YAML bombs are built and how code is run.
    """
    try:
        return _checked(_composed(text))
    except _Refused as refused:
        notes.problems.extend(refused.problems)
        raise notes.error() from None


def _composed(text: str) -> Node:
    if len(text) > LARGEST_FILE_BYTES:
        raise _Refused(Problem(1, 1, f"found more than {LARGEST_FILE_BYTES} bytes, expected a page"))
    if text.count("[") + text.count("{") > MOST_BRACKETS:
        raise _Refused(Problem(1, 1, f"found more than {MOST_BRACKETS} opening brackets, expected a declaration"))
    if text.lstrip("\ufeff \r\n\t").startswith("{"):
        text = text.replace("\t", " ")  # JSON allows tabs between its parts, and nowhere else.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Anchors defined twice: here every anchor is a complaint.
            node: Node | None = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = quote(" ".join(str(error.problem or "broken YAML").split()))
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _Refused(Problem(line, column, f"found broken YAML ({said}), expected a declaration")) from None
    except (YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
        # The last four are faults of the parser on text that is none of its own.
        what = "nesting beyond reason" if isinstance(error, RecursionError) else "broken YAML"
        raise _Refused(Problem(1, 1, f"found {what}, expected a declaration")) from None
    if node is None:
        raise _Refused(Problem(1, 1, "found nothing, expected a declaration that starts with version: 1"))
    return node


def _checked(root: Node) -> Node:
    problems: list[Problem] = []
    seen: set[int] = set()
    waiting = [(root, 0)]
    while waiting:  # Without recursion, and each node once: aliases make cycles.
        node, depth = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        found = None
        if node.anchor:
            found = f"the anchor &{quote(str(node.anchor))}, expected plain values"
        elif not str(node.tag).startswith("tag:yaml.org,2002:") or "python" in str(node.tag):
            found = f"the tag {quote(str(node.tag))}, expected plain values"
        elif depth > DEEPEST:
            found = f"nesting deeper than {DEEPEST}, expected a declaration"
        if found is not None:
            problems.append(Problem(node.start_mark.line + 1, node.start_mark.column + 1, f"found {found}"))
            continue
        if isinstance(node, SequenceNode):
            waiting.extend((child, depth + 1) for child in node.value)
        elif isinstance(node, MappingNode):
            waiting.extend((child, depth + 1) for pair in node.value for child in pair)
    if problems:
        raise _Refused(*problems)
    return root
