"""The error codes of both dialects, as data: what each means, and what it means for a create.

The status alone decides little: the same 429 is a rate, an allowance or an unpaid bill. So a row
is found by dialect, code and status together; a code that no row lists is told by its family
(``InvalidParameter.Something``) or its status, and is said to be unlisted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby

from resilient_poll.error_kinds import ErrorKind, TryAgain

__all__ = ["CATALOGUE", "ErrorRow", "OnCreate", "Source", "catalogue_rows", "classify", "codes_of", "is_spent_quota"]


class OnCreate(StrEnum):
    """What an answer says about a create: whether it surely was not accepted."""

    REFUSED = "refused"
    """Surely not accepted, and the same again would be refused."""
    THROTTLED = "throttled"
    """Surely not accepted, and may be sent again."""
    IN_DOUBT = "in doubt"
    """There may be a task."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a row is from.

    Attributes:
        page: The page's name.
        read: The month when it was read.
    """

    page: str
    read: str


VENDOR = Source("Alibaba Cloud Model Studio, *Error messages*", "2026-11")
TOKEN_PLAN = Source("the message of the vendor's token plan, as its users quote it", "2026-11")
GATEWAY = Source("AIsa documentation, *Errors* and *Rate Limits*", "2026-11")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """One code.

    Attributes:
        dialect: Who says it.
        statuses: The HTTP statuses that it comes with. A task that failed says it without one.
        code: The code, or what it begins with and ``*``; ``*`` alone is any code or none, by its status.
        kind: What sort of trouble it is.
        try_again: Whether sending the same again makes sense.
        on_create: What it says about a create.
        means: What it means, in a clause.
        source: Where that is from.
        quotes: A part of the message, in lower case, where only that tells two meanings apart.
    """

    dialect: str
    statuses: tuple[int, ...]
    code: str
    kind: ErrorKind
    try_again: TryAgain
    on_create: OnCreate
    means: str
    source: Source
    quotes: str | None = None

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for more than one code."""
        return self.code.endswith("*")

    def matches(self, code: str | None, message: str | None, http_status: int | None) -> bool:
        """Tell whether it is about an error. The status decides only where no code is named."""
        if self.code == "*":
            return http_status in self.statuses
        if self.quotes is not None and self.quotes not in (message or "").lower():
            return False
        if code is None:
            return False
        return code.startswith(self.code[:-1]) if self.is_pattern else code == self.code


_Entry = tuple[tuple[int, ...], str, ErrorKind, TryAgain, OnCreate, str]

_K, _CHANGE, _LATER, _NO = ErrorKind, TryAgain.AFTER_A_CHANGE, TryAgain.LATER, TryAgain.NO
_REFUSED, _THROTTLED, _IN_DOUBT = OnCreate.REFUSED, OnCreate.THROTTLED, OnCreate.IN_DOUBT

_VENDOR_ENTRIES: tuple[_Entry, ...] = (
    ((400,), "InvalidParameter", _K.BAD_INPUT, _CHANGE, _REFUSED, "a parameter is missing or wrong"),
    ((400,), "InvalidParameter.DataInspection", _K.BAD_INPUT, _CHANGE, _REFUSED, "an input file cannot be inspected"),
    ((400,), "DataInspectionFailed", _K.CONTENT_POLICY, _CHANGE, _REFUSED, "input or result is not allowed"),
    ((400,), "IPInfringementSuspect", _K.CONTENT_POLICY, _CHANGE, _REFUSED, "it may infringe a right"),
    ((400,), "BadRequest.*", _K.BAD_INPUT, _CHANGE, _REFUSED, "the request cannot be read"),
    ((400,), "InvalidURL*", _K.BAD_INPUT, _CHANGE, _REFUSED, "an input file cannot be fetched"),
    ((400,), "Arrearage", _K.MONEY, _CHANGE, _REFUSED, "the account is in arrears"),
    ((400,), "UnsupportedOperation", _K.REFUSED, _NO, _REFUSED, "not possible with this task or model"),
    ((400,), "Throttling.AllocationQuota", _K.QUOTA, _CHANGE, _REFUSED, "too many resources are kept"),
    ((401,), "InvalidApiKey, NOT AUTHORIZED", _K.ACCESS, _CHANGE, _REFUSED, "the key, or its workspace"),
    ((403,), "AccessDenied, Model.AccessDenied", _K.ACCESS, _CHANGE, _REFUSED, "the key may not do this"),
    ((403,), "Workspace.AccessDenied", _K.ACCESS, _CHANGE, _REFUSED, "the key may not use this workspace"),
    ((403,), "AccessDenied.Unpurchased", _K.ACCESS, _CHANGE, _REFUSED, "the service is not activated"),
    ((403,), "AllocationQuota.FreeTierOnly", _K.MONEY, _CHANGE, _REFUSED, "the free allowance is used up"),
    ((404,), "ModelNotFound, NotFound, WorkSpaceNotFound", _K.NOT_FOUND, _CHANGE, _REFUSED, "it is not there"),
    ((408,), "RequestTimeOut", _K.TIMED_OUT, _LATER, _IN_DOUBT, "the request took too long"),
    ((413,), "*", _K.BAD_INPUT, _CHANGE, _REFUSED, "the body is too large"),
    ((429,), "Throttling, Throttling.RateQuota", _K.THROTTLED, _LATER, _THROTTLED, "too many requests"),
    ((429,), "Throttling.BurstRate", _K.THROTTLED, _LATER, _THROTTLED, "more requests too suddenly"),
    ((429,), "Throttling.AllocationQuota", _K.QUOTA, _LATER, _THROTTLED, "an allowance that comes back by itself"),
    ((429,), "CommodityNotPurchased", _K.MONEY, _CHANGE, _REFUSED, "it is not bought"),
    ((429,), "PrepaidBillOverdue, PostpaidBillOverdue", _K.MONEY, _CHANGE, _REFUSED, "a bill is overdue"),
    ((500,), "InternalError, SystemError", _K.UPSTREAM, _LATER, _IN_DOUBT, "a fault at the service"),
    ((500,), "ModelServiceFailed", _K.UPSTREAM, _LATER, _IN_DOUBT, "the model could not be reached"),
    ((500, 503), "ModelServingError", _K.UPSTREAM, _LATER, _IN_DOUBT, "the model has no capacity, or failed"),
    ((500,), "InternalError.Algo", _K.UPSTREAM, _LATER, _IN_DOUBT, "the model failed"),
    ((500,), "InternalError.FileUpload", _K.UPSTREAM, _LATER, _IN_DOUBT, "a file could not be stored"),
    ((500,), "InternalError.Upload", _K.UPSTREAM, _LATER, _IN_DOUBT, "the result could not be stored"),
    ((500,), "InternalError.Timeout", _K.TIMED_OUT, _LATER, _IN_DOUBT, "no result within three hours"),
    ((503,), "ModelUnavailable", _K.UPSTREAM, _LATER, _THROTTLED, "the model has no capacity"),
)
_GATEWAY_ENTRIES: tuple[_Entry, ...] = (
    ((400,), "invalid_request, missing_parameter", _K.BAD_INPUT, _CHANGE, _REFUSED, "a parameter is missing or wrong"),
    ((401,), "missing_api_key, invalid_api_key", _K.ACCESS, _CHANGE, _REFUSED, "the key"),
    ((402,), "insufficient_wallet_balance", _K.MONEY, _CHANGE, _REFUSED, "the wallet is empty"),
    ((402,), "estimated_price_exceeds_max_price", _K.MONEY, _CHANGE, _REFUSED, "dearer than the limit that was given"),
    ((403,), "model_not_allowed", _K.ACCESS, _CHANGE, _REFUSED, "the key may not use this model"),
    ((403,), "region_blocked", _K.REFUSED, _NO, _REFUSED, "not offered in this region"),
    ((404,), "unknown_model", _K.NOT_FOUND, _CHANGE, _REFUSED, "there is no such model"),
    ((408,), "*", _K.TIMED_OUT, _LATER, _IN_DOUBT, "the request took too long"),
    ((409,), "request_in_progress", _K.CONFLICT, _NO, _IN_DOUBT, "the same request is being worked on"),
    ((409,), "request_already_completed", _K.CONFLICT, _NO, _IN_DOUBT, "the same request was done before"),
    ((409,), "idempotency_conflict", _K.CONFLICT, _NO, _IN_DOUBT, "another request had the same key"),
    ((413,), "*", _K.BAD_INPUT, _CHANGE, _REFUSED, "the body is too large"),
    ((422,), "content_policy_violation", _K.CONTENT_POLICY, _CHANGE, _REFUSED, "the input is not allowed"),
    ((429,), "rate_limit_exceeded", _K.THROTTLED, _LATER, _THROTTLED, "too many requests, or tasks at once"),
    ((429,), "upstream_rate_limit", _K.THROTTLED, _LATER, _THROTTLED, "too many requests behind the gateway"),
    ((429,), "quota_exceeded", _K.QUOTA, _LATER, _THROTTLED, "an allowance that comes back by itself"),
    ((500,), "*", _K.UPSTREAM, _LATER, _IN_DOUBT, "a fault at the service"),
    ((502, 503, 504), "upstream_*", _K.UPSTREAM, _LATER, _IN_DOUBT, "a fault behind the gateway"),
)


def _rows(dialect: str, source: Source, entries: tuple[_Entry, ...]) -> Iterator[ErrorRow]:
    for statuses, codes, kind, try_again, on_create, means in entries:
        for code in codes.split(", "):
            yield ErrorRow(
                dialect=dialect,
                statuses=statuses,
                code=code,
                kind=kind,
                try_again=try_again,
                on_create=on_create,
                means=means,
                source=source,
            )


CATALOGUE: tuple[ErrorRow, ...] = (
    *_rows("dashscope", VENDOR, _VENDOR_ENTRIES),
    ErrorRow(
        dialect="dashscope",
        statuses=(429,),
        code="Throttling.AllocationQuota",
        kind=ErrorKind.QUOTA,
        try_again=TryAgain.NO,
        on_create=OnCreate.REFUSED,
        means="the token plan is used up until the time that the message names",
        source=TOKEN_PLAN,
        quotes="token-plan",
    ),
    *_rows("aisa", GATEWAY, _GATEWAY_ENTRIES),
)
"""Every code that the pages list, in their order; last of the vendor's, a form that only its message tells."""


def classify(
    dialect: str, code: str | None, message: str | None, http_status: int | None
) -> tuple[ErrorKind, TryAgain]:
    """Return what an error means.

    Args:
        dialect: Who says it. The gateway passes on codes of the vendor's: what it does not list
            itself is looked up there.
        code: The code, if there is one.
        message: The explanation, if there is one.
        http_status: The HTTP status; None for a task that failed.

    Returns:
        The kind, and whether trying again makes sense. ``UNLISTED`` comes with what is known of the
        code's family or of its status, and with ``UNKNOWN`` where nothing is.
    """
    found = _find(dialect, code, message, http_status)
    if found:
        agreed = {row.try_again for row in found}
        return found[0].kind, agreed.pop() if len(agreed) == 1 else TryAgain.UNKNOWN
    family = (code or "").rpartition(".")[0]
    if family:
        return ErrorKind.UNLISTED, classify(dialect, family, message, http_status)[1]
    return ErrorKind.UNLISTED, _by_status(http_status)


def is_spent_quota(dialect: str, code: str | None, message: str | None, http_status: int) -> bool:
    """Tell whether an answer looks like throttling and is none: the allowance does not come back within a wait."""
    found = _find(dialect, code, message, http_status)
    return any(row.quotes is not None and row.on_create is OnCreate.REFUSED for row in found)


def codes_of(
    *, dialect: str | None = None, kind: ErrorKind | None = None, on_create: OnCreate | None = None, status: int = 0
) -> frozenset[str]:
    """Return the listed codes of which all that is given is true.

    Args:
        dialect: Who says them.
        kind: What sort of trouble they are.
        on_create: What they say about a create.
        status: An HTTP status that they come with.
    """
    return frozenset(
        row.code
        for row in CATALOGUE
        if not row.is_pattern
        and dialect in {None, row.dialect}
        and kind in {None, row.kind}
        and on_create in {None, row.on_create}
        and (not status or status in row.statuses)
    )


def catalogue_rows() -> Iterator[tuple[str, str, str, str, str, str, str]]:
    """Yield the rows of a table for people: dialect, HTTP, codes, kind, try again, on a create, meaning.

    Neighbours that differ in their code only share a row.
    """

    for first, rows in groupby(CATALOGUE, lambda row: replace(row, code="")):
        codes = ", ".join("any" if row.code == "*" else f"`{row.code}`" for row in rows)
        yield (
            first.dialect,
            ", ".join(str(status) for status in first.statuses),
            codes if first.quotes is None else f"{codes}, the message says {first.quotes!r}",
            first.kind.value.replace("_", " "),
            first.try_again.value.replace("_", " "),
            first.on_create.value,
            first.means,
        )


def _find(dialect: str, code: str | None, message: str | None, http_status: int | None) -> list[ErrorRow]:
    """Return the rows that say most about an error; several only where their status is not known."""
    matching = [row for row in CATALOGUE if row.matches(code, message, http_status)]
    if not matching:
        return []

    def weight(row: ErrorRow) -> tuple[bool, bool, bool, int, bool]:
        return (
            # A bare status says least, and only of its own dialect; no code is listed by both.
            row.code != "*",
            not row.is_pattern,
            http_status in row.statuses,
            len(row.code),
            row.quotes is not None,
        )

    best = max(weight(row) for row in matching)
    return [row for row in matching if weight(row) == best and (row.code != "*" or row.dialect == dialect)]


def _by_status(http_status: int | None) -> TryAgain:
    if http_status is None:
        return TryAgain.UNKNOWN
    if http_status == 409:
        return TryAgain.NO
    if http_status in {408, 425, 429} or http_status >= 500:
        return TryAgain.LATER
    return TryAgain.AFTER_A_CHANGE if 400 <= http_status < 500 else TryAgain.UNKNOWN
