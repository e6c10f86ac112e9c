"""The shapes of admin bodies and answers, in JSON Schema; those of records follow from their dataclasses."""

from __future__ import annotations

import dataclasses
import types
import typing
from decimal import Decimal
from typing import Any, Literal, get_args

from fake_server.operating import TaskRow
from fake_server.rules.billing import BillRow
from fake_server.rules.expectations import Judgement, Verdict
from fake_server.rules.journal import Entry
from fake_server.scenario.model import OUTCOMES, Quotas
from fake_server.scenario.yaml_nodes import LONGEST_DURATION_S

Shape = dict[str, Any]

TEXT: Shape = {"type": "string"}
NUMBER: Shape = {"type": "number"}
COUNT: Shape = {"type": "integer", "minimum": 0}
FLAG: Shape = {"type": "boolean"}
MAYBE_TEXT: Shape = {"type": ["string", "null"]}
MAYBE_NUMBER: Shape = {"type": ["number", "null"]}
# As Fields.duration_s reads it. The bound of ten years cannot be said in a pattern.
DURATION: Shape = {
    "oneOf": [
        {"type": "number", "minimum": 0, "maximum": LONGEST_DURATION_S},
        {"type": "string", "pattern": r"^[0-9]{1,6}(\.[0-9]{1,6})?(ms|s|m)$"},
    ]
}
_SIMPLE: dict[Any, Shape] = {
    str: TEXT,
    int: {"type": "integer"},
    float: NUMBER,
    bool: FLAG,
    Decimal: TEXT,
    types.NoneType: {"type": "null"},
}


def record(required: Shape, optional: Shape | None = None, *, open_ended: bool = False) -> Shape:
    """An object with these fields and, unless it is open-ended, no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": open_ended,
    }


def rows(item: Shape) -> Shape:
    """A list."""
    return {"type": "array", "items": item}


def table(values: Shape) -> Shape:
    """An object with any keys."""
    return {"type": "object", "additionalProperties": values}


def one_or_more(item: Shape) -> Shape:
    """A value, or a list of some."""
    return {"oneOf": [item, {"type": "array", "items": item, "minItems": 1, "maxItems": 100}]}


def shape_of(kind: type) -> Shape:
    """The shape of a dataclass as pages show it."""
    hints = typing.get_type_hints(kind)
    return record({field.name: _shape_of_type(hints[field.name]) for field in dataclasses.fields(kind)})


def _shape_of_type(hint: Any) -> Shape:
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_shape_of_type(argument) for argument in arguments]}
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return rows(_shape_of_type(arguments[0]))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return shape_of(hint)
    raise TypeError(f"no shape for {hint!r}")  # A new field of a record; the first import fails.


ERRORS = record(
    {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": record({"pointer": TEXT, "detail": TEXT}, {"line": COUNT, "column": COUNT}),
        }
    }
)
CLOCK = record(
    {
        "kind": {"enum": ["real", "manual"]},
        "monotonic_s": NUMBER,
        "wall_s": NUMBER,
        "held_back": COUNT,
        "next_due_s": MAYBE_NUMBER,
    }
)
WORLD = record({"world": TEXT, "scenario": TEXT, "requests": COUNT, "clock": CLOCK})
TRANSITION = record({"task_id": TEXT, "from": MAYBE_TEXT, "to": TEXT, "at_s": NUMBER})
ADVANCED = record({**CLOCK["properties"], "transitions": rows(TRANSITION), "left_out": COUNT})
TASK = shape_of(TaskRow)
ENTRY = shape_of(Entry)
BILL = record({"tasks": rows(shape_of(BillRow)), "left_out": COUNT, "billed_tasks": COUNT, "total": TEXT})
JOURNAL = record({"entries": rows(ENTRY), "counters": table({"type": "integer"}), "forgotten": COUNT})
FOUND = record({"count": COUNT, "complete": FLAG, "entries": rows(ENTRY), "left_out": COUNT})
COUNTED = record({"count": COUNT, "complete": FLAG})
VERDICT = record(
    {
        "verdict": {"enum": list(get_args(Verdict))},
        "expectations": rows({**shape_of(Judgement), "additionalProperties": True}),
    },
    open_ended=True,
)
QUOTAS = record({**shape_of(Quotas)["properties"], "in_use": {"type": "object"}})
OUTCOME: Shape = {"enum": list(OUTCOMES)}
DIFFERENCE = record({"field": TEXT, "found": TEXT, "expected": TEXT})
SUGGESTION = record({"route": TEXT, "differences": rows(DIFFERENCE)})
UNMATCHED = record({"requests": rows(record({"entry": ENTRY, "nearest": rows(SUGGESTION)})), "forgotten": COUNT})
SCENARIO = record(
    {"name": TEXT},
    {
        "summary": TEXT,
        "dialects": rows(TEXT),
        "needs_socket": FLAG,
        "client": {"type": "object"},
        "expect": {"type": "object"},
        "error": TEXT,
    },
)
