"""What the services' pages say of their error codes, written out by hand: the judge of the client's own catalogue.

Nothing here is imported from the code under test: an agreement that was copied proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TASK_ID = "11111111-2222-3333-4444-555555555555"
MESSAGE = "why it is so"


@dataclass(frozen=True)
class Listed:
    """One code with one status.

    Attributes:
        dialect: Who says it.
        status: The HTTP status.
        code: The code.
        kind: The class that it belongs to.
        page: What the pages say of trying again, in their words: ``no``, ``yes``, ``later``, ``look first``.
        again: The word for that: the pages' ``no`` is ``after_a_change`` where something can be changed.
        message: What goes with it.
        is_by_status: The pages name the status and no code; this one is made up.
    """

    dialect: str
    status: int
    code: str
    kind: str
    page: str
    again: str
    message: str = MESSAGE
    is_by_status: bool = False

    def __str__(self) -> str:
        return f"{self.dialect}-{self.status}-{self.code}{'' if self.message == MESSAGE else '-its-message'}"


def _listed(dialect: str, status: int, kind: str, page: str, again: str, codes: str) -> list[Listed]:
    return [Listed(dialect, status, code, kind, page, again) for code in codes.split(", ")]


DASHSCOPE = [
    *_listed(
        "dashscope", 400, "bad_input", "no", "after_a_change", "InvalidParameter, InvalidParameter.DataInspection"
    ),
    *_listed("dashscope", 400, "content_policy", "no", "after_a_change", "DataInspectionFailed, IPInfringementSuspect"),
    *_listed("dashscope", 400, "bad_input", "no", "after_a_change", "BadRequest.EmptyInput, BadRequest.TooLarge"),
    *_listed("dashscope", 400, "bad_input", "no", "after_a_change", "InvalidURL, InvalidURL.ConnectionRefused"),
    *_listed("dashscope", 400, "money", "no", "after_a_change", "Arrearage"),
    *_listed("dashscope", 400, "refused", "no", "no", "UnsupportedOperation"),
    *_listed("dashscope", 400, "quota", "no", "after_a_change", "Throttling.AllocationQuota"),
    *_listed("dashscope", 401, "access", "no", "after_a_change", "InvalidApiKey, NOT AUTHORIZED"),
    *_listed("dashscope", 403, "access", "no", "after_a_change", "AccessDenied, AccessDenied.Unpurchased"),
    *_listed("dashscope", 403, "access", "no", "after_a_change", "Model.AccessDenied, Workspace.AccessDenied"),
    *_listed("dashscope", 403, "money", "no", "after_a_change", "AllocationQuota.FreeTierOnly"),
    *_listed("dashscope", 404, "not_found", "no", "after_a_change", "ModelNotFound, NotFound, WorkSpaceNotFound"),
    *_listed("dashscope", 408, "timed_out", "later", "later", "RequestTimeOut"),
    Listed("dashscope", 413, "PayloadTooLarge", "bad_input", "no", "after_a_change", is_by_status=True),
    *_listed("dashscope", 429, "throttled", "yes", "later", "Throttling, Throttling.RateQuota, Throttling.BurstRate"),
    *_listed("dashscope", 429, "quota", "later", "later", "Throttling.AllocationQuota"),
    Listed(
        "dashscope",
        429,
        "Throttling.AllocationQuota",
        "quota",
        "no",
        "no",
        "Your token-plan 1-week quota has been exhausted. The quota will reset at 08-14 09:18:00 UTC.",
    ),
    *_listed("dashscope", 429, "money", "no", "after_a_change", "CommodityNotPurchased"),
    *_listed("dashscope", 429, "money", "no", "after_a_change", "PrepaidBillOverdue, PostpaidBillOverdue"),
    *_listed("dashscope", 500, "upstream", "later", "later", "InternalError, SystemError, ModelServiceFailed"),
    *_listed("dashscope", 500, "upstream", "later", "later", "ModelServingError"),
    *_listed("dashscope", 500, "upstream", "later", "later", "InternalError.Algo, InternalError.FileUpload"),
    *_listed("dashscope", 500, "upstream", "later", "later", "InternalError.Upload"),
    *_listed("dashscope", 500, "timed_out", "later", "later", "InternalError.Timeout"),
    *_listed("dashscope", 503, "upstream", "later", "later", "ModelUnavailable, ModelServingError"),
]
AISA = [
    *_listed("aisa", 400, "bad_input", "no", "after_a_change", "invalid_request, missing_parameter"),
    *_listed("aisa", 401, "access", "no", "after_a_change", "missing_api_key, invalid_api_key"),
    *_listed("aisa", 402, "money", "no", "after_a_change", "insufficient_wallet_balance"),
    *_listed("aisa", 402, "money", "no", "after_a_change", "estimated_price_exceeds_max_price"),
    *_listed("aisa", 403, "access", "no", "after_a_change", "model_not_allowed"),
    *_listed("aisa", 403, "refused", "no", "no", "region_blocked"),
    *_listed("aisa", 404, "not_found", "no", "after_a_change", "unknown_model"),
    Listed("aisa", 408, "request_timeout", "timed_out", "later", "later", is_by_status=True),
    *_listed("aisa", 409, "conflict", "look first", "no", "request_in_progress, request_already_completed"),
    *_listed("aisa", 409, "conflict", "look first", "no", "idempotency_conflict"),
    Listed("aisa", 413, "body_too_large", "bad_input", "no", "after_a_change", is_by_status=True),
    *_listed("aisa", 422, "content_policy", "no", "after_a_change", "content_policy_violation"),
    *_listed("aisa", 429, "throttled", "yes", "later", "rate_limit_exceeded, upstream_rate_limit"),
    *_listed("aisa", 429, "quota", "yes", "later", "quota_exceeded"),
    Listed("aisa", 500, "internal_error", "upstream", "later", "later", is_by_status=True),
    *_listed("aisa", 502, "upstream", "later", "later", "upstream_error, upstream_unavailable"),
    *_listed("aisa", 503, "upstream", "later", "later", "upstream_unavailable"),
    *_listed("aisa", 504, "upstream", "later", "later", "upstream_timeout"),
]
TABLE = DASHSCOPE + AISA

OWN_SHAPES = {"dashscope": ("flat",), "aisa": ("nested", "nested, retryable", "code and text", "text")}
"""What each dialect's pages show: only these are believed where money hangs on it."""
SHAPES = ("flat", "nested", "nested, retryable", "code and text", "text", "not JSON")


def body_in(shape: str, code: str, message: str = MESSAGE) -> Any:
    """Return an error's body: bytes as they are, all else as JSON."""
    return {
        "flat": {"code": code, "message": message, "request_id": "r1"},
        "nested": {"error": {"type": "an_error", "code": code, "message": message, "request_id": "r1"}},
        "nested, retryable": {"error": {"code": code, "message": message, "retryable": True}},
        "code and text": {"code": code, "error": message, "request_id": "r1"},
        "text": {"error": message},
        "not JSON": b"<html><body>no</body></html>",
    }[shape]


def has_code(shape: str) -> bool:
    """Tell whether a shape carries the code at all."""
    return shape not in {"text", "not JSON"}


def class_without_code(dialect: str, status: int) -> tuple[str, str]:
    """Return kind and "try again" of an error whose status is all there is."""
    named = {("aisa", 408): "timed_out", ("aisa", 413): "bad_input", ("dashscope", 413): "bad_input"}
    kind = {**named, ("aisa", 500): "upstream"}.get((dialect, status), "unlisted")
    if status == 409:
        return kind, "no"
    return kind, "later" if status in {408, 429} or status >= 500 else "after_a_change"


def on_create(row: Listed, shape: str) -> str:
    """Return the name of the error that a create ends with: the decision about money, once more in other words."""
    if shape not in OWN_SHAPES[row.dialect]:
        return "SubmitInDoubt"
    if row.status == 429:
        is_final = has_code(shape) and (row.kind == "money" or row.again == "no")
        return "SubmitRefused" if is_final else "SubmitThrottled"
    if row.status == 503 and row.code == "ModelUnavailable" and row.dialect == "dashscope":
        return "SubmitThrottled"
    return "SubmitInDoubt" if row.status in {408, 409} or row.status >= 500 else "SubmitRefused"


def on_poll(row: Listed, shape: str) -> str:
    """Return the name of the error that a wait ends with: only what says "never" ends it before its time."""
    if row.status == 429:
        return "PollRefused" if has_code(shape) and (row.kind == "money" or row.again == "no") else "StillRunning"
    return "StillRunning" if row.status == 408 or row.status >= 500 else "PollRefused"


FAILED_SHAPES = (
    "in output",
    "in output.error",
    "in error",
    "at the top",
    "in output, as code and text",
    "at the top, as code and text",
    "in error, retryable",
)


def failed_in(shape: str, code: str, message: str = MESSAGE) -> dict[str, Any]:
    """Return the body of a task that failed, with its reason in one of the places that the pages name."""
    output: dict[str, Any] = {"task_id": TASK_ID, "task_status": "FAILED"}
    said, as_text = {"code": code, "message": message}, {"code": code, "error": message}
    match shape:
        case "in output":
            return {"request_id": "r1", "output": {**output, **said}}
        case "in output.error":
            return {"request_id": "r1", "output": {**output, "error": said}}
        case "in error":
            return {"request_id": "r1", "output": output, "error": said}
        case "at the top":
            return {"request_id": "r1", "output": output, **said}
        case "in output, as code and text":
            return {"request_id": "r1", "output": {**output, **as_text}}
        case "at the top, as code and text":
            return {"request_id": "r1", "output": output, **as_text}
    return {"request_id": "r1", "output": output, "error": {**said, "retryable": True}}


def class_of_failed(row: Listed) -> tuple[str, str]:
    """Return kind and "try again" of a task that failed: there is no status that could tell two meanings apart."""
    if row.is_by_status:
        return "unlisted", "unknown"
    if row.code == "Throttling.AllocationQuota" and row.message == MESSAGE:
        return "quota", "unknown"
    return row.kind, row.again
