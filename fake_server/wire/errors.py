"""Error bodies of both dialects, in every shape their pages show.

The vendor's errors are flat. The gateway's are nested, and its newer pages show three more shapes
(AIsa docs, async-operations and errors); a scenario may ask for any of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fake_server.wire.bodies import Body, Dialect

ErrorShape = Literal["flat", "nested", "code_and_text", "text", "retryable"]
SHAPES: tuple[ErrorShape, ...] = ("flat", "nested", "code_and_text", "text", "retryable")
OWN_SHAPE: dict[Dialect, ErrorShape] = {"aisa": "nested", "dashscope": "flat"}

# The code a status carries when a scenario names none. Those of 403, 413, 500 and the plain 404 in `aisa`
# are assumed: its pages list the statuses there without a code that would fit.
DEFAULT_CODES: dict[Dialect, dict[int, str]] = {
    "dashscope": {
        400: "InvalidParameter",
        401: "InvalidApiKey",
        403: "AccessDenied",
        404: "NotFound",
        408: "RequestTimeOut",
        413: "BadRequest.TooLarge",
        429: "Throttling.RateQuota",
        500: "InternalError",
        503: "ModelUnavailable",
    },
    "aisa": {
        400: "invalid_request",
        401: "invalid_api_key",
        402: "insufficient_wallet_balance",
        403: "access_denied",
        404: "not_found",
        409: "request_in_progress",
        413: "request_too_large",
        422: "content_policy_violation",
        429: "rate_limit_exceeded",
        500: "internal_error",
        502: "upstream_error",
        503: "upstream_unavailable",
        504: "upstream_timeout",
    },
}

# `type` sorts codes into families; which families exist is assumed, the field is documented.
_TYPES: dict[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}

NO_SYNCHRONOUS = "current user api does not support synchronous calls"
NO_ASYNCHRONOUS = "current user api does not support asynchronous calls"

MESSAGES: dict[str, str] = {
    "AccessDenied": NO_SYNCHRONOUS,
    "DataInspectionFailed": "Output data may contain inappropriate content.",
    "InternalError": "An internal error has occured, please try again later.",
    "InternalError.Algo": "The model failed to produce a result.",
    "InternalError.Timeout": "No result was produced within three hours.",
    "InvalidApiKey": "Invalid API-key provided.",
    "InvalidParameter": "Field required: input.media",
    "ModelNotFound": "The model does not exist, or this account may not use it.",
    "ModelUnavailable": "The model is unavailable, please try again later.",
    "NotFound": "Not found.",
    "RequestTimeOut": "Request timed out, please try again later.",
    "Throttling.RateQuota": "Requests rate limit exceeded, please try again later.",
    "UnsupportedOperation": "Failed to cancel the task, please confirm if the task is in PENDING status.",
    "rate_limit_exceeded": "Too many requests, please wait before the next one.",
    "unknown_model": "The model does not exist.",
    "upstream_timeout": "The upstream service did not answer in time.",
}

# A documented limit rather than a hint that repeating is harmless (AIsa docs, errors).
_WORTH_REPEATING = frozenset({408, 429, 500, 502, 503, 504})


def default_code(dialect: Dialect, status: int) -> str:
    """The code that a status carries by default; unlisted ones fall to the nearest family."""
    codes = DEFAULT_CODES[dialect]
    return codes.get(status) or codes[500 if status >= 500 else 400]


def default_message(code: str) -> str:
    """A sentence for a code; codes without one of their own say their name."""
    return MESSAGES.get(code, f"The request failed: {code}.")


def error_body(shape: ErrorShape, status: int, code: str, message: str, request_id: str) -> Body:
    """An error in one of the shapes.

    Args:
        shape: Which shape; `OWN_SHAPE` has the one that a dialect uses by itself.
        status: The HTTP status it goes with; `type` and `retryable` follow from it.
        code: The service's code.
        message: The sentence for humans.
        request_id: The id of this answer.
    """
    if shape == "flat":
        return {"code": code, "message": message, "request_id": request_id}
    if shape == "nested":
        family = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"error": {"type": family, "code": code, "message": message, "request_id": request_id}}
    if shape == "code_and_text":
        return {"code": code, "error": message, "request_id": request_id}
    if shape == "retryable":
        return {"error": {"code": code, "message": message, "retryable": status in _WORTH_REPEATING}}
    return {"error": message}


def asset_error(code: str, message: str, request_id: str, host: str) -> bytes:
    """An error as object stores write it (XML), for the asset host.

    Every argument is inserted as text: callers pass only words of ours and ids, never a client's bytes.
    """
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n'
        f"  <Code>{code}</Code>\n  <Message>{message}</Message>\n"
        f"  <RequestId>{request_id}</RequestId>\n  <HostId>{host}</HostId>\n</Error>\n"
    ).encode("utf-8", "replace")
