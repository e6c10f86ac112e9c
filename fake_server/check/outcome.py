"""What a command says of itself: the last JSON object on its standard output, and its exit code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fake_server.scenario.model import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Sequence

BILLINGS = ("NOT_YET", "ON_SUCCESS", "BILLED", "NONE", "PARTIAL_POSSIBLE", "UNDETERMINED")
# More than a client's tasks in any scenario.
MOST_WORDS = 10_000


@dataclass(frozen=True, slots=True)
class Claim:
    """What a command claims.

    Args:
        outcomes: A word of :data:`OUTCOMES` for each task; empty where it printed none.
        billings: A word of :data:`BILLINGS` for each task; empty where it printed none.
        complaint: What is wrong with the line that it printed, or None.
    """

    outcomes: tuple[str, ...] = ()
    billings: tuple[str, ...] = ()
    complaint: str | None = None


def read_claim(output: str) -> Claim:
    """Find the claim in what a command printed.

    Args:
        output: Its standard output, or the end of it.

    Returns:
        The claim of the last line that is a JSON object with `outcome` or `outcomes`; nothing claimed if none is.
    """
    for line in reversed(output.splitlines()):
        text = line.strip()
        if not text.startswith("{"):
            continue
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(said, dict) and ("outcome" in said or "outcomes" in said):
            return _read(said)
    return Claim()


def _read(said: dict[str, Any]) -> Claim:
    outcomes = _words(said, "outcome", "outcomes", OUTCOMES)
    if isinstance(outcomes, str):
        return Claim(complaint=outcomes)
    billings = _words(said, "billing", "billings", BILLINGS)
    if isinstance(billings, str):
        return Claim(outcomes, complaint=billings)
    return Claim(outcomes, billings)


def _words(said: dict[str, Any], one: str, many: str, known: Sequence[str]) -> tuple[str, ...] | str:
    """The words under either name, or what is wrong with them."""
    found = said[many] if many in said else [said[one]] if said.get(one) is not None else []
    if not isinstance(found, list) or len(found) > MOST_WORDS:
        return f"found {many} that is no list of words"
    for word in found:
        if word not in known:
            return f"found the {one} {str(word)[:60]!r}, expected one of {', '.join(known)}"
    return tuple(found)
