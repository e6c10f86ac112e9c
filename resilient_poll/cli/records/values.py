"""What an entry of the ledger says, for people and for machines. Only whether its files are there is looked up."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from resilient_poll.cli.keys import ago
from resilient_poll.cli.watched_client import OUTPUT
from resilient_poll.ledger.entry import Charge, Entry
from resilient_poll.machine.lifecycle import OPEN, Billing, Phase

__all__ = ["BILLING_WORDS", "PHASE_STYLES", "amount_of", "entry_values", "file_of", "money", "warning_of"]

URL_LIVES_S = 86_400.0
"""Seconds for which a result's URL works. Source: Alibaba Cloud Model Studio, *API reference*: 24 hours; the gateway
says "a few hours"."""
BILLING_WORDS: Mapping[Billing, str] = MappingProxyType(
    {
        Billing.NOT_YET: "if it succeeds",
        Billing.ON_SUCCESS: "if it succeeds",
        Billing.BILLED: "billed",
        Billing.NONE: "not billed",
        Billing.PARTIAL_POSSIBLE: "maybe in part",
        Billing.UNDETERMINED: "not known",
    }
)
PHASE_STYLES: Mapping[Phase, str] = MappingProxyType(
    {
        Phase.SUCCEEDED: "bold green",
        Phase.RUNNING: "bold cyan",
        Phase.QUEUED: "cyan",
        Phase.IN_DOUBT: "bold yellow",
        Phase.SUBMITTING: "yellow",
        Phase.UNRECOGNIZED: "yellow",
        Phase.UNLISTED: "yellow",
    }
)
"""Ends without a result are red."""


def money(amount: Decimal) -> str:
    """Return an amount with two decimals, or as many as it has: ``0.50``, ``0.0125``."""
    whole = f"{amount.normalize():f}"
    head, _, tail = whole.partition(".")
    return f"{head}.{tail.ljust(2, '0')}"


def amount_of(charge: Charge | None, billing: Billing) -> str:
    """Return what something costs, for people; a question mark where no price is known."""
    if billing is Billing.NONE:
        return "0" if charge is None else f"0 {charge.currency}"
    return "?" if charge is None else f"{money(charge.amount)} {charge.currency}"


def file_of(entry: Entry) -> str:
    """Return where its result is, as short as it can be named from here; or, after an arrow, where it is to go."""
    if not entry.files:
        wanted = entry.about.get(OUTPUT)
        is_to_come = entry.phase in OPEN or entry.is_paid_and_not_saved
        return f"→ {_from_here(wanted)}" if wanted and is_to_come else ""
    first = entry.files[0].path
    more = f" and {len(entry.files) - 1} more" if len(entry.files) > 1 else ""
    gone = "" if all(os.path.isfile(file.path) for file in entry.files) else " (gone)"  # noqa: PTH113  # never raises
    return f"{_from_here(first)}{more}{gone}"


def _from_here(path: str) -> str:
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        return path
    if relative.startswith(os.pardir):
        return path
    return f"{relative}{os.sep}" if path.endswith(os.sep) else relative


def warning_of(entry: Entry, now_wall_s: float) -> str | None:
    """Return what somebody should do about an entry, or None.

    Args:
        entry: The entry.
        now_wall_s: When, in seconds since 1970.
    """
    if entry.phase is Phase.IN_DOUBT:
        return "it may be billed, and its task is not known"
    if entry.is_paid_and_not_saved and entry.archived_wall_s is None:
        left_s = (entry.ended_wall_s or entry.updated_wall_s) + URL_LIVES_S - now_wall_s
        if left_s > 0:
            return f"paid, not downloaded, expires in {ago(left_s)}"
        return f"paid, not downloaded, and its URL has expired {ago(-left_s)} ago"
    return None


def entry_values(entry: Entry, now_wall_s: float) -> dict[str, Any]:
    """Return the JSON object of an entry; what is not known is null.

    Args:
        entry: The entry, with or without its result.
        now_wall_s: When, in seconds since 1970.
    """
    charge = entry.charge
    return {
        "idempotency_key": entry.key,
        "attempt": entry.attempt,
        "task_id": entry.task_id,
        "model": entry.about.get("model"),
        "endpoint": entry.about.get("endpoint"),
        "phase": entry.phase,
        "status": entry.status,
        "billing": entry.billing,
        "amount": None if charge is None else f"{charge.amount:f}",
        "currency": None if charge is None else charge.currency,
        "submitted_at": _moment(entry.licensed_wall_s),
        "created_at": _moment(entry.created_wall_s),
        "updated_at": _moment(entry.updated_wall_s),
        "ended_at": _moment(entry.ended_wall_s),
        "delivered_at": _moment(entry.delivered_wall_s),
        "archived_at": _moment(entry.archived_wall_s),
        "output": entry.about.get(OUTPUT),
        "files": [{"path": file.path, "size_bytes": file.size_bytes, "sha256": file.sha256} for file in entry.files],
        "origin": entry.namespace.origin,
        "dialect": entry.namespace.dialect,
        "account": entry.namespace.account,
        "request_id": entry.request_id,
        "code": entry.code,
        "message": entry.message,
        "sends": entry.sends,
        "doubtful_sends": len(entry.doubtful_sends),
        "entry": entry.entry_id,
        "warning": warning_of(entry, now_wall_s),
    }


def result_of(entry: Entry) -> Any:
    """Return the service's answer, if the ledger has it."""
    return None if entry.result is None else json.loads(entry.result)


def _moment(wall_s: float | None) -> str | None:
    return None if wall_s is None else moment_text(wall_s, "milliseconds")


def moment_text(wall_s: float, precision: str = "seconds") -> str:
    """Return a moment in UTC; one that no calendar has as its number."""
    try:
        return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec=precision)
    except (OverflowError, ValueError, OSError):
        return f"{wall_s:.0f}"
