"""Readers of single values, each with the JSON Schema of what it takes: the table of the faults is made of them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from fake_server.scenario.answer_reader import plain_value, read_codes, read_header_value, read_headers
from fake_server.scenario.yaml_nodes import DURATION_EXPECTED, Notes, parse_duration
from fake_server.wire import bodies

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ruamel.yaml.nodes import Node

GRAMMAR_VERSION = 1
# What YAML reads as a duration here; the bound of ten years cannot be said in a pattern.
DURATION_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h|d)$"
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
HEADER_VALUE_PATTERN = r"^[\x20-\x7e]{0,1000}$"
HEADER_NAME_PATTERN = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"


@dataclass(frozen=True, slots=True)
class Field:
    """One value of the grammar.

    Args:
        read: Reads a node; notes why and returns None where it cannot.
        schema: What it takes, in JSON Schema.
    """

    read: Callable[[Node, Notes], Any]
    schema: Mapping[str, Any]


def duration(*, above_zero: bool = False) -> Field:
    """A time such as `20s`, in seconds."""

    def read(node: Node, notes: Notes) -> float | None:
        seconds = notes.as_duration(node)
        if seconds == 0 and above_zero:
            notes.wrong(node, f"{DURATION_EXPECTED}, above 0")
            return None
        return seconds

    return Field(read, {"type": "string", "pattern": DURATION_PATTERN})


def window() -> Field:
    """A stretch of time such as `10s..60s` or `10s..`, as two numbers of seconds."""
    expected = "a stretch of time such as 0s..60s, or 10s.. without an end"

    def read(node: Node, notes: Notes) -> tuple[float, float] | None:
        text = str(node.value) if isinstance(node, ScalarNode) else ""
        begin, dots, end = text.partition("..")
        from_s = parse_duration(begin)
        until_s = parse_duration(end) if end else float("inf")
        if not dots or from_s is None or until_s is None or until_s <= from_s:
            notes.wrong(node, expected)
            return None
        return from_s, until_s

    one = DURATION_PATTERN[1:-1]
    return Field(read, {"type": "string", "pattern": rf"^{one}\.\.({one})?$"})


def integer(low: int, high: int) -> Field:
    """A whole number within bounds."""
    return Field(
        lambda node, notes: notes.as_integer(node, low, high), {"type": "integer", "minimum": low, "maximum": high}
    )


def integers(low: int, high: int, most: int) -> Field:
    """A whole number, or a list of some."""

    def read(node: Node, notes: Notes) -> tuple[int, ...] | None:
        items = list(node.value) if isinstance(node, SequenceNode) else [node]
        if not 1 <= len(items) <= most:
            notes.at(node, f"found {len(items)} numbers, expected 1 to {most}")
        numbers = [notes.as_integer(item, low, high) for item in items]
        return tuple(dict.fromkeys(number for number in numbers if number is not None)) or None

    one = {"type": "integer", "minimum": low, "maximum": high}
    return Field(read, {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": most}]})


def number(high: float) -> Field:
    """A decimal number from 0 on."""

    def read(node: Node, notes: Notes) -> float | None:
        if isinstance(node, ScalarNode) and node.style is None and _NUMBER.fullmatch(node.value):
            found = float(node.value)
            if found <= high:
                return found
        notes.wrong(node, f"a decimal number from 0 to {high:g}")
        return None

    return Field(read, {"type": "number", "minimum": 0, "maximum": high})


def choice(words: Collection[str]) -> Field:
    """One of some words."""
    return Field(lambda node, notes: notes.as_choice(node, words), {"enum": list(words)})


def choices(words: Collection[str]) -> Field:
    """One of some words, or a list of them."""

    def read(node: Node, notes: Notes) -> tuple[str, ...] | None:
        items = list(node.value) if isinstance(node, SequenceNode) else [node]
        if not items:
            notes.at(node, f"found an empty list, expected one of {', '.join(words)}")
        found = [notes.as_choice(item, words) for item in items]
        return tuple(dict.fromkeys(word for word in found if word)) or None

    one = {"enum": list(words)}
    return Field(read, {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})


def flag() -> Field:
    """`true` or `false`."""
    return Field(lambda node, notes: notes.as_flag(node), {"type": "boolean"})


def text(expected: str, longest: int) -> Field:
    """Any text that is not empty."""

    def read(node: Node, notes: Notes) -> str | None:
        found = notes.as_text(node, expected)
        if found is not None and len(found) > longest:
            notes.at(node, f"found {len(found)} characters, expected at most {longest}")
            return None
        return found

    return Field(read, {"type": ["string", "number", "boolean"], "minLength": 1, "maxLength": longest})


def matching(pattern: str, expected: str) -> Field:
    """A text of a form."""
    form = re.compile(pattern)

    def read(node: Node, notes: Notes) -> str | None:
        if isinstance(node, ScalarNode) and form.fullmatch(str(node.value)):
            return str(node.value)
        notes.wrong(node, expected)
        return None

    return Field(read, {"type": "string", "pattern": f"^{pattern}$"})


def of_version() -> Field:
    """The version of the grammar."""

    def read(node: Node, notes: Notes) -> int | None:
        if isinstance(node, ScalarNode) and node.value == str(GRAMMAR_VERSION):
            return GRAMMAR_VERSION
        notes.wrong(node, f"{GRAMMAR_VERSION}, the version of the grammar that is read here")
        return None

    return Field(read, {"enum": [GRAMMAR_VERSION, str(GRAMMAR_VERSION)]})


def task() -> Field:
    """A task by its number in order of creation, or by its id."""
    expected = "the number of a task, from 1, or its id"

    def read(node: Node, notes: Notes) -> int | str | None:
        found = str(node.value) if isinstance(node, ScalarNode) else ""
        if found.isascii() and found.isdigit() and len(found) <= 6 and int(found):
            return int(found)
        if re.fullmatch(r"[0-9a-f-]{36}", found):
            return found
        notes.wrong(node, expected)
        return None

    by_id = {"type": "string", "pattern": "^([0-9a-f-]{36})$"}
    return Field(read, {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 999_999}, by_id]})


def header_value() -> Field:
    """The value of a header."""
    # Nothing at all is an empty value.
    return Field(read_header_value, {"type": ["string", "number", "boolean", "null"], "pattern": HEADER_VALUE_PATTERN})


def header_table() -> Field:
    """Headers by name."""
    schema = {
        "type": "object",
        "propertyNames": {
            "pattern": HEADER_NAME_PATTERN,
            "not": {"pattern": "^([cC][oO][nN][tT][eE][nN][tT]-[lL][eE][nN][gG][tT][hH]"
            "|[tT][rR][aA][nN][sS][fF][eE][rR]-[eE][nN][cC][oO][dD][iI][nN][gG])$"},
        },
        "additionalProperties": header_value().schema,
    }  # fmt: skip
    return Field(read_headers, schema)


def codes() -> Field:
    """An error code, or one for each dialect."""
    one = {"type": ["string", "number", "boolean"], "minLength": 1}
    by_dialect = {
        "type": "object",
        "properties": dict.fromkeys(bodies.DIALECTS, one),
        "additionalProperties": False,
    }
    return Field(read_codes, {"anyOf": [one, by_dialect]})


def document() -> Field:
    """A mapping or list that goes out as JSON."""

    def read(node: Node, notes: Notes) -> bytes | None:
        if isinstance(node, ScalarNode):
            notes.wrong(node, "a mapping or a list, which goes out as JSON")
            return None
        return json.dumps(plain_value(node, notes)).encode()

    return Field(read, {"type": ["object", "array"]})


def section(fields: Mapping[str, Field], expected: str, required: Collection[str] = ()) -> Field:
    """A mapping of some fields."""

    def read(node: Node, notes: Notes) -> dict[str, Any] | None:
        found = notes.as_mapping(node, expected, tuple(fields))
        if found is None:
            return None
        for key in required:
            if key not in found:
                notes.at(node, f"found no {key}, expected {expected}")
        return {key: fields[key].read(value, notes) for key, (_, value) in found.items()}

    return Field(read, object_schema(fields, required))


def either(scalar: Field, other: Field) -> Field:
    """One field for words and numbers, another for mappings and lists."""

    def read(node: Node, notes: Notes) -> Any:
        return (scalar if isinstance(node, ScalarNode) else other).read(node, notes)

    return Field(read, {"anyOf": [scalar.schema, other.schema]})


def object_schema(fields: Mapping[str, Field], required: Collection[str] = ()) -> dict[str, Any]:
    """The JSON Schema of a mapping of some fields and no others."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {key: dict(field.schema) for key, field in fields.items()},
        "additionalProperties": False,
    }
    if required:
        schema["required"] = list(required)
    return schema


def is_mapping(node: Node) -> bool:
    """Whether a node is a mapping."""
    return isinstance(node, MappingNode)
