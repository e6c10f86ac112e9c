"""The JSON Schema of the file form: editors may check files by it, so it takes what the reader takes."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

from resilient_poll import OperationSpec
from resilient_poll.specs.file_form import KEYS, STATES
from resilient_poll.specs.form_schema import SCHEMA
from resilient_poll.specs.ready import READY
from tests.specs.file_forms import as_file
from tests.specs.test_file_form import specs
from tests.support.profiles import examples
from tests.support.properties import GENUINE

VALIDATOR = jsonschema.Draft202012Validator(json.loads(json.dumps(SCHEMA)))


def test_the_schema_is_one() -> None:
    """It is a JSON Schema, and names the keys and states that the reader knows, no more and no fewer."""
    VALIDATOR.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == set(KEYS)
    assert set(SCHEMA["properties"]["states"]["properties"]) == set(STATES)


@settings(GENUINE, max_examples=examples(40))
@given(specs())
def test_the_schema_takes_what_the_reader_takes(spec: OperationSpec) -> None:
    """What is read as a declaration is valid."""
    VALIDATOR.validate(as_file(spec))


@pytest.mark.parametrize("spec", READY, ids=lambda spec: spec.name)
@pytest.mark.parametrize(
    "change",
    [
        {"statsu": "x"},
        {"version": 2},
        {"states": {"done": ["x"]}},
        {"states": {"succeeded": "x"}},
        {"billing": {"failed": "FREE"}},
        {"status": {"heder": "x"}},
        {"query": {"method": "GET"}},
        {"interval_s": "soon"},
        {"submit": {"method": "GET"}},
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(spec: OperationSpec, change: dict[str, Any]) -> None:
    """A misspelt key, a wrong word and a wrong type are invalid, as they are to the reader."""
    form = as_file(spec)
    VALIDATOR.validate(form)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(form | change)
