"""What a refusal is about: the rate, or money. "Refused for money" is not "refused for rate"."""

from __future__ import annotations

import json
import re
from enum import Enum, auto
from typing import Any

__all__ = ["LONGEST_REFUSAL_BYTES", "Refusal", "read_refusal"]

LONGEST_REFUSAL_BYTES = 64 * 1024
"""As much of a refusal is read to find its code; they have some hundred bytes."""
_TOO_MANY = 429
_PAYMENT_REQUIRED = 402
_MONEY = re.compile(
    r"insufficient[ _-]?(?:quota|balance|fund|credit)|billing|payment|arrear|overdue|"
    r"(?:balance|credit|fund)s?[ _-]?(?:exhausted|depleted|not[ _-]?enough|too[ _-]?low)|out[ _-]?of[ _-]?credit",
    re.IGNORECASE,
)
"""Codes that several vendors give a 429 which no waiting mends, ``insufficient_quota`` the best known of them.

Only codes are looked at, never the message: it is prose for people and may mention billing for any reason."""
_CODES = ("code", "type", "reason", "status")
_DEEPEST = 3


class Refusal(Enum):
    """What an answer refuses for."""

    NONE = auto()
    """It refuses nothing that waiting or paying would mend."""
    RATE = auto()
    """Too many requests: waiting mends it."""
    MONEY = auto()
    """Somebody has to pay: waiting mends nothing, and the service is well."""


def read_refusal(status: int, body: bytes) -> Refusal:
    """Return what an answer refuses for.

    Args:
        status: Its HTTP status.
        body: As much of its body as was read; nothing is needed but for a 429.
    """
    if status == _PAYMENT_REQUIRED:
        return Refusal.MONEY
    if status != _TOO_MANY:
        return Refusal.NONE
    if len(body) > LONGEST_REFUSAL_BYTES:
        return Refusal.RATE
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return Refusal.RATE
    return Refusal.MONEY if _speaks_of_money(said, _DEEPEST) else Refusal.RATE


def _speaks_of_money(said: Any, deep: int) -> bool:
    if not isinstance(said, dict) or not deep:
        return False
    if any(isinstance(code := said.get(name), str) and _MONEY.search(code[:100]) for name in _CODES):
        return True
    inside = said.get("error")
    if isinstance(inside, str):
        return " " not in inside.strip() and _MONEY.search(inside[:100]) is not None
    return _speaks_of_money(inside, deep - 1)
