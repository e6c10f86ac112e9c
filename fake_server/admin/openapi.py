"""`openapi.json`: both dialects and the admin pages in OpenAPI 3.1, made of the tables that serve them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fake_server.admin import dialect_shapes, shapes
from fake_server.admin.asking import ROOT
from fake_server.admin.dialect_shapes import dialect_paths
from fake_server.version import version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fake_server.admin.pages import Page

_PART = re.compile(r"{([a-z_]+)}")
_PARTS = {
    "world": "a world, `<scenario>` or `<scenario>.<tail>`",
    "task_id": "the id of a task",
    "scenario": "the name of a scenario",
    "fault_id": "the id of a fault, as the list of faults tells it",
}
_SCENARIO_NAME = "^[a-z0-9][a-z0-9_-]{0,63}$"


def describe(pages: Iterable[Page]) -> dict[str, Any]:
    """The whole document.

    Args:
        pages: The admin pages.
    """
    paths = dialect_paths()
    for page in pages:
        paths.setdefault(ROOT + page.path, {})[page.verb.lower()] = _operation(page)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "A fake DashScope, its gateway's dialect, and its admin pages",
            "version": version(),
            "description": "Any status may come from a scenario that asks for it; what is listed here comes by itself.",
        },
        "paths": paths,
        "components": {
            "schemas": {"AdminErrors": shapes.ERRORS, **dialect_shapes.COMPONENTS},
            "securitySchemes": {
                "key": _bearer("An API key, which picks scenario and world"),
                "admin": _bearer("The admin token, if the server has one"),
            },
        },
    }


def _bearer(what: str) -> dict[str, str]:
    return {"type": "http", "scheme": "bearer", "description": what}


def _operation(page: Page) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": page.name,
        "tags": ["admin"],
        "summary": page.what,
        "security": [{}, {"admin": []}],
        "parameters": [*_path_parameters(page.path), *_query_parameters(page)],
        "responses": {str(page.status): _answer(page)},
    }
    for status in sorted({400, *page.fails} | ({413} if page.body else set())):
        operation["responses"][str(status)] = {
            "description": "A list of errors, each with a pointer into the body or the query",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/AdminErrors"}}},
        }
    if page.body is not None:
        media = {"schema": page.body.shape, "example": page.body.example}
        operation["requestBody"] = {"required": page.body.required, "content": {page.body.media_type: media}}
    return operation


def _answer(page: Page) -> dict[str, Any]:
    return {"description": page.what, "content": {page.media_type: {"schema": page.answer}}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    found = []
    for name in _PART.findall(path):
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if name == "scenario":
            schema["pattern"] = _SCENARIO_NAME
        found.append({"name": name, "in": "path", "required": True, "description": _PARTS[name], "schema": schema})
    return found


def _query_parameters(page: Page) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in page.query.items()]
