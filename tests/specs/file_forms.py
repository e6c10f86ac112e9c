"""The file form of a declaration, written by a way of its own, so that what is read can be compared."""

from __future__ import annotations

from typing import Any

from resilient_poll import InBody, InHeader, OperationSpec, Phase, SubmitUrl
from resilient_poll.machine.lifecycle import BILLING_BY_PHASE


def place(given: Any) -> Any:
    """Return a place as a file has it."""
    if isinstance(given, InBody):
        return given.path
    return {"header": given.name} if isinstance(given, InHeader) else {"http_status": True}


def url(given: Any) -> Any:
    """Return the source of a URL as a file has it."""
    if isinstance(given, str):
        return given
    if isinstance(given, SubmitUrl):
        return {"submitted": True}
    return {"body": given.path} if isinstance(given, InBody) else {"header": given.name}


def as_file(spec: OperationSpec) -> dict[str, Any]:
    """Return a declaration as the mapping that a file holds."""
    found: dict[str, Any] = {"version": 1, "name": spec.name, "fold_case": spec.lifecycle.fold_case}
    states: dict[str, list[str]] = {}
    for word, phase in spec.lifecycle.statuses.items():
        states.setdefault(phase.lower(), []).append(word)
    found["states"] = states
    found["billing"] = {
        phase.lower(): str(bill)
        for phase, bill in spec.lifecycle.billing.items()
        if bill is not BILLING_BY_PHASE[phase] and phase is not Phase.REFUSED
    }
    found["billing_by_status"] = {word: str(bill) for word, bill in spec.billing_by_status.items()}
    for name in ("status", "result", "progress"):
        if getattr(spec, name) is not None:
            found[name] = place(getattr(spec, name))
    errors = {"code": spec.error_code, "message": spec.error_message}
    found["error"] = {name: place(where) for name, where in errors.items() if where is not None}
    if spec.submit is not None:
        call = spec.submit
        found["submit"] = {"method": call.method, "headers": dict(call.headers), "at_once": list(call.at_once)}
        found["submit"] |= {} if call.url is None else {"url": call.url}
        found["submit"] |= {} if call.id is None else {"id": place(call.id)}
    if spec.query is not None:
        found["query"] = {"url": [url(one) for one in spec.query.urls], "headers": dict(spec.query.headers)}
    if spec.cancel is not None:
        found["cancel"] = {"url": [url(one) for one in spec.cancel.urls], "method": spec.cancel.method}
    if spec.result_urls:
        found["result_url"] = [url(one) for one in spec.result_urls]
    found["retry_after"] = [
        {**({"body": hint.place.path} if isinstance(hint.place, InBody) else place(hint.place)), "unit": hint.unit}
        for hint in spec.retry_after
    ]
    found["allow_hosts"] = sorted(spec.allow_hosts)
    return found | {"interval_s": spec.interval_s, "timeout_s": spec.timeout_s}
