"""Build the requests of the API. Pure: they are sent elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from resilient_poll import __version__
from resilient_poll.dashscope.checking import refused, shown
from resilient_poll.dashscope.settings import Settings
from resilient_poll.dashscope.wire.endpoints import Endpoint
from resilient_poll.errors import ConfigurationError
from resilient_poll.http.messages import HttpRequest

__all__ = [
    "asset_request",
    "cancel_request",
    "checked_task_id",
    "create_request",
    "list_request",
    "query_request",
]

_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
"""The service's ids are UUIDs; ids of this shape cannot become another path or header."""

_USER_AGENT = ("user-agent", f"resilient-poll/{__version__}")


def create_request(
    settings: Settings,
    endpoint: Endpoint,
    model: str,
    input: Mapping[str, Any],  # noqa: A002  # the service's own word
    parameters: Mapping[str, Any] | None,
) -> HttpRequest:
    """Build the request that creates something.

    Args:
        settings: The service.
        endpoint: Where it is created, and so what.
        model: The model's name.
        input: What to make, in the service's own words (``prompt``, ``img_url`` …).
        parameters: How to make it (``size``, ``duration`` …).

    Raises:
        ConfigurationError: The model is empty, or the input is not a mapping that JSON can hold.
    """
    if not _is_text(model):
        raise refused("the model's name is missing")
    for name, value in (("input", input), ("parameters", parameters)):
        if not isinstance(value, Mapping) and not (name == "parameters" and value is None):
            raise refused(f"{name} must be a mapping, not {type(value).__name__}")
    payload: dict[str, Any] = {"model": model, "input": dict(input)}
    if parameters:
        payload["parameters"] = dict(parameters)
    try:
        body = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise refused(f"model, input or parameters cannot be written as JSON ({shown(str(error))})") from None
    headers = (
        *_common(settings),
        ("content-type", "application/json"),
        # On creates of tasks only: elsewhere it is answered with a 403.
        *(() if endpoint.is_synchronous else (("x-dashscope-async", "enable"),)),
    )
    return HttpRequest("POST", settings.base_url + endpoint.path, headers, body)


def query_request(settings: Settings, task_id: str) -> HttpRequest:
    """Build the request for a task's status."""
    url = settings.base_url + settings.dialect.status_path(task_id)
    return HttpRequest("GET", url, _common(settings), task_id=task_id)


def list_request(settings: Settings, parameters: Mapping[str, str]) -> HttpRequest:
    """Build the request for one page of the list of tasks.

    Args:
        settings: The service.
        parameters: The query's parameters.
    """
    query = f"?{urlencode(parameters)}" if parameters else ""
    return HttpRequest("GET", settings.base_url + settings.dialect.list_path() + query, _common(settings))


def cancel_request(settings: Settings, task_id: str) -> HttpRequest:
    """Build the request that cancels a task.

    Raises:
        ConfigurationError: The dialect cannot cancel.
    """
    url = settings.base_url + settings.dialect.cancel_path(task_id)
    return HttpRequest("POST", url, _common(settings), task_id=task_id)


def asset_request(url: str) -> HttpRequest:
    """Build the request for an asset: nothing of the account goes with it."""
    # identity: an asset is stored as it comes, and its length can be checked.
    return HttpRequest("GET", url, (_USER_AGENT, ("accept", "*/*"), ("accept-encoding", "identity")))


def checked_task_id(task_id: str) -> str:
    """Return a task id that is fit for a path.

    Raises:
        ConfigurationError: It is not.
    """
    if not _is_text(task_id) or not _TASK_ID.fullmatch(task_id):
        raise ConfigurationError(
            f"{shown(task_id)} is no task id: letters, digits and . _ : - are allowed, 200 at most; nothing was sent"
        )
    return task_id


def _is_text(value: object) -> bool:
    # Types are hints at run time: callers without a type checker pass None too.
    return isinstance(value, str) and bool(value.strip())


def _common(settings: Settings) -> tuple[tuple[str, str], ...]:
    return (
        ("authorization", f"Bearer {settings.api_key}"),
        ("accept", "application/json"),
        ("accept-encoding", "gzip"),
        _USER_AGENT,
        *settings.headers,
    )
