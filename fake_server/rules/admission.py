"""What is looked at before a create is carried out, and what a synchronous one comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fake_server.rules.answers import error
from fake_server.rules.limits import is_known
from fake_server.rules.nearest import nearest_routes
from fake_server.wire import bodies, errors
from fake_server.wire.routes import ROUTES
from fake_server.wire.submissions import Submission, read_submission

if TYPE_CHECKING:
    from fake_server.rules.answers import Answer, Call
    from fake_server.scenario.lifecycles import Lifecycle
    from fake_server.scenario.model import Scenario

INVALID_KEY = "sk-invalid"
# The HTTP status of a failure that a synchronous create hears at once, by the start of its code; 400 for others.
_SYNCHRONOUS_STATUS = (("InternalError", 500), ("SystemError", 500), ("ModelServ", 500), ("Throttling", 429))


def refused_key(call: Call) -> Answer | None:
    """The refusal of a request without a key, or with one that is always rejected."""
    key = call.request.key
    if not key:
        code = "missing_api_key" if call.dialect == "aisa" else None
        return error(call, 401, code, "No API-key provided.")
    if key == INVALID_KEY:
        return error(call, 401, None, "Invalid API-key provided.")
    return None


def unmatched(call: Call) -> Answer:
    """The answer to a request that fits nothing: what it comes nearest to, what differs, and what its dialect has."""
    request = call.request
    near = "; or ".join(suggestion.text for suggestion in nearest_routes(request.method, request.path, request.query))
    known = f". All of this dialect: {'; '.join(ROUTES[call.route.dialect])}" if call.route.dialect else ""
    message = f"nothing answers {request.method[:20]} here; expected one of: {near}{known}"
    return error(call, 404, None, message)


def refused_dialect(call: Call, scenario: Scenario) -> Answer | None:
    """The refusal of a dialect in which the scenario makes no sense: playing it would only puzzle."""
    if call.dialect in scenario.dialects:
        return None
    bases = " and ".join(f"{dialect} ({bodies.BASES[dialect]})" for dialect in scenario.dialects)
    return error(call, 400, None, f"The scenario {scenario.name} of this fake is for {bases} only.")


def admitted(call: Call, scenario: Scenario) -> Submission | Answer:
    """What a create asks for, or the refusal of its header, its body or its model."""
    endpoint = call.route.endpoint
    if scenario.service.async_header == "required":
        header = call.request.header("x-dashscope-async") or ""
        is_asynchronous = header.strip().lower() == "enable"
        if is_asynchronous == endpoint.synchronous:
            forbidden = errors.NO_ASYNCHRONOUS if is_asynchronous else errors.NO_SYNCHRONOUS
            return error(call, 403, None, forbidden)
    submission = read_submission(call.request.body, endpoint)
    if isinstance(submission, str):
        return error(call, 400, None, submission)
    if scenario.service.models == "known" and not is_known(submission.model, scenario.prices):
        code = "unknown_model" if call.dialect == "aisa" else "ModelNotFound"
        return error(call, 404, code, None)
    return submission


def synchronous_failure(call: Call, lifecycle: Lifecycle) -> Answer | None:
    """What a create without a task hears where its life does not end well; None where it does.

    Times play no role. A life that never ends, or is cancelled or forgotten, is an upstream that took too long.
    """
    last = lifecycle.last
    if last.status == bodies.SUCCEEDED:
        return None
    if last.status != bodies.FAILED:
        if call.dialect == "aisa":
            return error(call, 504, None, None)
        return error(call, 500, "InternalError.Timeout", None)
    code = last.code or "InternalError.Algo"
    status = next((status for start, status in _SYNCHRONOUS_STATUS if code.startswith(start)), 400)
    if call.dialect == "aisa":
        # The gateway has its own codes; the vendor's stands in the sentence.
        status = 422 if code == "DataInspectionFailed" else status
        return error(call, status, None, last.message or errors.default_message(code))
    return error(call, status, code, last.message)
