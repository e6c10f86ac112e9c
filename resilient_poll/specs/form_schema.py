"""The JSON Schema of the file form, for editors. The reader of files does not use it: it names lines and columns."""

from __future__ import annotations

from typing import Any, Final

from resilient_poll.machine.lifecycle import Billing
from resilient_poll.specs.file_form import BILLED_STATES, FORM_VERSION, STATES

__all__ = ["SCHEMA"]


def _object(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


def _list_of(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def _or_list_of(one: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [one, _list_of(one)]}


_TEXT = {"type": "string", "minLength": 1}
_WORDS = _list_of({"type": ["string", "number", "boolean"]})
_ONE = {"minProperties": 1, "maxProperties": 1}
_PLACE = {"anyOf": [_TEXT, _object({"header": _TEXT, "body": _TEXT, "http_status": {"const": True}}, **_ONE)]}
_URL = {"anyOf": [_TEXT, _object({"header": _TEXT, "body": _TEXT, "submitted": {"const": True}}, **_ONE)]}
_URLS = {"anyOf": [_URL, _list_of(_URL, minItems=1)]}
_HEADERS = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
_BILL = {"enum": [str(bill) for bill in Billing]}
_SECONDS = {"type": "number", "exclusiveMinimum": 0}
_HINT = {"anyOf": [_TEXT, _object({"header": _TEXT, "body": _TEXT, "unit": {"enum": ["s", "ms"]}}, minProperties=1)]}
_ACCEPTOR = _object(
    {
        "state": {"enum": ["success", "failure", "retry"]},
        "matcher": {"enum": ["path", "pathAny", "pathAll", "status", "error"]},
        "argument": _TEXT,
        "expected": {"type": ["string", "number", "boolean"]},
    },
    required=["state", "matcher", "expected"],
)
_SUBMIT = _object(
    {
        "method": {"enum": ["POST", "PUT", "PATCH", "DELETE"]},
        "url": _TEXT,
        "headers": _HEADERS,
        "id": _PLACE,
        "at_once": _list_of({"type": "integer", "minimum": 200, "maximum": 299}),
    }
)

SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A long-running operation, declared",
    **_object(
        {
            "version": {"const": FORM_VERSION},
            "name": _TEXT,
            "submit": _SUBMIT,
            "query": _object({"url": _URLS, "headers": _HEADERS}, required=["url"]),
            "cancel": _object(
                {"method": {"enum": ["POST", "DELETE", "PUT", "PATCH"]}, "url": _URLS, "headers": _HEADERS},
                required=["url"],
            ),
            "status": _PLACE,
            "states": _object(dict.fromkeys(STATES, _WORDS), required=["succeeded"]),
            "fold_case": {"type": "boolean"},
            "acceptors": _list_of(_ACCEPTOR),
            "billing": _object(dict.fromkeys(BILLED_STATES, _BILL)),
            "billing_by_status": {"type": "object", "additionalProperties": _BILL},
            "result": _PLACE,
            "result_url": _URLS,
            "error": _object({"code": _PLACE, "message": _PLACE}),
            "progress": _PLACE,
            "retry_after": _or_list_of(_HINT),
            "allow_hosts": _list_of(_TEXT),
            "interval_s": _SECONDS,
            "timeout_s": _SECONDS,
        },
        required=["version", "name"],
    ),
}
"""Draft 2020-12."""
