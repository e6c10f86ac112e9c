"""`openapi.json` against the server: Schemathesis goes through all its phases, and what it may not find is told."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from jsonschema import Draft202012Validator
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from fake_server.scenario.library import load_scenario_text
from fake_server.wire.endpoints import OFFERED
from fake_server.wire.routes import ROUTES
from tests.fake_server.driving import ASYNC, BODY, KEY, VIDEO

if TYPE_CHECKING:
    from schemathesis.engine.recorder import ScenarioRecorder

    from tests.fake_server.conftest import Running, Start

# `make fuzz` asks for more. The short form draws the same requests in every run.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2"))
# Nothing is refused for coming too often, nothing is scripted to go wrong.
ROOMY = b"""\
version: 1
summary: Room for everything.
quotas: {concurrent_tasks: 10000, queries_per_second: 10000, images_per_minute: 10000}
tasks: [PENDING 2s -> RUNNING 20s -> SUCCEEDED]
expect: {outcome: SUCCEEDED}
"""
# Faults are armed and limits set here, where no request for the service goes.
ADMIN_WORLD = "stuck-running.fuzz"
MESSAGES = [
    *("aisa_create_image_synchronous", "dashscope_create_image_synchronous"),
    "dashscope_create_image_messages",
]
TASK_PAGES = ["read_task", "move_task", "cancel_task", "expire_task"]


def allow(operations: list[str], check: str, **setting: Any) -> dict[str, Any]:
    """A check that is relaxed for some operations."""
    return {"include-operation-id": operations, "checks": {check: setting}}


def configuration(url: str, task_id: str) -> SchemathesisConfig:
    """How Schemathesis is run, with the reason for each thing that it may not hold against the fake."""
    refused = ["400", "401", "403", "404", "405", "413"]
    return SchemathesisConfig.from_dict(
        {
            "base-url": url,
            "headers": {"Authorization": "Bearer sk-roomy"},
            "workers": 1,
            "continue-on-failure": True,
            "generation": {"deterministic": EXAMPLES <= 2, "max-examples": EXAMPLES},
            # Sequences cost little, and are what finds a link that leads nowhere.
            "phases": {"stateful": {"generation": {"max-examples": 5 * EXAMPLES}}},
            "parameters": {"path.world": ADMIN_WORLD, "header.X-Fake-World": "roomy"},
            "checks": {
                # Any key plays the default scenario, so that a program with a real one can be pointed here.
                "ignored_auth": {"enabled": False},
                # 413 is how a body that is too large is refused, and not in its own list.
                "negative_data_rejection": {"expected-statuses": refused},
            },
            "operations": [
                # What fits no route of the service is a 404 that explains itself; the test looks at that itself.
                {"include-path-regex": "^/apis?/", "checks": {"unsupported_method": {"enabled": False}}},
                {"include-operation-id": TASK_PAGES, "parameters": {"path.task_id": task_id}},
                # Tasks are made by the service; making a world makes none.
                allow(TASK_PAGES, "ensure_resource_availability", enabled=False),
                # A task that is not PENDING cannot be cancelled: 400, as the vendor's page has it.
                allow(["dashscope_cancel_task"], "positive_data_acceptance", **{"expected-statuses": ["2xx", "400"]}),
                # Of messages only the last is read, and of its parts one with words suffices: laxer than the shape.
                allow(MESSAGES, "negative_data_rejection", **{"expected-statuses": [*refused, "2xx"]}),
                # A scenario's text and a fault's keys have grammars of their own, beyond these shapes.
                allow(
                    ["load_scenario", "arm_fault"],
                    "positive_data_acceptance",
                    **{"expected-statuses": ["2xx", "400", "409"]},
                ),
            ],
        }
    )


def complaints_of(recorder: ScenarioRecorder) -> list[str]:
    """What was found in one scenario of a phase, with a request that shows it."""
    found = []
    for case_id, checks in recorder.checks.items():
        case, interaction = recorder.cases[case_id].value, recorder.interactions.get(case_id)
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                found.append(f"{check.name}: {failure.title}: {failure.message}\n  {case.as_curl_command()}")
        is_declared = case.method.lower() == case.operation.method.lower()
        if interaction is not None and interaction.response is not None and not is_declared:
            found += undeclared_verb(case.operation.path, interaction.response)
    return found


def undeclared_verb(path: str, response: Any) -> list[str]:
    """What is wrong with the answer to a verb that a path does not take."""
    if path.startswith("/__admin"):
        return [] if response.status_code == 405 and response.headers.get("allow") else [f"{path}: no 405"]
    if response.request.method == "HEAD":
        return []
    body = json.loads(response.content)
    message = (body["error"] if path.startswith("/apis/") else body)["message"]
    explains = response.status_code == 404 and "expected one of: " in message
    return [] if explains else [f"{path}: {response.status_code} does not explain itself"]


def follows_a_create(recorder: ScenarioRecorder) -> Counter[str]:
    """Which operations were asked about a task that the same scenario created."""
    created, found = set(), Counter[str]()
    for case_id, interaction in recorder.interactions.items():
        case = recorder.cases[case_id].value
        task_id = case.path_parameters.get("task_id")
        if task_id is not None and task_id in created:
            found[case.operation.definition.raw["operationId"]] += 1
        if interaction.response is not None and interaction.response.status_code == 200:
            output = json.loads(interaction.response.content or b"{}").get("output") or {}
            created.add(output.get("task_id"))
    return found


@pytest.fixture(scope="module")
def served(start: Start) -> tuple[Running, str]:
    """A server with room for everything, and a task in the world of the admin pages."""
    own = start()
    own.worlds.post(load_scenario_text("roomy", ROOMY))
    headers = dict([KEY, ASYNC, ("X-Fake-World", ADMIN_WORLD)])
    answer = own.client.post("/api/v1" + VIDEO, content=BODY, headers=headers)
    return own, answer.json()["output"]["task_id"]


@pytest.mark.thorough
def test_schemathesis_finds_nothing(served: tuple[Running, str]) -> None:
    """Through all phases of Schemathesis no answer is a 500, each conforms to openapi.json, what is invalid is refused
    and what is valid is taken, and links lead from a create to its query and its cancel."""
    fake, task_id = served
    config = configuration(fake.url, task_id)
    schema = schemathesis.openapi.from_url(f"{fake.url}/__admin/openapi.json", config=config)
    found: list[str] = []
    phases: dict[str, str] = {}
    followed: Counter[str] = Counter()
    # An event stream has no end; it has tests of its own.
    for event in from_schema(schema.exclude(path_regex="/events$")).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            found.append(str(getattr(event, "info", event)))
        elif isinstance(event, events.PhaseFinished):
            phases[event.phase.name.value.lower()] = event.status.value
        elif isinstance(event, events.ScenarioFinished):
            found += complaints_of(event.recorder)
            followed += follows_a_create(event.recorder)
    assert not found, "\n".join(dict.fromkeys(found))
    for phase in ("examples", "coverage", "fuzzing", "stateful"):
        assert next(status for name, status in phases.items() if name.startswith(phase)) == "success", phases
    assert {"dashscope_query_task", "dashscope_cancel_task", "aisa_query_task"} <= set(followed), followed


def test_the_document_is_openapi_and_tells_of_every_route(fake: Running) -> None:
    """Every route of both dialects and every admin page is in the document, each operation has one name, and every
    example fits its own shape."""
    document = fake.admin("/openapi.json")
    told = {
        f"{verb.upper()} {path}" for path, item in document["paths"].items() for verb in item if "__admin" not in path
    }
    assert told == {route.partition("?")[0] for routes in ROUTES.values() for route in routes}
    assert sum(len(offered) for offered in OFFERED.values()) < len(told)
    pages = {page["path"].partition("?")[0] for page in fake.admin("/")["pages"]}
    assert pages <= set(document["paths"])
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    names = Counter(operation["operationId"] for operation in operations)
    assert not [name for name, count in names.items() if count > 1]
    for operation in operations:
        for content in operation.get("requestBody", {"content": {}})["content"].values():
            Draft202012Validator(content["schema"]).validate(content["example"])
