"""The grammar of scenarios as a JSON Schema, made from the same tables that the readers use."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, get_args

from fake_server.scenario import fields as of
from fake_server.scenario.answer_reader import MOST_ANSWERS, MOST_TIMES
from fake_server.scenario.fault_forms import COUNTED, FAULT_FORMS, keys_of_form
from fake_server.scenario.fault_reader import MOST_FAULTS
from fake_server.scenario.lifecycle_reader import MOST_RESULTS, OK
from fake_server.scenario.model import COUNTS, OUTCOMES, TIERS
from fake_server.scenario.reader import (
    LARGEST_COUNT,
    LARGEST_PRICE,
    LONGEST_SUMMARY,
    MOST_CLIENT_TASKS,
    MOST_CONCURRENT,
    REQUIRED,
    SERVICE_CHOICES,
)
from fake_server.wire import bodies
from fake_server.wire.endpoints import BY_NAME
from fake_server.wire.errors import SHAPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fake_server.scenario.fault_forms import FaultForm

__all__ = ["CANNOT_SAY", "scenario_schema"]

Schema = dict[str, Any]

DIALECT_OF_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
# What the reader refuses and no schema can say; the test that holds both equal knows these and no others.
CANNOT_SAY = (
    "a status that nearly is a listed one, and is not marked as unlisted",
    "durations above ten years, more than 100000 polls, and stretches of time that end before they begin",
    "in the long form of a life: which step may follow which, and where a length belongs",
    "results of a life that does not end as SUCCEEDED, or beside an endpoint that makes one thing",
    "as many outcomes as the driver makes tasks, and an endpoint that every dialect has",
    "two faults of one name, keys that stand twice, and too large numbers in quotes",
    "whole numbers that are written with a point",
)

_ONE_DURATION = of.DURATION_PATTERN[1:-1]
_WORD = "[A-Z][A-Z0-9_]{0,63}"
_CODE = "[A-Za-z][A-Za-z0-9_.]{0,99}"
_LENGTH = rf"({_ONE_DURATION}|[0-9]{{1,9}} polls?)"
_MIDDLE = rf"(?!(SUCCEEDED|FAILED|CANCELED)\s){_WORD} \s*{_LENGTH}"
_LAST = rf"(FAILED \s*{_CODE}|{_WORD})"
LIFECYCLE_PATTERN = rf"^\s*({_MIDDLE}\s*->\s*)*{_LAST}\s*$"

_TEXT: Schema = {"type": ["string", "number", "boolean"], "minLength": 1}
_DECIMAL_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"


def _object(properties: Mapping[str, Any], required: tuple[str, ...] = ()) -> Schema:
    schema: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


def _integer(low: int, high: int) -> Schema:
    return dict(of.integer(low, high).schema)


def _decimal(high: float) -> Schema:
    return {
        "anyOf": [{"type": "number", "minimum": 0, "maximum": high}, {"type": "string", "pattern": _DECIMAL_PATTERN}]
    }


def _life() -> Schema:
    short = {"type": "string", "pattern": LIFECYCLE_PATTERN}
    step: Schema = _object(
        {
            "status": {"type": "string", "pattern": f"^{_WORD}$"},
            "for": {"type": "string", "pattern": f"^{_LENGTH}$"},
            "code": _TEXT,
            "message": _TEXT,
            "unlisted": {"type": "boolean"},
        },
        ("status",),
    )
    # Only a failure has a reason.
    step["if"] = {"properties": {"status": {"not": {"const": bodies.FAILED}}}}
    step["then"] = {"properties": {"code": False, "message": False}}
    result = {"anyOf": [{"const": OK}, _object({"code": _TEXT, "message": _TEXT}, ("code",))]}
    long = _object(
        {
            "lifecycle": short,
            "steps": {"type": "array", "items": step, "minItems": 1},
            "usage": {"enum": list(get_args(bodies.UsageForm))},
            "url_in": {"enum": list(get_args(bodies.UrlPlace))},
            "times": {"type": "boolean"},
            "billed_share": _decimal(1),
            "results": {"type": "array", "items": result, "minItems": 1, "maxItems": MOST_RESULTS},
        }
    )
    long["oneOf"] = [{"required": ["lifecycle"]}, {"required": ["steps"]}]
    return {"anyOf": [short, long]}


def _answers(route: str) -> Schema:
    hint = {
        "retry_after": of.duration().schema,
        "form": {"enum": ["seconds", "http-date", "none"]},
        "header": of.header_value().schema,
    }
    error = {"code": of.codes().schema, "message": _TEXT, "shape": {"enum": list(SHAPES)}}
    times = {"times": _integer(1, MOST_TIMES)}
    when = {"enum": ["before_commit", "after_commit"]}
    status = {
        "status": _integer(200, 599),
        **times,
        **hint,
        **error,
        **({"when": when} if route == "create" else {}),
        "body": {"type": ["string", "number", "boolean", "null", "object", "array"]},
        "content_type": of.header_value().schema,
        "headers": of.header_table().schema,
    }
    kinds = [
        _object({"pass": _integer(1, MOST_TIMES)}, ("pass",)),
        _object({"throttle": _object({**hint, **error}), **times}, ("throttle",)),
        _object(status, ("status",)),
        _object({"drop": when, "how": {"enum": ["reset", "close"]}, **times}, ("drop",)),
    ]
    return {"type": "array", "items": {"anyOf": kinds}, "maxItems": MOST_ANSWERS}


def _fault(name: str, form: FaultForm) -> Schema:
    schema = of.object_schema(keys_of_form(form), ("fault", *form.required))
    schema["description"] = form.what
    schema["properties"] = {"fault": {"const": name}, **schema["properties"]}
    together = [{"required": [one, other]} for one in COUNTED for other in COUNTED if one < other]
    if "text" in form.fields:
        together.append({"required": ["text", "body"]})
    schema["not"] = {"anyOf": together}
    if form.one_of:
        schema["oneOf"] = [{"required": [key]} for key in form.one_of]
    some = {key for keys in form.keys_of.values() for key in keys}
    kinds = form.fields["kind"].schema["enum"] if form.keys_of else []
    rules = [
        {
            "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
            "then": {"properties": dict.fromkeys(sorted(some - set(form.keys_of.get(kind, ()))), False)},
        }
        for kind in kinds
    ]
    return {**schema, "allOf": rules} if rules else schema


def _client() -> Schema:
    return _object(
        {
            "tasks": _integer(1, MOST_CLIENT_TASKS),
            "cancel": {"enum": [bodies.PENDING, bodies.RUNNING]},
            "timeout": of.duration().schema,
            "submit_timeout": of.duration().schema,
            "download": {"type": "boolean"},
            "endpoint": {"enum": list(BY_NAME)},
            "model": _TEXT,
            "input": {"type": "object"},
            "parameters": {"type": "object"},
        }
    )


def _quotas() -> Schema:
    numbers = ("concurrent_tasks", "queries_per_second", "images_per_minute")
    quotas = _object(
        {
            **{name: _integer(1, MOST_CONCURRENT) for name in numbers},
            "tier": {"enum": list(TIERS)},
            "by_model": {"type": "boolean"},
        }
    )
    quotas["if"] = {"properties": {"by_model": {"const": True}}, "required": ["by_model"]}
    quotas["then"] = {"properties": {"concurrent_tasks": False}}
    return quotas


def scenario_schema() -> Schema:
    """The schema of a scenario file, as `scenarios/schema.json` holds it."""
    outcome = {"enum": list(OUTCOMES)}
    outcomes = {"anyOf": [outcome, {"type": "array", "items": outcome, "minItems": 1}]}
    faults = {"type": "array", "items": {"$ref": "#/$defs/fault"}, "maxItems": MOST_FAULTS}
    dialects = {"type": "array", "items": {"enum": list(bodies.DIALECTS)}, "minItems": 1}
    properties = {
        "version": of.of_version().schema,
        "summary": {**_TEXT, "maxLength": LONGEST_SUMMARY},
        "dialects": dialects,
        "quotas": _quotas(),
        "service": _object({key: {"enum": list(words)} for key, words in SERVICE_CHOICES.items()}),
        "prices": {"type": "object", "additionalProperties": _decimal(float(LARGEST_PRICE))},
        "create": _answers("create"),
        "tasks": {"type": "array", "items": _life(), "minItems": 1},
        "poll": _answers("poll"),
        "faults": faults,
        **{key: of.duration().schema for key in ("retention", "url_lifetime", "takes")},
        "client": _client(),
        "expect": _object({"outcome": outcomes, **{key: _integer(0, LARGEST_COUNT) for key in COUNTS}}, ("outcome",)),
    }
    schema = _object(properties, tuple(REQUIRED))
    return {
        "$schema": DIALECT_OF_SCHEMA,
        "title": "A scenario of fake-dashscope",
        "$comment": f"What this cannot say, and the fake refuses: {'; '.join(CANNOT_SAY)}.",
        **schema,
        "$defs": {"fault": {"anyOf": [_fault(name, form) for name, form in FAULT_FORMS.items()]}},
    }


def spelt() -> str:
    """The schema as its file holds it."""
    return json.dumps(scenario_schema(), indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(spelt())
