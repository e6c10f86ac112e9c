"""What parsers of ``Retry-After`` make of twelve values."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from email.utils import formatdate
from importlib import import_module
from typing import Any

import httpx

from benchmarks.peers.service import peer
from resilient_poll.http.retry_after import read_retry_after

__all__ = ["parsed"]


def _values() -> list[tuple[str, str, float | None]]:
    now_s = time.time()
    return [
        ("`1.5`", "1.5", 1.5),
        ("`0`", "0", 0.0),
        ("`nan`", "nan", None),
        ("`inf`", "inf", None),
        ("`1e400`", "1e400", None),
        ("400 nines", "9" * 400, None),
        ("`-1`", "-1", None),
        ("`soon`", "soon", None),
        ("`120, 60`", "120, 60", None),
        ("a date 30 s ahead", formatdate(now_s + 30, usegmt=True), 30.0),
        ("a date in the past", formatdate(now_s - 86_400, usegmt=True), 0.0),
        ("a broken date", "Sun, 99 Foo 2026 12:00:00 GMT", None),
    ]


def _parsers() -> dict[str, Callable[[str], Any]]:
    httpx_retries, openai, urllib3 = (import_module(name) for name in ("httpx_retries", "openai", "urllib3"))
    policies = import_module("azure.core.pipeline.policies")
    client = openai.OpenAI(api_key="x")

    def of_openai(value: str) -> Any:
        # Private: what it makes of a header cannot be seen otherwise without waiting.
        return client._parse_retry_after_header(httpx.Headers({"retry-after": value}))  # noqa: SLF001

    def of_httpx_retries(value: str) -> Any:
        # It documents the ValueError, and its transport takes it for no hint.
        try:
            return httpx_retries.Retry().parse_retry_after(value)
        except ValueError:
            return None

    return {
        peer("azure-core"): policies.RetryPolicy().parse_retry_after,
        peer("httpx-retries"): of_httpx_retries,
        peer("openai"): of_openai,
        peer("urllib3"): urllib3.Retry().parse_retry_after,
        "`resilient_poll`": lambda value: read_retry_after([value], [], time.time()).seconds,
    }


def parsed() -> tuple[list[list[str]], dict[str, int]]:
    """Let each parser read each value.

    Returns:
        The table, its head first, and how many values each parser gets right.
    """
    parsers, values = _parsers(), _values()
    right = dict.fromkeys(parsers, 0)
    rows = [["value", "means", *parsers]]
    for shown, value, means in values:
        cells = []
        for name, parse in parsers.items():
            made = _made(parse, value)
            is_right = _is_right(made, means)
            right[name] += is_right
            # A date's seconds depend on when they are asked for.
            cells.append(_shown(means) if is_right else f"**{_shown(made)}**")
        rows.append([shown, "nothing" if means is None else f"{means:g} s", *cells])
    rows.append(["right", "", *(f"{count} of {len(values)}" for count in right.values())])
    return rows, right


def _made(parse: Callable[[str], Any], value: str) -> Any:
    try:
        return parse(value)
    except Exception as error:  # noqa: BLE001  # that is what is asked for
        return error


def _is_right(made: Any, means: float | None) -> bool:
    if means is None:
        return made is None
    return isinstance(made, int | float) and abs(made - means) <= 1.5 and (means > 1.5 or made == means)


def _shown(made: Any) -> str:
    if isinstance(made, Exception):
        return f"`{type(made).__name__}`"
    if made is None:
        return "nothing"
    if isinstance(made, float) and not math.isfinite(made):
        return f"{made} s"
    made = round(made, -1) if abs(made) > 1000 else made
    return f"{made:.6g} s" if abs(made) < 1e15 else "more than 10^15 s"
