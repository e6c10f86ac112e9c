"""Resume tokens: a snapshot as one line of text that can be logged, mailed and typed.

A token holds no key and no URL. It names the dialect and carries a mark of the origin, and of the
account's label where the client that made it had one, so that it is refused where the id would mean
nothing, or another task. Without a label every key of an account reads every token of it.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from resilient_poll.dashscope.settings import Settings
from resilient_poll.dashscope.wire.requests import checked_task_id
from resilient_poll.errors import ConfigurationError, SnapshotError
from resilient_poll.machine import snapshot
from resilient_poll.machine.instant import Instant
from resilient_poll.machine.task_record import TaskRecord

__all__ = ["PREFIX", "read_token", "write_token"]

PREFIX = "rpt1."
"""Tells a token from a task id."""
_LONGEST_TOKEN = 16 * 1024  # A token is about 600 characters.


def write_token(record: TaskRecord, settings: Settings, now: Instant) -> str:
    """Return the token of a task."""
    content = {
        "dialect": settings.dialect.name,
        "origin": settings.origin_mark,
        "task": snapshot.take(record, now),
    }
    if settings.account_mark is not None:
        content["account"] = settings.account_mark
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    return PREFIX + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_token(token: str, settings: Settings, now: Instant) -> TaskRecord:
    """Return the record that a token holds.

    Args:
        token: What :func:`write_token` returned.
        settings: The service that it will be used against.
        now: When.

    Raises:
        SnapshotError: It cannot be read, or belongs to another dialect, origin or account; nothing was sent.
    """
    content = _decode(token)
    if content.get("dialect") != settings.dialect.name or content.get("origin") != settings.origin_mark:
        raise SnapshotError(
            f"this resume token belongs to another service than {settings.dialect.name} at {settings.base_url}; "
            "use it with the dialect and base URL of the client that made it. Nothing was sent"
        )
    # One that names no account was made without a label, which says nothing of whose it is.
    if content.get("account", settings.account_mark) != settings.account_mark:
        here = "without a label" if settings.account is None else f"labelled {settings.account!r}"
        raise SnapshotError(
            f"this resume token belongs to another account than the one of this client, which is {here}: use it with "
            "the account= of the client that made it. Nothing was sent"
        )
    record = snapshot.restore(content.get("task", {}), now)
    try:
        checked_task_id(record.task_id)
    except ConfigurationError as error:
        raise SnapshotError(f"this resume token is damaged: {error}") from None
    return record


def _decode(token: str) -> dict[str, Any]:
    if not token.startswith(PREFIX) or len(token) > _LONGEST_TOKEN:
        raise SnapshotError(f"this is no resume token: one begins with {PREFIX!r}")
    packed = token.removeprefix(PREFIX)
    try:
        text = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        content = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        raise SnapshotError(
            "this resume token is damaged: it cannot be decoded; was it cut when it was copied?"
        ) from None
    if not isinstance(content, dict):
        raise SnapshotError("this resume token is damaged: it holds no task")
    return content
