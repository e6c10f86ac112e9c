"""What a span or a metric may say of an event: standard names, few values, and no secrets. Pure.

Names of HTTP attributes are those of OpenTelemetry's semantic conventions 1.29, *HTTP client span* and *HTTP client
metrics*; what they have no name for begins with ``resilient_poll``.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from resilient_poll.transports.middleware.notices import AttemptEnded

__all__ = ["Attributes", "error_type", "of_attempt", "of_attempt_metric", "shortened", "span_name"]

Attributes = dict[str, str | int | float | bool]

_LONGEST_WORD = 100
"""A status or code is a word of the service's; what is longer is none, and telemetry is kept by others."""
_KNOWN_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_ERROR_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,60})(?: \(|$)")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OTHER = "_OTHER"


def shortened(word: str) -> str:
    """Return a word of a service's as far as it can be one."""
    return word if len(word) <= _LONGEST_WORD else word[:_LONGEST_WORD] + "…"


def error_type(event: AttemptEnded) -> str | None:
    """Return what kind of failure an attempt was: its status, or the name of its error, never an error's text."""
    attempt = event.attempt
    if attempt.status is not None:
        return str(attempt.status) if attempt.status >= 400 else None
    if attempt.failure is None:
        return None
    if attempt.failure.startswith("no whole answer within"):
        return "timeout"
    name = _ERROR_NAME.match(attempt.failure)
    return name[1] if name else _OTHER


def span_name(event: AttemptEnded) -> str:
    """Return the name of an attempt's span: its method, and its template where one is known."""
    template = _template(event)
    return _method(event) if template is None else f"{_method(event)} {template}"


def of_attempt(event: AttemptEnded) -> Attributes:
    """Return the attributes of an attempt's span."""
    found = of_attempt_metric(event)
    found["url.full"] = event.address
    if (template := _template(event)) is not None:
        found["url.template"] = template
    if _method(event) == _OTHER:
        found["http.request.method_original"] = shortened(event.method)
    if event.attempt.number > 1:
        found["http.request.resend_count"] = event.attempt.number - 1
    if event.task_id is not None:
        found["resilient_poll.task.id"] = event.task_id
    return found


def of_attempt_metric(event: AttemptEnded) -> Attributes:
    """Return those attributes of an attempt that take few values."""
    parts = urlsplit(event.address)
    found: Attributes = {"http.request.method": _method(event), "url.scheme": parts.scheme}
    if parts.hostname:
        found["server.address"] = parts.hostname
    if (port := parts.port or _DEFAULT_PORTS.get(parts.scheme)) is not None:
        found["server.port"] = port
    if event.attempt.status is not None:
        found["http.response.status_code"] = event.attempt.status
    if (kind := error_type(event)) is not None:
        found["error.type"] = kind
    return found


def _method(event: AttemptEnded) -> str:
    return event.method if event.method in _KNOWN_METHODS else _OTHER


def _template(event: AttemptEnded) -> str | None:
    """Return an address's path with the task's id left out; None where no task is known."""
    if event.task_id is None:
        return None
    path = urlsplit(event.address).path
    parts = ["{task_id}" if part == event.task_id else part for part in path.split("/")]
    return "/".join(parts) if "{task_id}" in parts else None
