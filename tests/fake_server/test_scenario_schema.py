"""The published JSON Schema takes what the loader takes, and refuses what it refuses as far as a schema can."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from fake_server.scenario import ScenarioErrors, load_scenario_text, shipped_folder, shipped_scenarios
from fake_server.scenario.fault_forms import FAULT_FORMS, keys_of_form
from fake_server.scenario.schema import CANNOT_SAY, scenario_schema, spelt
from tests.fake_server.faulty import EFFECTS
from tests.support.profiles import examples

VALIDATOR = jsonschema.Draft202012Validator(scenario_schema())
# What the loader says of each thing that no schema can say, in the order of CANNOT_SAY.
BEYOND = (
    r"expected a listed status; did you mean",
    r"expected a time such as|or a number of polls such as|expected a stretch of time|ends before it begins",
    r"expected .* last: it is an end|without a length|with a length as last step",
    r"expected them of SUCCEEDED only|expected an endpoint that makes several things",
    r"outcomes for \d+ tasks|expected one that (aisa|dashscope) has",
    r"found the name|again, expected it once|expected a decimal number",
    r"expected a whole number|expected 1, the version",
)
EVERYTHING: dict[str, Any] = {
    "version": 1,
    "summary": "Everything at once.",
    "dialects": ["dashscope"],
    "quotas": {"concurrent_tasks": 3, "tier": "free", "by_model": False},
    "service": {"gzip": "always", "models": "any"},
    "prices": {"m": 0.5},
    "create": [
        {"throttle": {"retry_after": "3s", "form": "none"}, "times": 2},
        {"drop": "after_commit", "how": "close"},
    ],
    "tasks": [
        "PENDING 2s -> RUNNING 3 polls -> FAILED DataInspectionFailed",
        {"lifecycle": "SUCCEEDED", "results": ["ok", {"code": "X", "message": "No."}], "billed_share": 0.4},
        {"steps": [{"status": "PENDING", "for": "1 poll"}, {"status": "FAILED", "code": "X"}], "times": False},
    ],
    "poll": [{"pass": 2}, {"status": 502, "body": "<html>", "headers": {"X-A": "1"}, "code": {"aisa": "x"}}],
    "faults": [
        *EFFECTS,
        {
            "fault": "latency",
            "uniform": {"from": "1s", "to": "2s"},
            "on": ["create"],
            "name": "slow",
            "must_fire": False,
        },
        {"fault": "latency", "fixed": "1s", "task": 2, "window": "0s..60s", "probability": 0.5, "times": 3},
        {"fault": "wire", "kind": "stall", "for": "3s", "after_bytes": 3, "nth": [1, 2]},
        {"fault": "clock_skew", "ahead": "1h", "every_nth": 3},
        {"fault": "redirect", "status": 302, "to": "nowhere", "first": 2},
        {"fault": "status", "status": 429, "header": "soon", "text": "x", "rate_headers": {"limit": 3, "reset": "3s"}},
    ],
    "retention": "24h",
    "url_lifetime": "90d",
    "takes": "1m",
    "client": {"endpoint": "text-to-image", "tasks": 2, "cancel": "PENDING", "input": {"a": 1}},
    "expect": {"outcome": ["SUCCEEDED", "FAILED"], "tasks_created": 1, "max_polls": 9},
}
WORDS = (
    *(
        "",
        "x",
        "null",
        "any",
        "create",
        "query",
        "true",
        "1",
        "20s",
        "-2s",
        "2 weeks",
        "0s",
        "9s..3s",
        "3s..9s",
        "1 poll",
    ),
    *("PENDING", "RUNING", "SUCCEEDED", "FAILED X", "PENDING 2s -> SUCCEEDED", "RUNNING", "SUCCEEDED -> RUNNING"),
    *("html", "drip", "before_commit", "after_commit", "a: b", "é", "a\nb", "aisa", "text-to-image", "missing_output"),
)
PLAIN = (None, True, False, 0, 1, -1, 3, 99, 503, 10**7, 0.5, 1.5)
LISTS = ([], [1], ["query"], ["any", "create"])
MAPPINGS: tuple[dict[str, Any], ...] = (
    *({}, {"to": "1s"}, {"median": "1s"}, {"limit": 1}, {"X-A": "1"}, {"Content-Length": "1"}, {"a b": 1}),
    *({"aisa": "x"}, {"status": 500}, {"pass": 1, "drop": "x"}),
)
VALUES = st.sampled_from([*PLAIN, *LISTS, *MAPPINGS, *WORDS])
OTHER_KEYS = {"fault", "unlisted", "results", "polls", "tier", "from", "median", "pass", "drop", "lifecycle", "steps"}
KEYS = st.sampled_from(
    sorted({key for form in FAULT_FORMS.values() for key in keys_of_form(form)} | {*EVERYTHING, *OTHER_KEYS})
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def complaints(document: Any) -> list[str]:
    """What the loader says of a document that is written as JSON, which is YAML too."""
    try:
        load_scenario_text("drawn", json.dumps(document).encode())
    except ScenarioErrors as errors:
        return [problem.text for problem in errors.problems]
    return []


def test_the_file_is_the_schema() -> None:
    """The published file is what the tables make, is a schema, and states what it cannot say."""
    assert (shipped_folder() / "schema.json").read_text() == spelt(), "python -m fake_server.scenario.schema writes it"
    jsonschema.Draft202012Validator.check_schema(scenario_schema())
    assert len(BEYOND) == len(CANNOT_SAY)
    for sentence in CANNOT_SAY:
        assert sentence in scenario_schema()["$comment"]


@pytest.mark.parametrize("name", sorted(shipped_scenarios()))
def test_every_shipped_scenario_is_valid(name: str) -> None:
    """The schema takes every scenario that comes with the fake."""
    VALIDATOR.validate(YAML(typ="safe").load(shipped_scenarios()[name].read_text()))


def test_a_document_with_everything_is_taken_by_both() -> None:
    """The document that the next test changes is one that both take."""
    assert complaints(EVERYTHING) == []
    VALIDATOR.validate(EVERYTHING)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """The document with everything, or a part of it, after one to three slips."""
    document: dict[str, Any] = copy.deepcopy(EVERYTHING)
    section = draw(st.sampled_from(["faults", "faults", *document]))
    for key in set(document) - {"version", "summary", "tasks", "expect", section}:
        del document[key]
    if section == "faults":
        document["faults"] = [document["faults"][draw(st.integers(0, len(document["faults"]) - 1))]]
    if section != "client":
        document["expect"]["outcome"] = "SUCCEEDED"
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from([place for place in places(document[section], (section,)) if place]))
        holder: Any = document
        for step in path:
            holder = holder[step]
        slip = draw(st.sampled_from(["change", "change", "remove", "add"]))
        if slip == "change":
            holder[last] = copy.deepcopy(draw(VALUES))
        elif slip == "add" and isinstance(holder[last], dict):
            holder[last][draw(KEYS)] = copy.deepcopy(draw(VALUES))
        elif slip == "add" and isinstance(holder[last], list):
            holder[last].append(copy.deepcopy(draw(VALUES)))
        elif path:
            del holder[last]
    return document


@settings(deadline=None, max_examples=examples(300), suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_schema_and_loader_agree(document: dict[str, Any]) -> None:
    """What the loader takes the schema takes; what only the loader refuses is among what no schema can say."""
    told, is_valid = complaints(document), VALIDATOR.is_valid(document)
    if not told:
        assert is_valid, [error.message for error in VALIDATOR.iter_errors(document)]
    elif is_valid:
        assert all(any(re.search(pattern, text) for pattern in BEYOND) for text in told), told


@pytest.mark.parametrize(
    "text", ["PENDING  2s->RUNNING 1 poll ->  SUCCEEDED", "\nCANCELED_OF_LATE 2s\n -> FAILED a.b", "UNKNOWN"]
)
def test_the_pattern_of_a_life_is_the_readers(text: str) -> None:
    """Spaces, line ends and words of one's own are read alike."""
    document = {"version": 1, "summary": "x", "tasks": [text], "expect": {"outcome": "FAILED"}}
    assert complaints(document) == []
    VALIDATOR.validate(document)
