"""What a command says of itself: the last JSON object on its standard output, and its exit code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fake_server.scenario.model import OUTCOMES

# More than a client's tasks in any scenario.
MOST_WORDS = 10_000


@dataclass(frozen=True, slots=True)
class Claim:
    """What a command claims.

    Args:
        outcomes: A word of :data:`OUTCOMES` for each task; empty where it printed none.
        billed: For each task whether it costs anything, or None for "perhaps"; empty where it printed nothing of it.
        complaint: What is wrong with the line that it printed, or None.
    """

    outcomes: tuple[str, ...] = ()
    billed: tuple[bool | None, ...] = ()
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
    outcomes = said["outcomes"] if "outcomes" in said else [said["outcome"]]
    if not isinstance(outcomes, list) or len(outcomes) > MOST_WORDS:
        return Claim(complaint="found outcomes that are no list of words")
    for word in outcomes:
        if word not in OUTCOMES:
            return Claim(complaint=f"found the outcome {str(word)[:60]!r}, expected one of {', '.join(OUTCOMES)}")
    billed = said.get("billed", [])
    billed = billed if isinstance(billed, list) else [billed]
    if len(billed) > MOST_WORDS or any(value is not None and not isinstance(value, bool) for value in billed):
        return Claim(
            tuple(outcomes), complaint=f"found billed {str(billed)[:60]}, expected true, false, null, or a list of them"
        )
    return Claim(tuple(outcomes), tuple(billed))
