"""Bodies as the service's pages write them, and bodies that nobody wrote, for the translator's tests."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from resilient_poll.http.messages import Answer

TASK_ID = "11111111-2222-3333-4444-555555555555"
NOW_S = 1_772_366_400.0


def answer(status: int, body: object, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return an answer; a body that is no bytes becomes JSON."""
    return Answer(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def shapes(dialect: str, code: str, message: str = "why") -> dict[str, Any]:
    """Return an error in every shape that a dialect documents."""
    if dialect == "dashscope":
        return {"flat": {"code": code, "message": message, "request_id": "r1"}}
    return {
        "nested": {"error": {"type": "an_error", "code": code, "message": message, "request_id": "r1"}},
        "nested, retryable": {"error": {"code": code, "message": message, "retryable": True}},
        "code and text": {"code": code, "error": message, "request_id": "r1"},
    }


# The facts' table of errors: dialect, HTTP status, code.
DASHSCOPE_ERRORS = [
    *(
        ("dashscope", 400, code)
        for code in (
            "InvalidParameter",
            "InvalidParameter.DataInspection",
            "DataInspectionFailed",
            "BadRequest.TooLarge",
            "InvalidURL",
            "InvalidURL.ConnectionRefused",
            "Arrearage",
            "UnsupportedOperation",
            "IPInfringementSuspect",
            "Throttling.AllocationQuota",
        )
    ),
    *(("dashscope", 401, code) for code in ("InvalidApiKey", "NOT AUTHORIZED")),
    *(
        ("dashscope", 403, code)
        for code in (
            "AccessDenied",
            "AccessDenied.Unpurchased",
            "Model.AccessDenied",
            "Workspace.AccessDenied",
            "AllocationQuota.FreeTierOnly",
        )
    ),
    *(("dashscope", 404, code) for code in ("ModelNotFound", "NotFound", "WorkSpaceNotFound")),
    ("dashscope", 408, "RequestTimeOut"),
    ("dashscope", 409, "Conflict"),
    ("dashscope", 413, "BadRequest.TooLarge"),
    *(
        ("dashscope", 429, code)
        for code in (
            "Throttling",
            "Throttling.RateQuota",
            "Throttling.BurstRate",
            "Throttling.AllocationQuota",
            "CommodityNotPurchased",
            "PrepaidBillOverdue",
            "PostpaidBillOverdue",
        )
    ),
    *(
        ("dashscope", 500, code)
        for code in (
            "InternalError",
            "SystemError",
            "ModelServiceFailed",
            "ModelServingError",
            "InternalError.Algo",
            "InternalError.FileUpload",
            "InternalError.Upload",
            "InternalError.Timeout",
        )
    ),
    *(("dashscope", 503, code) for code in ("ModelUnavailable", "ModelServingError")),
]
AISA_ERRORS = [
    *(("aisa", 400, code) for code in ("invalid_request", "missing_parameter")),
    *(("aisa", 401, code) for code in ("missing_api_key", "invalid_api_key")),
    *(("aisa", 402, code) for code in ("insufficient_wallet_balance", "estimated_price_exceeds_max_price")),
    *(("aisa", 403, code) for code in ("model_not_allowed", "region_blocked")),
    ("aisa", 404, "unknown_model"),
    ("aisa", 408, "request_timeout"),
    *(("aisa", 409, code) for code in ("request_in_progress", "request_already_completed", "idempotency_conflict")),
    ("aisa", 413, "body_too_large"),
    ("aisa", 422, "content_policy_violation"),
    *(
        ("aisa", 429, code)
        for code in ("rate_limit_exceeded", "upstream_rate_limit", "quota_exceeded", "insufficient_wallet_balance")
    ),
    ("aisa", 500, "internal_error"),
    *(("aisa", status, "upstream_unavailable") for status in (502, 503, 504)),
]
ERRORS = DASHSCOPE_ERRORS + AISA_ERRORS
MONEY = {
    "CommodityNotPurchased",
    "PrepaidBillOverdue",
    "PostpaidBillOverdue",
    "insufficient_wallet_balance",
    "estimated_price_exceeds_max_price",
}

# Bodies that nobody wrote.
_NOT_JSON = [
    b"",
    b"<html><body>502 Bad Gateway</body></html>",
    b"null",
    b"[]",
    b'"PENDING"',
    b"17",
    b"NaN",
    b"{",
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b"[" * 200_000,
    b'{"output":' * 100_000,
    b'{"output": {"task_id": ' + b"9" * 10_000 + b"}}",
    b'{"output": {"task_id": "\xff\xff", "task_status": "RUNNING"}}',
]
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([TASK_ID, "SUCCEEDED", "RUNNING", "UNKNOWN", "\ud800", "x" * 5000, "../../etc", "a\nb"])
)
_names = st.sampled_from(
    ["output", "task_id", "task_status", "code", "message", "error", "request_id", "video_url", "results", "usage"]
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names | st.text(), inner, max_size=6)
)
_objects = st.dictionaries(_names, _values, max_size=6).map(lambda value: json.dumps(value).encode())
_codes = st.sampled_from([code for _, _, code in ERRORS])
_errors = st.builds(
    lambda code, shape, encoding: json.dumps(shape(code)).encode(encoding, "surrogatepass"),
    _codes | st.text(),
    st.sampled_from(
        [
            lambda code: {"code": code, "message": "why", "request_id": "r"},
            lambda code: {"error": {"code": code, "message": "why"}},
            lambda code: {"code": code, "error": "why"},
            lambda code: {"error": code},
            lambda code: {"output": {"task_id": TASK_ID, "task_status": code}},
        ]
    ),
    st.sampled_from(["utf-8", "utf-8", "utf-16", "utf-32"]),
)
BODIES = st.sampled_from(_NOT_JSON) | st.binary(max_size=200) | _objects | _errors
STATUSES = st.integers(100, 599) | st.sampled_from([200, 201, 202, 204, 400, 401, 408, 409, 422, 429, 500, 503])
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["retry-after", "date", "content-type", "x-other"]),
        st.sampled_from(["1", "nan", "-1", "soon", "Sun, 01 Mar 2026 12:00:30 GMT"]) | st.text(max_size=30),
    ),
    max_size=4,
).map(tuple)
