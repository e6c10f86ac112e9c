"""Reads the scripted answers under `create:` and `poll:`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fake_server.scenario.model import AnswerKind, RetryAfterForm, ScriptedAnswer
from fake_server.scenario.yaml_nodes import Notes, did_you_mean, quote
from fake_server.wire import bodies
from fake_server.wire.errors import SHAPES, ErrorShape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fake_server.wire.messages import DropHow, DropWhen

# More repetitions of one entry, or entries of one list, than this make no readable script.
MOST_TIMES = 10_000
MOST_ANSWERS = 1_000

_KINDS = ("pass", "throttle", "status", "drop")
_THROTTLE_KEYS = ("retry_after", "form", "header", "code", "message", "shape")
_SHARED = {
    "pass": ("pass",),
    "throttle": ("throttle", "times"),
    "status": (
        *("status", "times", "when", "retry_after", "form", "header"),
        *("code", "message", "shape", "body", "content_type", "headers"),
    ),
    "drop": ("drop", "how", "times"),
}
_FORMS = ("seconds", "http-date", "none")
_WHENS = ("before_commit", "after_commit")
# Header names are tokens (RFC 9110, 5.6.2); values are printable and carry no line end.
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,1000}")
_CONTENT_TYPE_HTML = "text/html; charset=utf-8"

Fields = dict[str, tuple[Node, Node]]


def read_answers(node: Node, notes: Notes, route: str) -> tuple[ScriptedAnswer, ...]:
    """The list under `create:` or `poll:`; what cannot be read is noted and left out."""
    items = notes.as_list(node, "a list of scripted answers") or []
    if len(items) > MOST_ANSWERS:
        notes.at(node, f"found {len(items)} scripted answers, expected at most {MOST_ANSWERS}")
    answers = [_read_answer(item, notes, route) for item in items]
    return tuple(answer for answer in answers if answer is not None)


def _read_answer(node: Node, notes: Notes, route: str) -> ScriptedAnswer | None:
    before = len(notes.problems)
    expected = "a scripted answer such as {status: 502}"
    fields = notes.as_mapping(node, expected, None)
    if fields is None:
        return None
    kinds = [kind for kind in _KINDS if kind in fields]
    if len(kinds) != 1:
        found = " and ".join(kinds) if kinds else ", ".join(fields) or "nothing"
        hint = did_you_mean(next(iter(fields)), _KINDS) if fields and not kinds else ""
        notes.at(node, f"found {found}, expected exactly one of {', '.join(_KINDS)}{hint}")
        return None
    kind = kinds[0]
    for key, (key_node, _) in fields.items():
        if key not in _SHARED[kind]:
            known = ", ".join(_SHARED[kind])
            hint = did_you_mean(key, _SHARED[kind])
            notes.at(key_node, f"found the key {quote(key)}, expected one of {known} beside {kind}{hint}")
    readers = {"pass": _read_pass, "throttle": _read_throttle, "status": _read_status, "drop": _read_drop}
    values = readers[kind](fields, notes)
    if route != "create" and "when" in fields:
        notes.at(fields["when"][0], f"found when on a {route} answer, expected it on create only")
    if len(notes.problems) > before:
        return None
    return ScriptedAnswer(kind=cast("AnswerKind", kind), line=node.start_mark.line + 1, **values)


def _read_times(fields: Fields, notes: Notes) -> int:
    return (notes.as_integer(fields["times"][1], 1, MOST_TIMES) or 1) if "times" in fields else 1


def _read_pass(fields: Fields, notes: Notes) -> dict[str, Any]:
    return {"times": notes.as_integer(fields["pass"][1], 1, MOST_TIMES) or 1}


def _read_throttle(fields: Fields, notes: Notes) -> dict[str, Any]:
    node = fields["throttle"][1]
    inner = notes.as_mapping(node, "a mapping such as {retry_after: 3s}", _THROTTLE_KEYS) or {}
    return {
        "status": 429,
        "times": _read_times(fields, notes),
        **_read_retry_after(inner, notes),
        **_read_error(inner, notes),
    }


def _read_status(fields: Fields, notes: Notes) -> dict[str, Any]:
    values: dict[str, Any] = {"status": notes.as_integer(fields["status"][1], 200, 599)}
    values["times"] = _read_times(fields, notes)
    values.update(_read_retry_after(fields, notes), **_read_error(fields, notes))
    if "when" in fields:
        values["when"] = cast("DropWhen", notes.as_choice(fields["when"][1], _WHENS))
    if "body" in fields:
        values.update(_read_body(fields["body"][1], notes))
    if "content_type" in fields:
        values["content_type"] = read_header_value(fields["content_type"][1], notes)
    if "headers" in fields:
        values["headers"] = read_headers(fields["headers"][1], notes)
    return values


def _read_drop(fields: Fields, notes: Notes) -> dict[str, Any]:
    values: dict[str, Any] = {"times": _read_times(fields, notes)}
    values["when"] = cast("DropWhen", notes.as_choice(fields["drop"][1], _WHENS))
    if "how" in fields:
        values["how"] = cast("DropHow", notes.as_choice(fields["how"][1], ("reset", "close")))
    return values


def _read_retry_after(fields: Fields, notes: Notes) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if "retry_after" in fields:
        values["retry_after_s"] = notes.as_duration(fields["retry_after"][1])
    if "form" in fields:
        values["form"] = cast("RetryAfterForm", notes.as_choice(fields["form"][1], _FORMS))
    if "header" in fields:
        values["retry_after_text"] = read_header_value(fields["header"][1], notes)
    return values


def _read_error(fields: Fields, notes: Notes) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if "code" in fields:
        values["codes"] = read_codes(fields["code"][1], notes)
    if "message" in fields:
        values["message"] = notes.as_text(fields["message"][1], "a sentence")
    if "shape" in fields:
        values["shape"] = cast("ErrorShape", notes.as_choice(fields["shape"][1], SHAPES))
    return values


def read_codes(node: Node, notes: Notes) -> Mapping[str, str]:
    """One code for both dialects, or one for each."""
    if not isinstance(node, MappingNode):
        code = notes.as_text(node, "an error code, or a mapping of them by dialect")
        return dict.fromkeys(bodies.DIALECTS, code) if code else {}
    fields = notes.as_mapping(node, "a mapping of error codes by dialect", bodies.DIALECTS) or {}
    codes = {dialect: notes.as_text(value, "an error code") for dialect, (_, value) in fields.items()}
    return {dialect: code for dialect, code in codes.items() if code}


def _read_body(node: Node, notes: Notes) -> dict[str, Any]:
    """A raw body: text goes out as HTML, a mapping or list as JSON; `content_type` overrides either."""
    if isinstance(node, ScalarNode):
        return {"body": str(node.value).encode("utf-8", "replace"), "content_type": _CONTENT_TYPE_HTML}
    return {"body": json.dumps(plain_value(node, notes)).encode(), "content_type": bodies.JSON_TYPE}


def plain_value(node: Node, notes: Notes) -> Any:
    """A node as JSON would hold it.

    Args:
        node: Any node.
        notes: Receives complaints about its keys.
    """
    if isinstance(node, MappingNode):
        fields = notes.as_mapping(node, "a mapping", None) or {}
        return {key: plain_value(value, notes) for key, (_, value) in fields.items()}
    if isinstance(node, SequenceNode):
        return [plain_value(item, notes) for item in node.value]
    text = str(node.value)
    if isinstance(node, ScalarNode) and node.style is None:
        words: dict[str, Any] = {"true": True, "false": False, "null": None, "": None, "~": None}
        if text in words:
            return words[text]
        if re.fullmatch(r"-?[0-9]{1,18}", text):
            return int(text)
        if re.fullmatch(r"-?[0-9]{1,18}\.[0-9]{1,18}", text):
            return float(text)
    return text


def read_headers(node: Node, notes: Notes) -> tuple[tuple[str, str], ...]:
    """Headers by name; none that frames an answer."""
    fields = notes.as_mapping(node, "a mapping of headers", None) or {}
    headers: list[tuple[str, str]] = []
    for name, (key_node, value_node) in fields.items():
        if not _HEADER_NAME.fullmatch(name):
            notes.wrong(key_node, "a header name")
        elif name.lower() in ("content-length", "transfer-encoding"):
            notes.at(key_node, f"found the header {name}, expected none that frames the answer")
        else:
            headers.append((name.lower(), read_header_value(value_node, notes) or ""))
    return tuple(headers)


def read_header_value(node: Node, notes: Notes) -> str | None:
    """The value of a header."""
    if isinstance(node, ScalarNode) and _HEADER_VALUE.fullmatch(str(node.value)):
        return str(node.value)
    notes.wrong(node, "a header value: printable ASCII on one line")
    return None
