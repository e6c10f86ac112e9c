"""YAML with positions: every complaint names line and column, and all of them come in one go.

ruamel.yaml composes the nodes; reading them is our own small code rather than a validation library.
The reasons: a position inside a value (the third step of a one-line lifecycle) must be nameable, all
complaints share one wording (found, expected, did you mean), and the server starts 100 ms sooner.
"""

from __future__ import annotations

import difflib
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

# A scenario is a page of text. What is larger is a mistake or an attack, and the parser reads some 80 KB a second.
LARGEST_FILE_BYTES = 100_000
# More opening brackets than a page of text holds; nested in each other they take the parser seconds.
MOST_BRACKETS = 2_000
# The grammar nests five deep; the parser itself gives up at the interpreter's recursion limit.
DEEPEST_NESTING = 20
# More complaints than this help nobody; the count of the rest is told.
MOST_PROBLEMS = 100
# A found value is quoted up to this length, so that a complaint stays one line.
LONGEST_QUOTE = 60

_NULLS = frozenset({"null", "Null", "NULL", "~"})
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
# Ten years: longer steps are typing errors, and dates must stay formattable.
LONGEST_DURATION_S = 10 * 365 * 86_400.0
DURATION_EXPECTED = "a time such as 20s, 500ms, 5m or 24h"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One complaint about a file; line and column count from 1."""

    line: int
    column: int
    text: str


class ScenarioErrors(Exception):
    """A file is no scenario. `str()` gives one complaint a line.

    Args:
        path: The file.
        problems: At least one complaint, in the order of the file.
    """

    def __init__(self, path: Path, problems: Collection[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(self.lines()))

    def lines(self) -> Iterator[str]:
        """`file:line:column: text`, one for each complaint."""
        for problem in self.problems[:MOST_PROBLEMS]:
            yield f"{self.path}:{problem.line}:{problem.column}: {problem.text}"
        if len(self.problems) > MOST_PROBLEMS:
            yield f"{self.path}: … and {len(self.problems) - MOST_PROBLEMS} more"


def quote(text: str) -> str:
    """A found value in a complaint: short, on one line, without control characters."""
    shown = text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 1] + "…"
    return "".join(character if character.isprintable() else "�" for character in shown)


def did_you_mean(word: str, known: Collection[str]) -> str:
    """The end of a complaint: the nearest known word, if one is near."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def parse_duration(text: str) -> float | None:
    """Seconds of a duration such as `1.5s`, or None if it is none (negative ones are none)."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    seconds = float(match[1]) * _SECONDS[match[2]]
    return seconds if seconds <= LONGEST_DURATION_S else None


def describe(node: Node) -> str:
    """What a node is, for the `found` half of a complaint."""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    return quote(str(node.value)) if node.value else "nothing"


@dataclass(slots=True)
class Notes:
    """Collects the complaints of one file, and reads nodes into values.

    Every `as_…` method returns None (and notes why) where the node is not what was expected.
    """

    problems: list[Problem] = field(default_factory=list)

    def at(self, node: Node, text: str, offset: int = 0) -> None:
        """Note a complaint at a node, or `offset` characters into it."""
        mark = node.start_mark
        quoted = 1 if offset and getattr(node, "style", None) in ("'", '"') else 0
        self.problems.append(Problem(mark.line + 1, mark.column + 1 + offset + quoted, text))

    def wrong(self, node: Node, expected: str, suggestion: str = "") -> None:
        """Note that something else was expected at a node."""
        self.at(node, f"found {describe(node)}, expected {expected}{suggestion}")

    def as_mapping(
        self, node: Node, expected: str, keys: Collection[str] | None
    ) -> dict[str, tuple[Node, Node]] | None:
        """Key and value nodes by key; unknown and repeated keys are noted. `keys` None allows all."""
        if not isinstance(node, MappingNode):
            self.wrong(node, expected)
            return None
        found: dict[str, tuple[Node, Node]] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, ScalarNode) else None
            if key is None:
                self.wrong(key_node, "a word as key")
            elif key in found:
                first = found[key][0].start_mark.line + 1
                self.at(key_node, f"found the key {quote(key)} again, expected it once (first on line {first})")
            elif keys is not None and key not in keys:
                known = ", ".join(keys)
                suggestion = did_you_mean(key, keys)
                self.at(key_node, f"found the key {quote(key)}, expected one of {known}{suggestion}")
            else:
                found[key] = (key_node, value_node)
        return found

    def as_list(self, node: Node, expected: str) -> list[Node] | None:
        """The items of a list."""
        if isinstance(node, SequenceNode):
            return list(node.value)
        self.wrong(node, expected)
        return None

    def as_text(self, node: Node, expected: str) -> str | None:
        """A string that says something; numbers and flags, which YAML would read as such, are taken as written."""
        if isinstance(node, ScalarNode) and node.value and (node.style is not None or node.value not in _NULLS):
            return str(node.value)
        self.wrong(node, expected)
        return None

    def as_choice(self, node: Node, choices: Collection[str]) -> str | None:
        """One of some words."""
        if isinstance(node, ScalarNode) and node.value in choices:
            return str(node.value)
        suggestion = did_you_mean(str(node.value), choices) if isinstance(node, ScalarNode) else ""
        self.wrong(node, "one of " + ", ".join(choices) if len(choices) > 1 else next(iter(choices)), suggestion)
        return None

    def as_integer(self, node: Node, low: int, high: int) -> int | None:
        """A whole number within bounds, both included."""
        if isinstance(node, ScalarNode) and node.style is None and re.fullmatch(r"[0-9]{1,12}", node.value):
            number = int(node.value)
            if low <= number <= high:
                return number
        self.wrong(node, f"a whole number from {low} to {high}")
        return None

    def as_flag(self, node: Node) -> bool | None:
        """`true` or `false`."""
        if isinstance(node, ScalarNode) and node.style is None and node.value in ("true", "false"):
            return bool(node.value == "true")
        self.wrong(node, "true or false")
        return None

    def as_duration(self, node: Node) -> float | None:
        """A duration in seconds."""
        seconds = parse_duration(node.value) if isinstance(node, ScalarNode) else None
        if seconds is None:
            self.wrong(node, DURATION_EXPECTED)
        return seconds


def compose(path: Path) -> Node:
    """The root node of a file.

    Raises:
        ScenarioErrors: If the file cannot be read, is too large, is not UTF-8 or not plain YAML. Anchors,
            aliases and tags are refused: a scenario needs none, and they are how YAML bombs are built.
    """
    try:
        if path.is_fifo():
            # Whoever reads it waits until somebody writes, which may be never.
            raise ScenarioErrors(path, [Problem(1, 1, "found a pipe, expected a file")])
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no usable path"
        raise ScenarioErrors(path, [Problem(1, 1, f"found no readable file ({reason}), expected one")]) from None
    return compose_bytes(raw, path)


def compose_bytes(raw: bytes, path: Path) -> Node:
    """The root node of a file's content.

    Args:
        raw: The content; JSON is YAML too.
        path: What complaints call it.

    Raises:
        ScenarioErrors: As :func:`compose` does.
    """
    if len(raw) > LARGEST_FILE_BYTES:
        text = f"found more than {LARGEST_FILE_BYTES} bytes, expected a scenario of a page or two"
        raise ScenarioErrors(path, [Problem(1, 1, text)])
    try:
        return _checked(_composed(raw.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        text = f"found the byte 0x{raw[error.start]:02x}, expected UTF-8 text"
        raise ScenarioErrors(path, [Problem(line, column, text)]) from None
    except _RefusedError as refused:
        raise ScenarioErrors(path, refused.problems) from None


class _RefusedError(Exception):
    """Carries complaints from below to :func:`compose`, which knows the path."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


def _composed(text: str) -> Node:
    brackets = text.count("[") + text.count("{")
    if brackets > MOST_BRACKETS:
        raise _RefusedError(Problem(1, 1, f"found {brackets} opening brackets, expected a scenario"))
    try:
        with warnings.catch_warnings():
            # ruamel warns of anchors defined twice; here every anchor is a complaint of its own.
            warnings.simplefilter("ignore")
            node: Node | None = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        raise _RefusedError(_from_parser(error)) from None
    except ReaderError as error:
        before = text[: error.position]
        column = error.position - before.rfind("\n")
        what = f"found the character U+{ord(text[error.position]):04X}, expected printable text"
        raise _RefusedError(Problem(before.count("\n") + 1, column, what)) from None
    except (YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
        # The last four are faults of the parser on text that is none of its own, such as "\U99999999".
        what = "nesting beyond reason" if isinstance(error, RecursionError) else "broken YAML"
        raise _RefusedError(Problem(1, 1, f"found {what}, expected a scenario")) from None
    if node is None:
        raise _RefusedError(Problem(1, 1, "found an empty file, expected a scenario that starts with version: 1"))
    return node


def _from_parser(error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    problem = " ".join(str(error.problem or "broken YAML").split())
    if "'\\t'" in problem:
        problem = "found a tab, expected spaces"
    elif problem == "mapping values are not allowed here":
        problem = 'found a second colon, expected quotes around a value that holds ": "'
    elif problem == "but found another document":
        problem = "found another document, expected one scenario a file"
    elif not problem.startswith("found"):
        problem = f"found broken YAML ({problem}), expected a scenario"
    return Problem(mark.line + 1 if mark else 1, mark.column + 1 if mark else 1, problem)


def _checked(root: Node) -> Node:
    """Refuse what no scenario needs, without recursion, and each node once (aliases make cycles)."""
    problems: list[Problem] = []
    seen: set[int] = set()
    waiting: list[tuple[Node, int]] = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        found = None
        if node.anchor:
            found = f"the anchor &{quote(str(node.anchor))}, expected plain values (anchors are not read here)"
        elif not str(node.tag).startswith("tag:yaml.org,2002:") or "python" in str(node.tag):
            found = f"the tag {quote(str(node.tag))}, expected plain values (tags are not read here)"
        elif depth > DEEPEST_NESTING:
            found = f"nesting deeper than {DEEPEST_NESTING}, expected a scenario"
        if found:
            mark = node.start_mark
            problems.append(Problem(mark.line + 1, mark.column + 1, "found " + found))
        else:
            waiting.extend((child, depth + 1) for child in _children(node))
    if problems:
        raise _RefusedError(*problems)
    return root


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node, SequenceNode):
        yield from node.value
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(value, ScalarNode) and value.style is None and not value.value:
                value.start_mark = key.end_mark  # The parser places a missing value at whatever comes next.
            yield key
            yield value
