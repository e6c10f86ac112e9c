"""Both dialects in OpenAPI: a path for each route of :mod:`fake_server.wire.routes`, and the shapes of their bodies.

What the pages of the services leave open is left open here too: any word may be a status, results have many forms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fake_server.rules.listing import LARGEST_PAGE
from fake_server.scenario.model import DEFAULT_REQUESTS
from fake_server.wire import bodies
from fake_server.wire.endpoints import OFFERED
from fake_server.wire.routes import GATEWAY_TASKS
from fake_server.wire.submissions import LONGEST_MODEL, LONGEST_URL, MOST_FILES, MOST_IMAGES

if TYPE_CHECKING:
    from fake_server.wire.bodies import Dialect
    from fake_server.wire.endpoints import Endpoint, ResultForm

Shape = dict[str, Any]

_TEXT: Shape = {"type": "string"}
_REQUEST_ID: Shape = {"type": "string", "format": "uuid"}
# What Python strips off a text and JSON Schema does not count as a space are four control characters.
_HAS_WORDS = r"[^\s\x1c-\x1f]"


def _open(required: Shape, optional: Shape | None = None) -> Shape:
    """An object that may have further fields, as a service's may."""
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}


_OUTPUT = _open(
    {"task_id": _TEXT, "task_status": _TEXT},
    dict.fromkeys(("submit_time", "scheduled_time", "end_time", "code", "message", "video_url"), _TEXT),
)
COMPONENTS: Shape = {
    "Accepted": _open({"output": _open({"task_id": _TEXT, "task_status": _TEXT}), "request_id": _REQUEST_ID}),
    "Made": _open({"output": {"type": "object"}, "request_id": _REQUEST_ID}),
    "Task": _open({"output": _OUTPUT, "request_id": _REQUEST_ID}, {"usage": {"type": "object"}}),
    "TaskList": _open(
        {
            "request_id": _REQUEST_ID,
            "data": {"type": "array", "items": _open({"task_id": _TEXT, "status": _TEXT})},
            "total": {"type": "integer"},
            "total_page": {"type": "integer"},
            "page_no": {"type": "integer"},
            "page_size": {"type": "integer"},
        }
    ),
    "Cancelled": _open({"request_id": _REQUEST_ID}),
    "Quotas": _open({"request_id": _REQUEST_ID, "data": {"type": "object"}}),
    "FlatError": _open({"code": _TEXT, "message": _TEXT, "request_id": _REQUEST_ID}),
    "NestedError": _open({"error": _open({"type": _TEXT, "code": _TEXT, "message": _TEXT, "request_id": _REQUEST_ID})}),
}
_ERRORS: dict[Dialect, str] = {"aisa": "NestedError", "dashscope": "FlatError"}


def dialect_paths() -> dict[str, dict[str, Any]]:
    """Every path of both dialects, with what it takes and answers."""
    paths: dict[str, dict[str, Any]] = {}
    for dialect, offered in OFFERED.items():
        for endpoint in offered:
            path = bodies.BASES[dialect] + endpoint.path
            paths[path] = {"post": _create(dialect, endpoint)}
    gateway, classic = bodies.BASES["aisa"] + GATEWAY_TASKS, bodies.BASES["dashscope"]
    by_query = _parameter("task_id", "query", {"type": "string", "minLength": 1}, required=True)
    paths[f"{gateway}/{{task_id}}"] = {"get": _operation("aisa", "query_task", "a task's status", "Task", _ID_IN_PATH)}
    paths[gateway] = {"get": _operation("aisa", "query_task_by_parameter", "the same", "Task", [by_query])}
    paths[f"{classic}/tasks/{{task_id}}"] = {
        "get": _operation("dashscope", "query_task", "a task's status", "Task", _ID_IN_PATH)
    }
    listing = _operation("dashscope", "list_tasks", "the tasks of a day, the latest first", "TaskList", _LIST_QUERY)
    paths[f"{classic}/tasks/"] = {"get": listing}
    paths[f"{classic}/tasks/{{task_id}}/cancel"] = {
        "post": _operation("dashscope", "cancel_task", "cancel a task that is PENDING", "Cancelled", _ID_IN_PATH)
    }
    paths[f"{classic}/quotas"] = {"get": _operation("dashscope", "read_quotas", "limits; assumed", "Quotas", [])}
    return paths


_ID: Shape = {"type": "string", "minLength": 1, "maxLength": 200}
_WORLD_HEADER: Shape = {
    "name": "X-Fake-World",
    "in": "header",
    "required": False,
    "description": "The world, for clients whose key cannot tell it: `<scenario>` or `<scenario>.<tail>`",
    "schema": {"type": "string", "pattern": r"^[a-z0-9][a-z0-9_-]{0,63}(\.[A-Za-z0-9_-]{1,64})?$"},
}


def _parameter(name: str, place: str, schema: Shape, *, required: bool = False) -> Shape:
    return {"name": name, "in": place, "required": required, "schema": schema}


_ID_IN_PATH = [_parameter("task_id", "path", _ID, required=True)]
_LIST_QUERY = [
    _parameter("task_id", "query", _TEXT),
    _parameter("model_name", "query", _TEXT),
    _parameter("status", "query", {"enum": list(bodies.LISTED)}),
    _parameter("page_no", "query", {"type": "integer", "minimum": 1, "maximum": 1_000_000_000}),
    _parameter("page_size", "query", {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE}),
]


def _operation(dialect: Dialect, name: str, what: str, answer: str, parameters: list[Shape]) -> Shape:
    return {
        "operationId": f"{dialect}_{name}",
        "tags": [dialect],
        "summary": what,
        "security": [{"key": []}],
        "parameters": [*parameters, _WORLD_HEADER],
        "responses": {"200": _content("What was asked for", answer), **_failures(dialect)},
    }


def _failures(dialect: Dialect) -> Shape:
    statuses = (400, 401, 403, 404, 413, 429, 500, 503)
    return {str(status): _content("An error of the dialect", _ERRORS[dialect]) for status in statuses}


def _content(what: str, component: str) -> Shape:
    schema = {"$ref": f"#/components/schemas/{component}"}
    return {"description": what, "content": {bodies.JSON_TYPE: {"schema": schema}}}


def _create(dialect: Dialect, endpoint: Endpoint) -> Shape:
    model, given, parameters = DEFAULT_REQUESTS[endpoint.name]
    operation = _operation(
        dialect,
        f"create_{endpoint.name.replace('-', '_')}",
        f"ask for work at {endpoint.name}",
        "Made" if endpoint.synchronous else "Accepted",
        [],
    )
    if not endpoint.synchronous:
        enable = _parameter("X-DashScope-Async", "header", {"type": "string", "enum": ["enable"]}, required=True)
        operation["parameters"].append(enable)
        operation["responses"]["200"]["links"] = _links(dialect)
    operation["requestBody"] = {
        "required": True,
        "content": {
            bodies.JSON_TYPE: {
                "schema": _request(endpoint.form),
                "example": {"model": model, "input": dict(given), "parameters": dict(parameters)},
            }
        },
    }
    return operation


def _links(dialect: Dialect) -> Shape:
    """What can be done with the id of an accepted create."""
    parameters = {"task_id": "$response.body#/output/task_id"}
    links = {"query": {"operationId": f"{dialect}_query_task", "parameters": parameters}}
    if dialect == "dashscope":
        links["cancel"] = {"operationId": "dashscope_cancel_task", "parameters": parameters}
    return links


def _request(form: ResultForm) -> Shape:
    parameters: Shape = {"type": "object"}
    if form in ("images", "messages"):
        parameters = {
            "type": "object",
            "properties": {"n": {"enum": list(range(1, MOST_IMAGES + 1))}},
        }
    model = {"type": "string", "minLength": 1, "maxLength": LONGEST_MODEL}
    return _open({"model": model, "input": _INPUTS[form]}, {"parameters": parameters})


_WORDS: Shape = {"type": "string", "pattern": _HAS_WORDS}
_WORDS_OR_NONE: Shape = {"type": ["string", "null"], "pattern": _HAS_WORDS}
_PART: Shape = {"type": "object", "properties": {"text": _WORDS}, "required": ["text"]}
_MESSAGE: Shape = _open({"content": {"type": "array", "items": _PART, "minItems": 1}})
_FILE: Shape = {"type": "string", "minLength": 1, "maxLength": LONGEST_URL}
_INPUTS: dict[ResultForm, Shape] = {
    "video": _open({}, {"prompt": _WORDS_OR_NONE}),
    "model": _open({}, {"prompt": _WORDS_OR_NONE}),
    "images": _open({"prompt": _WORDS}),
    "messages": _open({"messages": {"type": "array", "items": _MESSAGE, "minItems": 1}}),
    "transcription": _open({"file_urls": {"type": "array", "items": _FILE, "minItems": 1, "maxItems": MOST_FILES}}),
}
